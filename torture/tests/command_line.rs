//! What the torturer says of itself, and what is said of it. That it has a test at all lets `cargo test` build the program, which the
//! tests run afterwards.

use std::path::Path;
use std::process::Command;

#[test]
fn a_scenario_that_is_not_there_is_refused_and_every_other_one_is_documented() {
    let torturer = Path::new(env!("CARGO_BIN_EXE_parlour-torture"));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(torturer);
    command.args(["--only", "kindness", "--folder"]).arg(folder.path());
    // Any file will do, since it is not run.
    let refused = command.arg("--parlour").arg(torturer).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    let (_, scenarios) = said.trim().split_once("the scenarios are ").expect("it names them");
    let documentation = include_str!("../../docs/RELIABILITY.md");
    for scenario in scenarios.split(", ") {
        assert!(documentation.contains(&format!("| `{scenario}` |")), "docs/RELIABILITY.md says nothing of {scenario}");
    }
    assert!(scenarios.contains("kill"));
}
