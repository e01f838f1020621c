//! The command line, as an operator types it, by itself and beside a running server.

use parlour_testkit::{Backend, TestServer, backend, both_databases, environment, http_client, run_sql};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// The binary under test, with an environment that configures nothing but the data directory's database.
pub(crate) fn parlour(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
    let foreign = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PARLOUR_"));
    for (name, _) in foreign {
        command.env_remove(name);
    }
    command.envs(environment(data_dir));
    command.args(arguments).arg("--data-dir").arg(data_dir);
    command
}

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    parlour(data_dir, arguments).output().unwrap()
}

#[track_caller]
pub(crate) fn done(data_dir: &Path, arguments: &[&str]) -> String {
    let output = run(data_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn failed(data_dir: &Path, arguments: &[&str]) -> String {
    let output = run(data_dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn json(data_dir: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(data_dir, &[arguments, &["--json"]].concat())).unwrap()
}

#[both_databases]
async fn members_added_beside_a_running_server_are_there_at_once() {
    let server = TestServer::with(|config| config.auth.jwt_secret = parlour_server::config::Secret::default()).await;
    let data = server.data_dir();
    let add = ["user", "add", "--id", "7", "--username", "ann", "--real-name", "Ann B.", "--ext-id", "a-7"];
    assert_eq!(done(&data, &add), "7  ann  Ann B.\n");
    done(&data, &["user", "add", "--id", "8", "--username", "bob", "--avatar", "https://example.org/bob.png"]);
    done(&data, &["follow", "8", "7"]);
    let (ann, bob) = (server.sign_in(7, "ann"), server.sign_in(8, "bob"));
    ann.send(&bob, "hello").await;
    assert_eq!(bob.get("/api/v2/user/me/").await.expect(200)["avatar"], "https://example.org/bob.png");

    done(&data, &["unfollow", "8", "7"]);
    ann.try_send(&bob, "still there?").await.refused(403, "permission_denied");
    done(&data, &["follow", "8", "7"]);
    done(&data, &["user", "block", "7"]);
    ann.try_send(&bob, "blocked").await.refused(403, "permission_denied");
    assert_eq!(ann.get("/api/v2/user/me/").await.expect(200)["status"], "b");
    done(&data, &["user", "unblock", "7"]);
    ann.send(&bob, "back again").await;
    done(&data, &["user", "delete", "7"]);
    ann.get("/api/v2/user/me/").await.refused(401, "authentication_failed");
    assert_eq!(bob.thread_with(&ann, "").await["results"][0]["sender"]["deleted"], true);
}

#[both_databases]
async fn members_are_listed_shown_and_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    done(data, &["user", "add", "--id", "1", "--username", "ann", "--role", "moderator"]);
    done(data, &["user", "add", "--id", "2", "--username", "bob"]);
    assert_eq!(done(data, &["user", "list"]), "1  ann  moderator\n2  bob\n");
    let shown = json(data, &["user", "show", "1"]);
    assert_eq!(
        (&shown["username"], &shown["role"], &shown["status"]),
        (&json!("ann"), &json!("moderator"), &json!("a"))
    );
    assert!(failed(data, &["user", "show", "3"]).contains("there is no user 3"));
    assert!(failed(data, &["user", "add", "--id", "1", "--username", "eve"]).contains("there is a user 1 already"));
    assert!(
        failed(data, &["user", "add", "--id", "3", "--username", " "])
            .contains("username: This field may not be blank.")
    );
    assert!(
        failed(data, &["user", "add", "--id", "3", "--username", "x", "--avatar", "javascript:1"]).contains("avatar")
    );
    assert!(failed(data, &["follow", "1", "9"]).contains("does not exist"));
    assert_eq!(run(data, &["user", "add", "--id", "0", "--username", "x"]).status.code(), Some(2), "a wrong usage");
    assert_eq!(json(data, &["follow", "1", "2"])["changed"], true);
    assert_eq!(json(data, &["follow", "1", "2"])["changed"], false);
}

#[both_databases]
async fn a_token_is_printed_alone_and_opens_the_door() {
    let server = TestServer::with(|config| config.auth.jwt_secret = parlour_server::config::Secret::default()).await;
    server.member(7, "ann").await;
    let printed = done(&server.data_dir(), &["token", "--user", "7", "--ttl", "90d"]);
    let token = printed.strip_suffix('\n').unwrap();
    assert_eq!(token.split('.').count(), 3, "nothing but a token");
    assert_eq!(server.visitor_with(token).get("/api/v2/user/me/").await.expect(200)["id"], 7);
}

#[test]
fn secrets_and_an_sqlite_database_are_made_once_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = done(&data, &["token", "--user", "1"]);
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("."), mode("jwt.secret"), mode("admin.key")), (0o700, 0o600, 0o600));
    done(&data, &["migrate"]);
    assert_eq!(mode("parlour.db"), 0o600);
    let secret = std::fs::read_to_string(data.join("jwt.secret")).unwrap();
    done(&data, &["token", "--user", "1"]);
    assert_eq!(std::fs::read_to_string(data.join("jwt.secret")).unwrap(), secret);
    assert!(!first.contains(&secret));
}

#[both_databases]
async fn the_schema_is_brought_up_once_and_a_newer_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert_eq!(
        done(data, &["migrate"]),
        "0001_init\n0002_find_imported\n0003_files\n0004_notifications\n0005_signals\n"
    );
    assert_eq!(done(data, &["migrate"]), "The database is up to date.\n");
    match backend() {
        Backend::Sqlite => set_schema_version(&data.join("parlour.db"), 999),
        Backend::Postgres => run_sql(data, "insert into schema_migrations (number, name) values (999, 'later')"),
    }
    for command in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"], &["user", "list"]] {
        let error = failed(data, command);
        assert!(error.contains("schema version 999") && error.contains("knows only up to 5"), "{error}");
    }
}

/// Writes `PRAGMA user_version` where SQLite keeps it: four bytes at offset 60 of a database without a log.
fn set_schema_version(path: &Path, version: u32) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&version.to_be_bytes(), 60).unwrap();
}

#[test]
fn operators_are_told_what_every_error_code_means() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATIONS.md");
    let document = std::fs::read_to_string(document).unwrap();
    for code in parlour_types::ErrorCode::ALL {
        assert!(document.contains(&format!("`{}`", code.as_str())), "{}", code.as_str());
    }
}

#[test]
fn the_configuration_is_printed_checked_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for (what, file) in [("example", "parlour.example.toml"), ("reference", "docs/CONFIGURATION.md")] {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        let committed = std::fs::read_to_string(committed).unwrap();
        assert_eq!(done(data, &["config", what]), committed, "write {file} again with: cargo xtask docs");
    }
    let printed = done(data, &["config", "print", "--set", "paging.max_limit=50"]);
    assert!(
        printed.contains("max_limit = 50  # --set") && printed.contains("default_limit = 20  # default"),
        "{printed}"
    );
    assert!(done(data, &["config", "check"]).contains("good"));
    assert!(
        failed(data, &["config", "check", "--set", "paging.max_limt=50"])
            .contains("did you mean \"paging.max_limit\"?")
    );
    let printed = done(data, &["config", "print", "--database", "postgres://me:secret@localhost/db"]);
    assert!(printed.contains("postgres://***@localhost/db") && !printed.contains("secret@"), "{printed}");
    for (address, why) in [
        ("postgres://me:hidden@localhost/db?sslmode=maybe", "sslmode must be"),
        ("postgres://me:hidden@localhost:many/db", "it must be postgres://"),
        ("postgres:///db", "it names no host"),
        ("postgres://localhost/db", "it names no user"),
        ("mysql://me:hidden@localhost/db", "it must be sqlite:PATH or postgres://"),
    ] {
        let error = failed(data, &["config", "check", "--database", address]);
        assert!(error.contains(why) && !error.contains("hidden"), "{error}");
    }
}

#[test]
fn the_version_and_the_openapi_document_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let version = Command::new(env!("CARGO_BIN_EXE_parlour")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("parlour {}\n", env!("CARGO_PKG_VERSION")));
    let document: Value = serde_json::from_str(&done(folder.path(), &["openapi"])).unwrap();
    assert_eq!(document["info"]["title"], "Parlour");
}

#[both_databases]
async fn the_health_check_tells_a_server_that_works_from_one_that_does_not() {
    let server = TestServer::start().await;
    let (data, address) = (server.data_dir(), format!("server.listen={}", server.address));
    let check = ["healthcheck", "--set", &address];
    // On a thread of its own, so that the server can answer.
    let ready = parlour(&data, &check);
    let ready = tokio::task::spawn_blocking(move || { ready }.output().unwrap()).await.unwrap();
    assert_eq!(ready.stdout, b"ready\n");
    drop(server);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(failed(&data, &["healthcheck", "--set", &format!("server.listen={nobody}")]).contains("no server answers"));
}

/// A process in the background, killed when it goes away.
pub(crate) struct Background(Child);

impl Background {
    pub(crate) fn new(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A demo in the background.
pub(crate) struct Demo {
    _process: Background,
    introduction: String,
}

impl Demo {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &["--socket-listen", "off"])
    }

    pub(crate) fn start_with(data: &Path, flags: &[&str]) -> Self {
        Self::start_command(parlour(data, &[&["demo", "--listen", "127.0.0.1:0"], flags].concat()))
    }

    pub(crate) fn start_command(mut command: Command) -> Self {
        let mut process = Background(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut introduction = String::new();
        for line in BufReader::new(process.0.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let last = line.starts_with("Stop with");
            introduction.push_str(&line);
            introduction.push('\n');
            if last {
                break;
            }
        }
        Self { _process: process, introduction }
    }

    /// What it printed.
    pub(crate) fn introduction(&self) -> &str {
        &self.introduction
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        let address = self.introduction.split("http://").nth(1).unwrap();
        format!("http://{}", address.split('/').next().unwrap())
    }

    /// The printed curl line of the `nth` member, run by a real curl-like shell: here, by its address and token.
    pub(crate) fn request(&self, nth: usize) -> (String, String) {
        let line = self.introduction.split("curl -X GET '").nth(nth + 1).unwrap();
        let address = line.split('\'').next().unwrap();
        let token = line.split("Bearer ").nth(1).unwrap().split('\'').next().unwrap();
        (address.to_owned(), token.to_owned())
    }
}

#[both_databases]
async fn the_demo_shows_the_same_community_at_every_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let demo = Demo::start(folder.path());
        for nth in 0..2 {
            let (address, token) = demo.request(nth);
            assert!(address.ends_with("/api/v2/pm/?thread=3"), "the seed page's own request: {address}");
            let page = http_client().get(address).bearer_auth(token).send().await.unwrap();
            let page: Value = page.json().await.unwrap();
            assert_eq!(page["results"].as_array().unwrap().len(), 20);
            counts.push(page["count"].as_i64().unwrap());
        }
    }
    assert!(counts[0] > 200, "long enough to page");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[both_databases]
async fn a_server_told_to_stop_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = parlour(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the server says that it listens");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(
        !folder.path().join("parlour.db-wal").exists(),
        "a clean stop folds the log into the file: one file to back up"
    );
}

/// What a send was answered with 201 is on disk, whatever happens to the process in the next instant.
#[both_databases]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for (id, name) in [("1", "ann"), ("2", "bob")] {
        done(data, &["user", "add", "--id", id, "--username", name]);
    }
    done(data, &["follow", "2", "1"]);
    let token = done(data, &["token", "--user", "1", "--ttl", "1h"]);
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let (mut server, address) = serve(data);
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..8 {
            senders.spawn(send_until_it_dies(address.clone(), token.trim().to_owned(), format!("{round}-{sender}")));
        }
        // Some sends are under way when the first one is known to be done.
        let first = senders.join_next().await;
        server.kill();
        acknowledged.extend(first.unwrap().unwrap());
        acknowledged.extend(senders.join_all().await.into_iter().flatten());
    }
    assert!(acknowledged.len() >= 5, "there is something to lose");
    let (_server, address) = serve(data);
    let stored = all_texts(&address, token.trim()).await;
    for text in &acknowledged {
        assert_eq!(stored.iter().filter(|stored| *stored == text).count(), 1, "{text}");
    }
}

/// `parlour serve` on a free port, listening.
pub(crate) fn serve(data: &Path) -> (Background, String) {
    serve_with(data, &[])
}

pub(crate) fn serve_with(data: &Path, flags: &[&str]) -> (Background, String) {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--set", "log.format=json"];
    let mut command = parlour(data, &[&serve, flags].concat());
    let mut server = Background(command.stderr(Stdio::piped()).spawn().unwrap());
    for line in BufReader::new(server.0.stderr.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if line["message"] == "listening" {
            return (server, format!("http://{}", line["address"].as_str().unwrap()));
        }
    }
    panic!("the server ended before it listened");
}

/// Sends, each message under a key of its own, until the connection breaks or twenty are done, and answers what was acknowledged.
async fn send_until_it_dies(address: String, token: String, name: String) -> Vec<String> {
    let http = http_client();
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let text = format!("{name}-{number}");
        let body = json!({ "recipients": [2], "message": text });
        let request =
            http.post(format!("{address}/api/v2/pm/")).bearer_auth(&token).header("Idempotency-Key", &text).json(&body);
        match request.send().await {
            Ok(answer) if answer.status() == 201 => acknowledged.push(text),
            Ok(answer) => panic!("{text} was answered {}", answer.status()),
            Err(_) => break,
        }
    }
    acknowledged
}

async fn all_texts(address: &str, token: &str) -> Vec<String> {
    let http = http_client();
    let mut texts = Vec::new();
    let mut next = Some(format!("{address}/api/v2/pm/?user=2&limit=100"));
    while let Some(url) = next {
        let page: Value = http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
        texts.extend(page["results"].as_array().unwrap().iter().map(|row| row["message"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    }
    texts
}
