//! The project's own commands. `cargo xtask test` is what CI runs; nothing needs to be installed before it but a Rust toolchain.

mod bench;
mod clients;
mod corpus;
mod fuzz;
mod postgres;
mod process;
mod schemathesis;
mod test;
mod tools;
mod torture;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  test                     everything CI checks: format, lints, tests, the official SDK and UI against a running server
  bench [--quick] [--json] [--only NAME] [--scale N] [--database postgres]
                           measures every figure beside its floor and its bar
  bench --profile LOAD     shows where a server spends its time: thread, thread-cold, inbox, inbox-cold or send
  fuzz [--seconds N] [--only NAME]
                           runs the fuzz targets, 60 s each
  schemathesis [--examples N]
                           makes up requests from the OpenAPI document and holds every answer against it
  torture [--small] [--only NAME] [--cuts N] [--json] [--allow-missing]
                           kills the server, cuts its power, fills its disk, floods it, and counts what is lost; --small needs no root
  postgres [COMMAND]       a PostgreSQL server for COMMAND, or for `cargo test` in another terminal, until Ctrl-C
  docs                     writes the generated files again: parlour.example.toml, docs/CONFIGURATION.md
  screenshot               takes the pictures in docs/images of a running demo, in a real browser
  corpus convert FILE      turns a chat corpus (one conversation a line, plain or gzip) into an import, on standard output
  corpus check FILE        imports that corpus into a fresh server and reads every message back through the API";

fn schemathesis(examples: u32) -> anyhow::Result<()> {
    schemathesis::run_schemathesis(&process::release_binary()?, examples)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::test(),
        ["bench", arguments @ ..] => bench::bench(arguments),
        ["fuzz", arguments @ ..] => fuzz::fuzz(arguments),
        ["schemathesis"] => schemathesis(schemathesis::EXAMPLES),
        ["schemathesis", "--examples", examples] => match examples.parse() {
            Ok(examples) => schemathesis(examples),
            Err(_) => Err(anyhow::anyhow!("--examples takes a whole number")),
        },
        ["torture", arguments @ ..] => torture::torture(arguments),
        ["postgres", on_it @ ..] => postgres::postgres(on_it),
        ["docs"] => test::write_generated_files(),
        ["screenshot"] => clients::screenshot(),
        ["corpus", "convert", file] => corpus::convert(file),
        ["corpus", "check", file] => corpus::check(file),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
