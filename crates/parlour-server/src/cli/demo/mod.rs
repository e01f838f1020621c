mod attachments;
mod socket;

use super::Common;
use super::serve::run;
use crate::api::home::{DEMO_TOKEN_TTL, DemoMember};
use crate::app::App;
use attachments::Attachment;
use clap::Args;
use parlour_core::files::{Claims, Incoming, upload, upload_thumbnail};
use parlour_core::import::{Marks, OnRefusal, Record, import_batch};
use parlour_core::messages::{SendRequest, send_message};
use parlour_core::{Caller, Core, directory};
use parlour_types::model::{Role, UserChange};
use parlour_types::{MessageId, ThreadId, Timestamp, UserId};
use socket::SocketListen;
use std::io::Write as _;
use std::net::SocketAddr;

/// Where the demo keeps its data.
const DATA_DIR: &str = "./parlour-demo";

/// The members: id, username, real name.
const MEMBERS: [(i64, &str, &str); 12] = [
    (1, "ann", "Ann Becker"),
    (2, "bob", "Bob Okafor"),
    (3, "carla", "Carla Rossi"),
    (4, "deniz", "Deniz Aydın"),
    (5, "emil", "Emil Novák"),
    (6, "fatima", "Fatima Haddad"),
    (7, "goran", "Goran Petrović"),
    (8, "hanna", "Hanna Lindqvist"),
    (9, "ines", "Inês Carvalho"),
    (10, "jun", "Jun Tanaka"),
    (11, "kofi", "Kofi Mensah"),
    (12, "lena", "Lena Fischer"),
];

/// The threads: id, who began it, the other one, how many messages. The seed page's own example asks for thread 3.
const THREADS: [(i64, i64, i64, usize); 8] = [
    (3, 1, 2, 240),
    (4, 3, 1, 64),
    (5, 1, 4, 35),
    (6, 5, 2, 41),
    (7, 6, 7, 28),
    (8, 8, 1, 12),
    (9, 9, 10, 22),
    (10, 11, 12, 57),
];

/// The first message's id; the next ones follow.
const FIRST_MESSAGE: i64 = 1_001;

/// What two gardeners say to each other, over and over.
const LINES: [&str; 16] = [
    "Are the seedlings out of the cold frame yet?",
    "Since Sunday. The beans look happy, the basil does not.",
    "Basil never does before June. Did you keep the paper pots?",
    "A whole crate of them. Take as many as you like.",
    "I'll bring back the wheelbarrow then, and the long hose.",
    "The hose leaks at the tap end, there's a new washer in my shed.",
    "Found it. Who has the key to the tool room this week?",
    "Goran, until Friday. After that it hangs at the board again.",
    "Could we move the compost turning to Saturday morning?",
    "Fine with me. Nine o'clock, before it gets hot.",
    "I asked the others: six people so far, and Lena brings coffee.",
    "Then I'll bring bread & the <very> strong cheese.",
    "Last time there was none left when I came back with the sieve!",
    "That is what happens to people who fetch sieves.",
    "The plot next to the fence is free now. Do you know somebody?",
    "My neighbour asked. I'll send her to the open day on the 14th.",
];

/// Flags of `parlour demo`.
#[derive(Args)]
pub struct DemoArgs {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Absolute address by which clients reach the server.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Further address and port to listen on, for the official page's socket, which drops the port; "off" for none. Port 80 unless given.
    #[arg(long, value_name = "ADDRESS", value_parser = SocketListen::parse)]
    socket_listen: Option<SocketListen>,
}

pub(super) fn demo(common: &Common, args: &DemoArgs) -> anyhow::Result<()> {
    // A data directory of its own, and in it a database of its own, whatever else is configured.
    let own_folder = common.data_dir.is_none().then_some(DATA_DIR);
    let own_database = common.database.is_none().then_some("");
    let flags = [
        ("--listen", "server.listen", args.listen.as_deref()),
        ("--public-url", "server.public_url", args.public_url.as_deref()),
        ("demo", "storage.data_dir", own_folder),
        ("demo", "storage.database", own_database),
        // The first page shows tokens: they must be good for nothing but the demo.
        ("demo", "auth.jwt_secret", Some("")),
        ("demo", "auth.jwt_previous_secrets", Some("")),
        ("demo", "auth.admin_key", Some("")),
        // Whoever tries things out may try them often.
        ("demo", "limits.enabled", Some("false")),
    ];
    let config = common.layers(&flags)?.config()?;
    run(config, async |app, address| {
        populate(&app.core).await?;
        ensure_demo(&app.core).await?;
        app.demo.get_or_init(members);
        introduce(app, address);
        let others = &app.config.server.also_listen;
        let socket = socket::listen(args.socket_listen.unwrap_or_default(), address, others).await?;
        println!("Stop with Ctrl-C; the next start finds the same data.");
        Ok(socket)
    })
}

/// Fills an empty database with the community; one that has a member is left as it is.
async fn populate(core: &Core) -> anyhow::Result<()> {
    if !directory::list_users(core, 0, 1).await?.is_empty() {
        return Ok(());
    }
    import_batch(core, history(core.clock.now()), OnRefusal::Stop).await?;
    attach(core, attachments::picture()?).await?;
    attach(core, attachments::document()?).await?;
    attach(core, attachments::voice_note()).await?;
    // Something unread for the first look.
    for (from, to, text) in
        [(2, 1, "One more thing: the watering list for August is up."), (3, 1, "Did you see the first tomato?")]
    {
        let request = SendRequest { recipients: vec![user(to)], message: Some(text.into()), ..SendRequest::default() };
        send_message(core, Caller { user_id: user(from) }, request).await?;
    }
    Ok(())
}

/// Refuses the database of another community: its members' tokens are nothing to show. Members of the demo may have been renamed, and
/// others have come.
async fn ensure_demo(core: &Core) -> anyhow::Result<()> {
    let users = directory::list_users(core, 0, MEMBERS.len() as i64).await?;
    let is_known = |(id, username, _): &&(i64, &str, &str)| {
        users.iter().any(|user| user.id.get() == *id && user.username == *username)
    };
    let known = MEMBERS.iter().filter(is_known).count();
    anyhow::ensure!(
        known > MEMBERS.len() / 2,
        "this is another community's data, not the demo's: `parlour serve` serves it"
    );
    Ok(())
}

/// Sends a file from bob to ann.
async fn attach(core: &Core, attachment: Attachment) -> anyhow::Result<()> {
    let (from, to) = (user(2), user(1));
    let incoming = |bytes: &[u8], name: &str| {
        let mut file = core.objects().spool()?;
        file.write_all(bytes)?;
        anyhow::Ok(Incoming { file, size: bytes.len() as u64, filename: Some(name.into()) })
    };
    let caller = Caller { user_id: from };
    let claims = Claims { duration: attachment.duration, ..Claims::default() };
    let file = incoming(&attachment.bytes, attachment.name)?;
    let (uuid, _) = upload(core, (caller, None), file, claims).await?;
    if let Some(thumbnail) = &attachment.thumbnail {
        upload_thumbnail(core, caller, uuid, incoming(thumbnail, attachment.name)?, Claims::default()).await?;
    }
    let request = SendRequest { recipients: vec![to], file: Some(uuid), ..SendRequest::default() };
    send_message(core, caller, request).await?;
    Ok(())
}

fn history(now: Timestamp) -> Vec<Record> {
    let mut records: Vec<Record> = MEMBERS
        .iter()
        .map(|(id, username, real_name)| {
            let change = UserChange {
                username: Some((*username).into()),
                real_name: Some((*real_name).into()),
                role: (*username == "lena").then_some(Some(Role::Moderator)),
                community_badge: (*username == "lena").then_some(true),
                date_joined: Some(now.plus_micros(-(400 - id) * 24 * 60 * MINUTE)),
                ..UserChange::default()
            };
            Record::User { id: user(*id), change: Box::new(change) }
        })
        .collect();
    for (follower, ..) in MEMBERS {
        let others = MEMBERS.iter().filter(|(followed, ..)| *followed != follower);
        records.extend(others.map(|(followed, ..)| Record::Follow {
            follower: user(follower),
            followed: user(*followed),
            created_at: None,
        }));
    }
    let mut next_message = FIRST_MESSAGE;
    for (age, (id, creator, other, messages)) in THREADS.into_iter().enumerate() {
        // Each thread ends a day earlier than the one before; its messages are seven minutes apart.
        let end = now.plus_micros(-(age as i64 * 24 * 60 + 10) * MINUTE);
        let at = |index: usize| end.plus_micros(-((messages - index) as i64) * 7 * MINUTE);
        let thread = ThreadId::new(id).expect("the demo's thread ids are small");
        records.push(Record::Thread {
            id: Some(thread),
            participants: [user(creator), user(other)],
            created_at: at(0),
        });
        for index in 0..messages {
            let (sender, receiver) = if index % 2 == 0 { (creator, other) } else { (other, creator) };
            records.push(Record::Message {
                id: MessageId::new(next_message),
                ext_id: format!("demo-{next_message}"),
                sender: user(sender),
                receiver: user(receiver),
                created_at: at(index),
                text: LINES[(index + age) % LINES.len()].into(),
                file: None,
                marks: Marks::default(),
            });
            next_message += 1;
        }
    }
    records
}

/// The members, as the first page shows them.
fn members() -> Vec<DemoMember> {
    let thread_of = |member: i64| {
        let thread = THREADS.into_iter().find(|(_, creator, other, _)| [*creator, *other].contains(&member));
        thread.and_then(|(id, ..)| ThreadId::new(id)).expect("each member of the demo has a thread")
    };
    let member = |(id, username, real_name)| DemoMember { id: user(id), username, real_name, thread: thread_of(id) };
    MEMBERS.map(member).to_vec()
}

const MINUTE: i64 = 60_000_000;

fn user(id: i64) -> UserId {
    UserId::new(id).expect("the demo's user ids are small")
}

/// Prints where to look, with tokens, on standard output: this is what a demo is for.
fn introduce(app: &App, address: SocketAddr) {
    let address = format!("http://{address}");
    println!("Parlour demo: {} members, each with a curl line, on {address}/", MEMBERS.len());
    println!("API documentation: {address}/docs/\n");
    for (id, username, _) in &MEMBERS[..2] {
        let token = app.auth.issue(user(*id), app.core.clock.now(), DEMO_TOKEN_TTL);
        println!("Get a thread, as {username} (member {id}):\n");
        println!(
            "curl -X GET '{address}/api/v2/pm/?thread=3' \\\n  -H 'Accept: application/json' \\\n  -H 'Authorization: Bearer {token}'\n"
        );
        println!("See what happens to {username}, as it happens:\n");
        println!("curl -N '{address}/api/v2/events/stream/' -H 'Authorization: Bearer {token}'\n");
        println!("{username}'s token: {token}\n");
    }
}
