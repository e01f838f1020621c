//! The configuration as it is written for people: the example file and the reference.

use super::keys::{KEYS, Key, split, variable_name};
use super::layers::{defaults, get};
use std::fmt::Write as _;

/// Writes `line` for every key, under the names of their sections.
pub(super) fn write_sections(mut line: impl FnMut(&Key) -> String) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        let (of, _) = split(key.name);
        if of != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{of}]");
            section = of;
        }
        text.push_str(&line(key));
    }
    text
}

fn default_of(key: &Key) -> String {
    get(&defaults(), key.name).map(ToString::to_string).unwrap_or_default()
}

/// The environment variables that set a key.
fn variables(key: &Key) -> Vec<String> {
    let variable = variable_name(key.name);
    let file = key.secret.then(|| format!("{variable}_FILE"));
    std::iter::once(variable).chain(file).collect()
}

/// The example file: every key with its default, each explained.
#[must_use]
pub fn example() -> String {
    let head = "# Parlour's configuration. Everything here is optional and shows its default.\n\
                # Stronger than this file: the environment (PARLOUR_SERVER_LISTEN for server.listen; PARLOUR_AUTH_JWT_SECRET_FILE\n\
                # reads a secret from a file), then flags (--listen, --set server.listen=...).\n\
                # Made by `parlour config example`.\n\n";
    let body = write_sections(|key| {
        format!("# {}\n# {}\n#{} = {}\n", key.doc, variables(key).join(", "), split(key.name).1, default_of(key))
    });
    format!("{head}{body}")
}

/// The reference, in Markdown: every key with its default, its environment variables and what it is for.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\nMade by `parlour config reference`, from the code.\n\n\
         Defaults < TOML file (`--config FILE` or `PARLOUR_CONFIG`) < environment < flags (`--set section.key=value`). Durations and sizes \
         are texts, such as `30s` and `20MiB`; in the environment and in flags, the items of a list stand between commas. An unknown key is \
         an error that names the nearest real one.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (of, name) = split(key.name);
        if of != section {
            let _ = write!(
                text,
                "\n## {of}\n\n| key | default | environment | what it is for |\n| --- | --- | --- | --- |\n"
            );
            section = of;
        }
        let variables: Vec<String> = variables(key).iter().map(|variable| format!("`{variable}`")).collect();
        let doc = key.doc.replace('|', "\\|");
        let _ = writeln!(text, "| `{name}` | `{}` | {} | {doc} |", default_of(key), variables.join("<br>"));
    }
    text
}
