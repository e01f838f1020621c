//! A server is started, reached, stopped, killed and gone. These tests need PostgreSQL's programs, but no root.

use private_postgres::{Cluster, Durability, Programs, Setup};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the test that is killed prints before its server's whereabouts.
const WHEREABOUTS: &str = "whereabouts ";

#[test]
fn the_url_leads_to_a_database_of_the_roles_own() {
    let cluster = Cluster::start(Durability::None).unwrap();
    cluster.create_database("O'Brien \"1\"").unwrap();
    let url = cluster.url("O'Brien \"1\"");
    assert_eq!(psql(&url, "create table t (n bigint); insert into t values (7); select n from t"), "7");
    assert_eq!(psql(&url, "select current_user, current_database()"), "parlour|O'Brien \"1\"");
    psql(&cluster.url("postgres"), "create database second");
    assert_eq!(psql(&cluster.url("second"), "show server_encoding"), "UTF8");
    assert_eq!(psql(&cluster.url("second"), "select rolsuper from pg_roles where rolname = current_user"), "f");
    assert_eq!(cluster.sql("postgres", "show fsync; show max_connections;").unwrap(), "off\n400");
    cluster.create_database_from("third", "O'Brien \"1\"").unwrap();
    assert_eq!(psql(&cluster.url("third"), "select n from t"), "7");
    cluster.drop_database("third").unwrap();
    cluster.drop_database("third").unwrap();
    assert!(cluster.sql("third", "select 1").unwrap_err().to_string().contains("does not exist"));
}

#[test]
fn nobody_comes_in_without_the_password() {
    let cluster = Cluster::start(Durability::None).unwrap();
    let url = format!("postgres://{}:wrong@127.0.0.1:{}/postgres", cluster.user(), cluster.port());
    let refused = client(&url, "select 1").output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("password authentication failed"));
}

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let cluster = Setup::new(Durability::Real).setting("log_statement", "all").start().unwrap();
    assert_eq!(cluster.sql("postgres", "show fsync; show full_page_writes").unwrap(), "on\non");
    let (url, port) = (cluster.url("postgres"), cluster.port());
    cluster.create_database("kept").unwrap();
    cluster.sql("kept", "create table t (n bigint); insert into t values (7)").unwrap();
    cluster.kill().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it is down");
    assert!(cluster.sql("kept", "select 1").is_err());
    cluster.start_again().unwrap();
    assert_eq!(cluster.sql("kept", "select n from t").unwrap(), "7");
    cluster.restart().unwrap();
    assert_eq!(cluster.sql("kept", "select n from t").unwrap(), "7");
    assert_eq!((cluster.url("postgres"), cluster.port()), (url, port));
    let log = cluster.log().unwrap();
    assert!(log.contains("automatic recovery in progress") && log.contains("insert into t values (7)"), "{log}");
}

#[test]
fn nothing_is_left_behind() {
    let elsewhere = tempfile::tempdir().unwrap();
    let others = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(elsewhere.path(), others).unwrap();
    if Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0" {
        assert!(Command::new("chown").arg("postgres").arg(elsewhere.path()).status().unwrap().success());
    }
    let cluster = Setup::new(Durability::None).data_in(elsewhere.path()).start().unwrap();
    assert!(cluster.data_folder().starts_with(elsewhere.path()) && cluster.data_folder().join("PG_VERSION").exists());
    let (process, port) = (cluster.process_id().unwrap(), cluster.port());
    assert!(runs(process));
    drop(cluster);
    assert!(!runs(process) && TcpStream::connect(("127.0.0.1", port)).is_err());
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_left_behind_when_its_owner_is_killed() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "waits_to_be_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().split_once(WHEREABOUTS).map(|(_, rest)| rest.to_owned())).unwrap();
    let (process, data) = line.split_once(' ').unwrap();
    let (process, data) = (process.parse().unwrap(), Path::new(data));
    assert!(runs(process) && data.exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while runs(process) || data.parent().unwrap().exists() {
        assert!(Instant::now() < deadline, "process {process} or {} is still there", data.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "never ends: another test runs it and kills it"]
fn waits_to_be_killed() {
    let cluster = Cluster::start(Durability::None).unwrap();
    println!("{WHEREABOUTS}{} {}", cluster.process_id().unwrap(), cluster.data_folder().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn tls_is_vouched_for_by_the_authority() {
    let cluster = Setup::new(Durability::None).tls().start().unwrap();
    let authority = cluster.authority_file().unwrap().display().to_string();
    let url = format!("{}?sslmode=verify-full&sslrootcert={authority}", cluster.url("postgres"));
    assert_eq!(psql(&url, "select ssl from pg_stat_ssl where pid = pg_backend_pid()"), "t");
    let stranger = Setup::new(Durability::None).tls().start().unwrap();
    let other = format!("{}?sslmode=verify-full&sslrootcert={authority}", stranger.url("postgres"));
    let refused = client(&other, "select 1").output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("certificate verify failed"), "{refused:?}");
}

#[test]
fn text_is_sorted_by_its_bytes_or_as_in_english() {
    let sorted = |setup: Setup| {
        let cluster = setup.start().unwrap();
        cluster.create_database("words").unwrap();
        cluster.sql("words", "select string_agg(w, ' ' order by w) from unnest(array['a', 'B', 'c']) w").unwrap()
    };
    assert_eq!(sorted(Setup::new(Durability::None)), "B a c");
    assert_eq!(sorted(Setup::new(Durability::None).sorting_as_in_english()), "a B c");
}

#[test]
fn a_setting_that_does_not_exist_is_named() {
    let error = Setup::new(Durability::None).setting("no_such_setting", "1").start().unwrap_err();
    assert!(format!("{error:#}").contains("unrecognized configuration parameter \"no_such_setting\""), "{error:#}");
}

#[test]
fn the_programs_say_what_they_are() {
    let programs = Programs::find().unwrap();
    assert!((15..=18).contains(&programs.version()));
    assert!(programs.to_string().starts_with(&format!("PostgreSQL {} in /", programs.version())), "{programs}");
}

/// As a developer's own client, by the URL alone.
fn client(url: &str, statement: &str) -> Command {
    let mut client = Command::new("psql");
    client.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement]);
    client
}

fn psql(url: &str, statement: &str) -> String {
    let output = client(url, statement).output().expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

/// Whether a process is there and has not ended; one that has, and that nobody has waited for yet, stands in no folder.
fn runs(process: u32) -> bool {
    std::fs::read_link(format!("/proc/{process}/cwd")).is_ok()
}

#[test]
fn a_server_begins_with_the_data_of_another_and_with_passwords_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let first = Cluster::start(Durability::None).unwrap();
    first.create_database("kept").unwrap();
    psql(&first.url("kept"), "create table t (n bigint); insert into t values (7)");
    first.stop().unwrap();
    let copied = Command::new("cp").arg("--archive").args([first.data_folder(), &kept]).status().unwrap();
    assert!(copied.success());
    let second = Setup::new(Durability::None).copy_of(&kept).start().unwrap();
    assert_eq!(psql(&second.url("kept"), "select n from t"), "7");
    assert_eq!(second.sql("kept", "select current_user").unwrap(), "postgres");
    let password = first.url("kept").replace(&first.port().to_string(), &second.port().to_string());
    assert!(!client(&password, "select 1").output().unwrap().status.success(), "the first one's password is no good");
}
