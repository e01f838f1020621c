//! What members write, and what lets them in, stays out of the log, of error answers and of the answers to others: shown on the
//! built binary, at its most talkative.

mod files;

use files::{only_the_two_see_their_files, refused_uploads_say_nothing};
use parlour_testkit::{both_databases, environment, http_client_builder};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PM: &str = "/api/v2/pm/";

/// Stands in texts that Ann writes to Bob. In upper case, as nothing but texts is.
const TEXT: &str = "CANARYINTEXT";
/// Stands in a text that is sent and deleted again.
const DELETED_TEXT: &str = "CANARYINDELETEDTEXT";
/// Stands in texts that are refused.
const REFUSED_TEXT: &str = "CANARYINREFUSEDTEXT";
/// Stands in search terms.
const TERM: &str = "CANARYINTERM";
/// Stands in addresses that lead nowhere.
const ADDRESS: &str = "CANARYINADDRESS";
/// Stands in place of a token.
const NO_TOKEN: &str = "CANARYINTOKEN";

const CANARIES: [&str; 6] = [TEXT, DELETED_TEXT, REFUSED_TEXT, TERM, ADDRESS, NO_TOKEN];

const METRICS: &str = "metrics.listen=127.0.0.1:0";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// `parlour`, with nothing of this process's environment but the data directory's database.
fn parlour(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
    command.env_clear().args(arguments).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    command.envs(environment(data_dir));
    command
}

/// Runs a command to its end and answers what it printed.
fn run(data_dir: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = parlour(data_dir, arguments).output().expect("parlour runs");
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8").trim().to_owned()
}

/// The running binary.
struct Served {
    child: Child,
    folder: TempDir,
    base: String,
    http: Client,
}

impl Drop for Served {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Ann (1), Bob (2) and Cid (3), all following each other, and a server that logs all it can.
    fn start(format: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data_dir = folder.path().join("data");
        for (id, name) in [("1", "ann"), ("2", "bob"), ("3", "cid")] {
            run(&data_dir, &["user", "add", "--id", id, "--username", name]);
        }
        for (follower, followed) in [("1", "2"), ("2", "1"), ("1", "3"), ("3", "1")] {
            run(&data_dir, &["follow", follower, followed]);
        }
        let log = File::create(folder.path().join("log")).expect("a log file");
        let format = format!("log.format={format}");
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--set", "log.level=trace", "--set", &format, "--set", METRICS];
        // Each request has a connection of its own, as refused bodies cost the connection they came on.
        let http = http_client_builder().pool_max_idle_per_host(0).build().expect("a client");
        let mut command = parlour(&data_dir, &arguments);
        let both = log.try_clone().expect("a second handle");
        let child = command.stdout(both).stderr(log).spawn().expect("parlour runs");
        let mut served = Self { child, folder, base: String::new(), http };
        served.base = served.wait_for_address("listening");
        served.wait_for_address("serving metrics");
        served
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// All that the process has written.
    fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).expect("the log");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The address that the log names behind these words.
    fn wait_for_address(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(words) && line.contains("127.0.0.1:"));
            if let Some(rest) = line.and_then(|line| line.split("127.0.0.1:").nth(1)) {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                return format!("http://127.0.0.1:{port}");
            }
            assert!(self.child.try_wait().expect("a child").is_none(), "the server ended: {log}");
            assert!(Instant::now() < deadline, "the server does not listen: {log}");
            std::thread::yield_now();
        }
    }

    fn token(&self, user: &str) -> String {
        run(&self.data_dir(), &["token", "--user", user])
    }

    /// Asks the process to end, and waits until it has.
    fn stop(&mut self) -> ExitStatus {
        let asked =
            Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().expect("kill runs");
        assert!(asked.success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not stop");
            std::thread::yield_now();
        }
    }

    /// Somebody who uses the server.
    fn visitor(&self, token: &str) -> Visitor {
        Visitor { base: self.base.clone(), http: self.http.clone(), token: token.into() }
    }
}

/// Somebody with credentials, who keeps in mind what the server said.
struct Visitor {
    base: String,
    http: Client,
    token: String,
}

/// A status, and the answer with all its headers as one text.
struct Said {
    status: StatusCode,
    whole: String,
    body: Value,
}

impl Visitor {
    async fn ask(&self, method: Method, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Said {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.header("content-type", content_type).body(body.into()).send().await.expect("an answer");
        let (status, head) = (response.status(), format!("{:?}", response.headers()));
        let text = response.text().await.expect("a whole body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Said { status, whole: head + &text, body }
    }

    /// GET from another address.
    async fn ask_at(&self, base: &str, path: &str) -> Said {
        let other = Self { base: base.to_owned(), http: self.http.clone(), token: self.token.clone() };
        other.get(path).await
    }

    async fn get(&self, path: &str) -> Said {
        self.ask(Method::GET, path, "application/json", "").await
    }

    async fn delete(&self, path: &str) -> Said {
        self.ask(Method::DELETE, path, "application/json", "").await
    }

    async fn post(&self, path: &str, body: Value) -> Said {
        self.ask(Method::POST, path, "application/json", body.to_string()).await
    }

    async fn send(&self, to: i64, text: &str) -> Said {
        self.post(PM, json!({ "recipients": [to], "message": text, "file_uuid": null })).await
    }
}

#[track_caller]
fn assert_free_of(whole: &str, secrets: &[&str], about: &str) {
    for secret in secrets {
        if let Some(at) = whole.find(secret) {
            let around: String = whole[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{about} says {secret} after {around:?}");
        }
    }
}

/// Bodies that are refused, each with the canary in it.
fn refused_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let canary = REFUSED_TEXT;
    let text = |text: String| text.into_bytes();
    let broken = |before: &str, after: &str| [before.as_bytes(), canary.as_bytes(), b"\xFF", after.as_bytes()].concat();
    let part = "--cut\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n";
    vec![
        (json, text(format!(r#"{{"recipients":[2],"message":"{}"}}"#, canary.repeat(1_000)))),
        (json, text(format!(r#"{{"recipients":[2],"message":"{canary}\u0000"}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":["{canary}"]}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":{{"text":"{canary}"}}}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":"{canary}","message":"{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":"{canary}","message":"{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":["{canary}"],"message":"{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":"{canary}","file_uuid":"{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":"{canary}","group":"{canary}"}}"#))),
        (json, text(format!(r#"{{"group":1,"message":"{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":[1],"message":"{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":[777],"message":"{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":"{canary}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":{canary}}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":"\ud800{canary}"}}"#))),
        (json, text(format!(r#"{{"recipients":[2],"message":"{canary}"}} {canary}"#))),
        (json, text(format!(r#"["{canary}"]"#))),
        (json, text(format!(r#""{canary}""#))),
        (json, text(canary.into())),
        (json, broken(r#"{"recipients":[2],"message":""#, r#""}"#)),
        (form, text(format!("message={canary}%FF&recipients=2"))),
        (form, text(format!("message={canary}&message={canary}&recipients=2"))),
        (form, text(format!("message={canary}&recipients=[{canary}"))),
        (form, text(format!("message={canary}&recipients={canary}"))),
        ("multipart/form-data; boundary=cut", broken(part, "\r\n--cut--\r\n")),
        ("multipart/form-data; boundary=cut", text(format!("{part}{canary}"))),
        ("multipart/form-data", text(format!("{part}{canary}"))),
        ("text/plain", text(canary.into())),
        (json, text(format!(r#"{{"recipients":[2],"message":"{}"}}"#, canary.repeat(200_000)))),
    ]
}

async fn refused_sends_say_nothing(ann: &Visitor) {
    for (content_type, body) in refused_bodies() {
        let about = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
        let said = ann.ask(Method::POST, PM, content_type, body).await;
        assert!(said.status.is_client_error(), "{about}: {}", said.whole);
        assert_free_of(&said.whole, &CANARIES, &about);
    }
}

async fn refused_questions_say_nothing(ann: &Visitor) {
    let paths = [
        format!("/{ADDRESS}"),
        format!("/api/v2/{ADDRESS}/"),
        format!("/api/v2/pm/{ADDRESS}/"),
        format!("/api/v2/user/{ADDRESS}/"),
        format!("/docs/{ADDRESS}"),
        format!("{PM}?thread={ADDRESS}"),
        format!("{PM}?user={ADDRESS}%FF"),
        format!("{PM}?cursor={ADDRESS}"),
        format!("{PM}?limit={ADDRESS}&limit={ADDRESS}"),
        format!("/api/v2/pm/search/?user={TERM}%FF"),
        format!("/api/v2/pm/search/?user={TERM}&user={TERM}"),
        format!("/api/v2/pm/search/?user={TERM}&limit=x"),
    ];
    for path in &paths {
        for method in [Method::GET, Method::DELETE, Method::PUT] {
            let said = ann.ask(method, path, "application/json", "").await;
            assert!(said.status.is_client_error(), "{path}: {}", said.whole);
            assert_free_of(&said.whole, &CANARIES, path);
        }
    }
    let searched = ann.get(&format!("/api/v2/pm/search/?user={TERM}")).await;
    assert_eq!((searched.status, searched.body["count"].clone()), (StatusCode::OK, json!(0)));
}

async fn refused_credentials_say_nothing(served: &Served, good: &str) {
    let tampered = format!("{NO_TOKEN}{good}");
    for token in [NO_TOKEN, &format!("{good}{NO_TOKEN}"), &tampered] {
        let said = served.visitor(token).get(PM).await;
        assert_eq!(said.status, StatusCode::UNAUTHORIZED);
        assert_free_of(&said.whole, &[NO_TOKEN, good], "a refused token");
        let said = served.visitor(token).post("/api/v2/jwt/verify_token/", json!({ "token": token })).await;
        assert_eq!(said.status, StatusCode::UNAUTHORIZED);
        assert_free_of(&said.whole, &[NO_TOKEN, good], "a refused verification");
        let said = served.visitor(token).post("/api/v2/admin/users/", json!({ "users": [] })).await;
        assert_eq!(said.status, StatusCode::UNAUTHORIZED);
        assert_free_of(&said.whole, &[NO_TOKEN, good], "a refused admin key");
    }
}

/// Sends, reads and deletes, and asserts that Cid, who is no part of it, is told nothing.
async fn only_the_two_see_their_texts(ann: &Visitor, bob: &Visitor, cid: &Visitor) {
    let sent = ann.send(2, &format!("see {TEXT}")).await;
    assert_eq!(sent.status, StatusCode::CREATED);
    let (message, thread) = (&sent.body[0]["id"], &sent.body[0]["thread_id"]);
    assert!(bob.get(&format!("{PM}?thread={thread}")).await.whole.contains(TEXT));
    cid.send(1, "hello from cid").await;
    let asked = [
        cid.get(PM).await,
        cid.get(&format!("{PM}?thread={thread}")).await,
        cid.get(&format!("{PM}?user=1")).await,
        cid.get(&format!("{PM}?user=2")).await,
        cid.get(&format!("{PM}{message}/")).await,
        cid.delete(&format!("{PM}{message}/")).await,
        cid.delete(&format!("{PM}?thread={thread}")).await,
        cid.get("/api/v2/pm/search/?user=a").await,
        cid.get("/api/v2/user/1/").await,
        cid.get("/api/v2/user/2/").await,
        cid.get("/api/v2/user/me/").await,
        cid.get("/api/v2/user/1/followers/").await,
        cid.get("/api/v2/user/1/settings/").await,
    ];
    for said in asked {
        assert_free_of(&said.whole, &CANARIES, "an answer to Cid");
    }
    let slip = ann.send(2, &format!("oh {DELETED_TEXT}")).await;
    assert!(bob.get(&format!("{PM}?thread={thread}")).await.whole.contains(DELETED_TEXT));
    assert_eq!(ann.delete(&format!("{PM}{}/", slip.body[0]["id"])).await.status, StatusCode::NO_CONTENT);
    for reader in [ann, bob] {
        for path in [PM.to_owned(), format!("{PM}?thread={thread}"), format!("{PM}{}/", slip.body[0]["id"])] {
            assert_free_of(&reader.get(&path).await.whole, &[DELETED_TEXT], "an answer after the deletion");
        }
    }
    assert_eq!(bob.delete(&format!("{PM}?user=1")).await.status, StatusCode::NO_CONTENT);
}

async fn nothing_private_is_logged(format: &str) {
    let mut served = Served::start(format);
    let tokens = ["1", "2", "3"].map(|user| served.token(user));
    let secret =
        |file: &str| std::fs::read_to_string(served.data_dir().join(file)).expect("a secret").trim().to_owned();
    let (jwt_secret, admin_key) = (secret("jwt.secret"), secret("admin.key"));
    let [ann, bob, cid] = tokens.each_ref().map(|token| served.visitor(token));

    only_the_two_see_their_texts(&ann, &bob, &cid).await;
    refused_sends_say_nothing(&ann).await;
    refused_questions_say_nothing(&ann).await;
    refused_credentials_say_nothing(&served, &tokens[0]).await;
    let links = only_the_two_see_their_files(&ann, &bob, &cid).await;
    refused_uploads_say_nothing(&ann).await;
    let metrics = served.visitor("").ask_at(&served.wait_for_address("serving metrics"), "/metrics").await;
    assert!(metrics.whole.contains("/api/v2/pm/upload/"), "{}", metrics.whole);
    let backend = served.visitor(&admin_key);
    let added = backend.post("/api/v2/admin/users/", json!({ "users": [{ "id": 4, "username": "dan" }] })).await;
    assert_eq!(added.status, StatusCode::OK);

    assert!(served.stop().success(), "the server stops in good order: {}", served.log());
    let log = served.log();
    assert!(log.contains("/api/v2/pm/"), "the log has a line for every request: {log}");
    let signatures = tokens.each_ref().map(|token| token.rsplit('.').next().expect("a signature"));
    let mut secrets: Vec<&str> = tokens.iter().map(String::as_str).chain(signatures).collect();
    secrets.extend([jwt_secret.as_str(), &admin_key]);
    assert_free_of(&log, &secrets, "the log");
    assert_free_of(&log, &CANARIES, "the log");
    assert_free_of(&log, &["hello from cid"], "the log");
    secrets.extend(links.iter().map(String::as_str));
    secrets.extend([files::NAME, files::CONTENT, files::REFUSED]);
    for (whole, about) in [(&log, "the log"), (&metrics.whole, "the metrics")] {
        assert_free_of(whole, &secrets, about);
        assert_free_of(whole, &CANARIES, about);
    }
}

#[both_databases]
async fn a_log_for_people_holds_nothing_private() {
    nothing_private_is_logged("human").await;
}

#[both_databases]
async fn a_log_for_machines_holds_nothing_private() {
    nothing_private_is_logged("json").await;
}

/// The printed configuration is what people paste into a request for help.
#[test]
fn the_printed_configuration_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "CANARYINSECRET-of-at-least-thirty-two-bytes";
    for key in ["auth.jwt_secret", "auth.admin_key"] {
        let set = format!("{key}={secret}");
        let Output { stdout, stderr, .. } =
            parlour(folder.path(), &["config", "print", "--set", &set]).output().unwrap();
        let printed = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_free_of(&printed, &[secret], key);
        let Output { stdout, stderr, status } =
            parlour(folder.path(), &["config", "print", "--set", &format!("{key}=CANARYINSHORT")]).output().unwrap();
        let printed = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert!(!status.success(), "{key}: a short secret is refused: {printed}");
        assert_free_of(&printed, &["CANARYINSHORT"], key);
    }
}
