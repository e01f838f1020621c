//! Schemathesis: requests made up from the OpenAPI document, and every answer held against it, as each kind of caller there is.

use crate::process::{Server, command, output, root, run, target_folder};
use crate::tools::{PYTHON, ensure_tool, install};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Requests made up for an operation, unless told otherwise.
pub(crate) const EXAMPLES: u32 = 40;

/// What holds of every answer: no fault, no status, content type, header or shape that is not documented, no door without credentials.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
    response_headers_conformance,unsupported_method,ignored_auth";

/// Who calls. Each has a community of its own, so that none finds what another left.
#[derive(Clone, Copy, Debug)]
enum Caller {
    Anonymous,
    Member,
    Moderator,
    Backend,
}

/// Lets every kind of caller make `examples` requests an operation of a demo, and fails at the first answer that is not as documented.
pub(crate) fn run_schemathesis(binary: &Path, examples: u32) -> Result<()> {
    let schemathesis = installed()?;
    for caller in [Caller::Anonymous, Caller::Member, Caller::Moderator, Caller::Backend] {
        let data = tempfile::tempdir()?;
        let data_dir = data.path().join("demo");
        let data_dir = data_dir.to_str().context("a path in UTF-8")?;
        let server = Server::start(binary, &["demo", "--data-dir", data_dir])?;
        let bearer = caller.bearer(binary, data_dir)?;
        println!("as {caller:?}, {examples} requests an operation");
        let document = format!("{}/api/v2/openapi.json", server.url);
        let mut schemathesis = command(&schemathesis, &["run", &document, "--checks", CHECKS]);
        schemathesis
            .args(["--max-examples", &examples.to_string(), "--seed", "1", "--generation-database", "none"])
            // Its answer has no end.
            .args(["--exclude-operation-id", "stream_events"])
            .args(["--continue-on-failure", "--warnings", "off", "--no-color"])
            // It leaves files where it runs.
            .current_dir(data.path());
        if let Some(bearer) = bearer {
            schemathesis.arg("--header").arg(format!("Authorization: Bearer {bearer}"));
        }
        let ended = schemathesis.output().context("cannot run schemathesis")?;
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        ensure!(ended.status.success(), "as {caller:?}: {said}{}", String::from_utf8_lossy(&ended.stderr));
        // A run that tested nothing would pass as well.
        let end = |name: &str| said.lines().rev().find(|line| line.contains(name)).map(str::trim);
        println!("{}", end("passed").context("schemathesis says how much passed")?);
    }
    Ok(())
}

impl Caller {
    fn bearer(self, binary: &Path, data_dir: &str) -> Result<Option<String>> {
        let user = match self {
            Self::Anonymous => return Ok(None),
            Self::Backend => {
                let key = std::fs::read_to_string(Path::new(data_dir).join("admin.key"))?;
                return Ok(Some(key.trim().to_owned()));
            }
            Self::Member => "2",
            Self::Moderator => "12",
        };
        let token = output(&mut command(binary, &["token", "--user", user, "--data-dir", data_dir]))?;
        Ok(Some(token.trim().to_owned()))
    }
}

/// Where Schemathesis is, in an environment of its own under `target/`, made anew whenever the versions asked for change.
fn installed() -> Result<PathBuf> {
    let requirements = root().join("tests/clients/schemathesis/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements)?;
    let folder = target_folder().join("schemathesis");
    let (environment, done) = (folder.join("venv"), folder.join("installed"));
    let program = environment.join("bin/schemathesis");
    if std::fs::read_to_string(&done).is_ok_and(|done| done == wanted) && program.exists() {
        return Ok(program);
    }
    ensure_tool(&PYTHON)?;
    // Debian's Python comes without what an environment is made of.
    let mut look = command(PYTHON.program, &["-c", "import ensurepip, venv"]);
    if !look.stderr(Stdio::null()).status()?.success() {
        install(&PYTHON)?;
    }
    std::fs::create_dir_all(&folder)?;
    run(command(PYTHON.program, &["-m", "venv", "--clear"]).arg(&environment))?;
    let pip = environment.join("bin/pip");
    run(command(pip, &["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&requirements))?;
    std::fs::write(&done, wanted)?;
    Ok(program)
}
