//! Four layers, merged key by key, each value remembering where it came from.

use super::Config;
use super::keys::{KEYS, Key, PREFIX, find, split, variable_name};
use super::written::write_sections;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such key.
    #[error("{origin}: there is no setting {key:?}{}", nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    UnknownKey {
        /// The key as written.
        key: String,
        /// Where it stands.
        origin: String,
        /// The real key most like it.
        nearest: Option<String>,
    },
    /// A value cannot be used.
    #[error("{}{key}: {why}", if origin.is_empty() { String::new() } else { format!("{origin}: ") })]
    Value {
        /// The key.
        key: String,
        /// Where the value stands.
        origin: String,
        /// What is wrong; never the value of a secret.
        why: String,
    },
    /// A file cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A value given by a flag.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag, as typed.
    pub name: String,
    /// The key that it sets.
    pub key: String,
    /// The value, as typed.
    pub value: String,
}

/// The layers, from the weakest to the strongest.
#[derive(Default)]
pub struct Layers {
    values: Table,
    origins: BTreeMap<String, String>,
}

impl Layers {
    /// Merges the file, the environment and the flags over the defaults.
    ///
    /// # Errors
    /// The first key or value that cannot be used, with where it stands.
    pub fn merge(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let mut layers = Self { values: defaults(), origins: BTreeMap::new() };
        if let Some(path) = file {
            layers.file(path)?;
        }
        let mut environment: Vec<_> = environment.into_iter().collect();
        environment.sort();
        for (name, value) in environment {
            layers.variable(&name, value)?;
        }
        for flag in flags {
            let key = find_key(&flag.key, &flag.name)?;
            layers.set(key, typed(key, &flag.value, &flag.name)?, flag.name.clone());
        }
        Ok(layers)
    }

    /// The configuration that the layers make.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn config(&self) -> Result<Config, ConfigError> {
        // Section by section and key by key, so that an error can name the key and where its value came from.
        for key in KEYS {
            let mut probe = defaults();
            if let (Some(place), Some(value)) = (place(&mut probe, key.name), get(&self.values, key.name)) {
                *place = value.clone();
            }
            if let Err(error) = probe.try_into::<Config>() {
                let why = if key.secret { "is not valid".into() } else { error.message().to_owned() };
                return Err(ConfigError::Value { key: key.name.into(), origin: self.origin(key.name).into(), why });
            }
        }
        let config: Config = self.values.clone().try_into().map_err(|error: toml::de::Error| ConfigError::Value {
            key: "configuration".into(),
            origin: String::new(),
            why: error.message().to_owned(),
        })?;
        config.check().map_err(|error| match error {
            ConfigError::Value { key, why, .. } => ConfigError::Value { origin: self.origin(&key).into(), key, why },
            other => other,
        })?;
        Ok(config)
    }

    /// Where the value of `key` came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> &str {
        self.origins.get(key).map_or("default", String::as_str)
    }

    /// The merged configuration as TOML, each key with its origin, secrets masked.
    #[must_use]
    pub fn print(&self) -> String {
        write_sections(|key| {
            let value = get(&self.values, key.name).map(|value| mask(key, value)).unwrap_or_default();
            format!("{} = {value}  # {}\n", split(key.name).1, self.origin(key.name))
        })
    }

    fn set(&mut self, key: &Key, value: Value, origin: String) {
        if let Some(place) = place(&mut self.values, key.name) {
            *place = value;
        }
        self.origins.insert(key.name.into(), origin);
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let failed = |why: String| ConfigError::File { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            // The driver's own words would quote the line, secrets and all.
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            failed(format!("line {line} is not valid TOML: {}", error.message()))
        })?;
        let origin = path.display().to_string();
        self.section("", table, &origin)
    }

    /// Takes the keys of a section, and of those inside it.
    fn section(&mut self, section: &str, keys: Table, origin: &str) -> Result<(), ConfigError> {
        for (name, value) in keys {
            let is_quoted = name.contains('.');
            let name = if section.is_empty() { name } else { format!("{section}.{name}") };
            let is_section =
                KEYS.iter().any(|key| key.name.strip_prefix(&*name).is_some_and(|rest| rest.starts_with('.')));
            match (find(&name), value) {
                // A quoted name with a dot in it is no way into a section.
                _ if is_quoted => return Err(unknown(&name, origin)),
                (Some(key), value) => self.set(key, value, origin.to_owned()),
                (None, Value::Table(keys)) if is_section => self.section(&name, keys, origin)?,
                (None, _) => return Err(unknown(&name, origin)),
            }
        }
        Ok(())
    }

    fn variable(&mut self, name: &str, value: String) -> Result<(), ConfigError> {
        let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(()) };
        if rest == "CONFIG" {
            return Ok(());
        }
        if let Some(key) = KEYS.iter().find(|key| variable_name(key.name) == name) {
            self.set(key, typed(key, &value, name)?, name.to_owned());
            return Ok(());
        }
        let from_file = KEYS.iter().find(|key| key.secret && name == format!("{}_FILE", variable_name(key.name)));
        let Some(key) = from_file else {
            let names: Vec<String> = KEYS.iter().map(|key| variable_name(key.name)).collect();
            return Err(ConfigError::UnknownKey {
                key: name.into(),
                origin: "environment".into(),
                nearest: nearest(name, &names),
            });
        };
        let path = PathBuf::from(value);
        let text =
            std::fs::read_to_string(&path).map_err(|error| ConfigError::File { path, why: error.to_string() })?;
        let lines = text.trim_end_matches(['\r', '\n']);
        let value = match get(&defaults(), key.name) {
            Some(Value::Array(_)) => {
                let filled = lines.lines().map(str::trim).filter(|line| !line.is_empty());
                Value::Array(filled.map(|line| Value::String(line.into())).collect())
            }
            _ => Value::String(lines.into()),
        };
        self.set(key, value, name.to_owned());
        Ok(())
    }
}

/// The configuration without any layer over it.
pub(super) fn defaults() -> Table {
    Table::try_from(Config::default()).expect("the defaults are plain values")
}

/// The value of `section.name`.
pub(super) fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (first, rest) = key.split_once('.')?;
    rest.split('.').try_fold(table.get(first)?, |value, name| value.get(name))
}

fn place<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let (first, rest) = key.split_once('.')?;
    rest.split('.').try_fold(table.get_mut(first)?, |value, name| value.get_mut(name))
}

fn find_key(name: &str, origin: &str) -> Result<&'static Key, ConfigError> {
    find(name).ok_or_else(|| unknown(name, origin))
}

fn unknown(name: &str, origin: &str) -> ConfigError {
    let names: Vec<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    ConfigError::UnknownKey { key: name.into(), origin: origin.into(), nearest: nearest(name, &names) }
}

fn nearest(name: &str, names: &[String]) -> Option<String> {
    let likeness = |candidate: &String| strsim::jaro_winkler(name, candidate);
    names.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other))).cloned()
}

/// A text from the environment or a flag, in the type of the key's default.
fn typed(key: &Key, text: &str, origin: &str) -> Result<Value, ConfigError> {
    let wrong = |why: &str| ConfigError::Value { key: key.name.into(), origin: origin.into(), why: why.into() };
    match get(&defaults(), key.name) {
        Some(Value::Integer(_)) => text.parse().map(Value::Integer).map_err(|_| wrong("must be a whole number")),
        Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).map_err(|_| wrong("must be true or false")),
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.into())).collect()))
        }
        Some(Value::Table(_)) => {
            let written = format!("value = {text}").parse::<Table>().ok().filter(|written| written.len() == 1);
            let table = written.and_then(|mut written| written.remove("value")).filter(Value::is_table);
            table.ok_or_else(|| wrong("must be a table such as { \"section.name\" = \"text\" }"))
        }
        _ => Ok(Value::String(text.into())),
    }
}

fn mask(key: &Key, value: &Value) -> String {
    match value {
        Value::String(text) if key.name == "storage.database" => {
            Value::String(parlour_store::without_password(text)).to_string()
        }
        Value::String(text) if key.secret && !text.is_empty() => "\"***\"".into(),
        Value::Array(items) if key.secret && !items.is_empty() => {
            format!("[{}]", vec!["\"***\""; items.len()].join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parlour.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let flags: Vec<Flag> = flags
            .iter()
            .map(|(key, value)| Flag { name: "--set".into(), key: (*key).into(), value: (*value).into() })
            .collect();
        Layers::merge(Some(&path), environment, &flags)?.config()
    }

    #[test]
    fn every_key_is_explained_and_every_explanation_has_a_key() {
        let defaults = defaults();
        let mut real = Vec::new();
        let mut sections = vec![(String::new(), Value::Table(defaults))];
        while let Some((section, keys)) = sections.pop() {
            for (name, value) in keys.as_table().unwrap() {
                let name = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
                match value {
                    Value::Table(keys) if find(&name).is_none() => sections.push((name, Value::Table(keys.clone()))),
                    _ => real.push(name),
                }
            }
        }
        let mut explained: Vec<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
        real.sort();
        explained.sort();
        assert_eq!(real, explained);
    }

    #[test]
    fn each_layer_beats_the_one_below() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"\nmax_body = \"2MiB\"\n[paging]\nmax_limit = 50\n";
        let config = merge(
            file,
            &[("PARLOUR_SERVER_LISTEN", "127.0.0.1:2"), ("PARLOUR_PAGING_MAX_LIMIT", "60")],
            &[("server.listen", "127.0.0.1:3")],
        )
        .unwrap();
        assert_eq!(config.server.listen.port(), 3);
        assert_eq!(config.paging.max_limit, 60);
        assert_eq!(config.server.max_body, crate::config::ByteSize::mib(2));
        assert_eq!(config.paging.default_limit, 20);
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_real_one() {
        let error = merge("[server]\nlisen = \"x\"\n", &[], &[]).unwrap_err().to_string();
        assert!(error.contains("server.lisen") && error.contains("server.listen"), "{error}");
        let error = merge("", &[("PARLOUR_SERVER_LISTN", "x")], &[]).unwrap_err().to_string();
        assert!(error.contains("PARLOUR_SERVER_LISTN") && error.contains("PARLOUR_SERVER_LISTEN"), "{error}");
        let error = merge("", &[], &[("loglevel", "x")]).unwrap_err().to_string();
        assert!(error.contains("loglevel") && error.contains("log.level"), "{error}");
    }

    #[test]
    fn a_preference_is_typed_and_known_and_what_parlour_decides_stays() {
        let config = merge(
            "[preferences.text]\napplication_name = \"Allotments\"\n[preferences.other]\n\"text.slogan\" = \"Grow\"\n",
            &[("PARLOUR_PREFERENCES_ADDONS_PRIVATE_MESSAGES_ENABLED", "false")],
            &[("features.enabled", "webhook,headless")],
        )
        .unwrap();
        assert_eq!(config.preferences.text.application_name, "Allotments");
        assert_eq!(config.preferences.other["text.slogan"].as_str(), Some("Grow"));
        assert!(!config.preferences.addons.private_messages_enabled);
        assert_eq!(config.features.enabled, ["webhook", "headless"]);
        for (file, names) in [
            ("[preferences.text]\napplicationname = \"x\"\n", "preferences.text.application_name"),
            ("[preferences.text]\napplication_name = 7\n", "preferences.text.application_name"),
            ("[preferences.addons]\nprivate_messages_enabled = \"yes\"\n", "private_messages_enabled"),
            ("[preferences]\ntext = 7\n", "preferences.text"),
            ("[preferences.colours]\n", "preferences.colours"),
            ("[server]\nlistne = {}\n", "server.listne"),
            ("\"server.listen\" = \"127.0.0.1:1\"\n", "server.listen"),
            ("[preferences.other]\n\"configurations.follow_enabled\" = false\n", "configurations.follow_enabled"),
            ("[preferences.other]\n\"text.application_name\" = \"x\"\n", "preferences.text.application_name"),
            ("[preferences.other]\nslogan = \"x\"\n", "section.name"),
            ("[preferences.other]\n\"text.slogan\" = [1]\n", "text.slogan"),
            ("[features]\nenabled = [\"reaction\"]\n", "reaction"),
            ("[features]\nenabled = [\"flying\"]\n", "flying"),
        ] {
            let error = merge(file, &[], &[]).unwrap_err().to_string();
            assert!(error.contains(names), "{file}: {error}");
        }
    }

    #[test]
    fn a_table_comes_as_one_value_from_the_environment_and_from_flags() {
        let variable = |text: &str| merge("", &[("PARLOUR_PREFERENCES_OTHER", text)], &[]);
        let config = variable("{ \"text.slogan\" = \"Grow\" }").unwrap();
        assert_eq!(config.preferences.other["text.slogan"].as_str(), Some("Grow"));
        let config = merge("", &[], &[("preferences.other", "{ \"text.size\" = 7 }")]).unwrap();
        assert_eq!(config.preferences.other["text.size"].as_integer(), Some(7));
        for wrong in ["Grow", "7", "[1]", "{ \"text.slogan\" =", "{}\nx = 1"] {
            let error = variable(wrong).unwrap_err().to_string();
            assert!(error.contains("preferences.other"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_printed_and_what_is_given_as_an_example_are_configurations() {
        let file = "[preferences.other]\n\"text.slogan\" = \"Grow \\\"and\\\" share\"\n\"text.size\" = 7\n[features]\nenabled = [\"webhook\"]\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parlour.toml");
        std::fs::write(&path, file).unwrap();
        let layers = Layers::merge(Some(&path), [], &[]).unwrap();
        assert_eq!(merge(&layers.print(), &[], &[]).unwrap(), layers.config().unwrap());
        let all = crate::config::example()
            .lines()
            .map(|line| line.strip_prefix('#').unwrap_or(line))
            .fold(String::new(), |text, line| text + if line.starts_with(' ') { "" } else { line } + "\n");
        assert_eq!(merge(&all, &[], &[]).unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_value_names_its_key_and_where_it_stands() {
        let error = merge("", &[("PARLOUR_SERVER_HEADER_TIMEOUT", "soon")], &[]).unwrap_err().to_string();
        assert!(error.contains("PARLOUR_SERVER_HEADER_TIMEOUT") && error.contains("30s"), "{error}");
        let error = merge("", &[], &[("paging.max_limit", "many")]).unwrap_err().to_string();
        assert!(error.contains("paging.max_limit") && error.contains("whole number"), "{error}");
    }

    #[test]
    fn secrets_come_from_files_and_are_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        let environment = [("PARLOUR_AUTH_JWT_SECRET_FILE".to_owned(), path.display().to_string())];
        let layers = Layers::merge(None, environment, &[]).unwrap();
        let config = layers.config().unwrap();
        assert_eq!(config.auth.jwt_secret.expose(), "0123456789abcdef0123456789abcdef");
        assert!(!layers.print().contains("0123456789abcdef"));
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
        let error = merge("[auth]\njwt_secret = \"short\"\n", &[], &[]).unwrap_err().to_string();
        assert!(
            error.contains("auth.jwt_secret") && error.contains("32 bytes") && !error.contains("short\""),
            "{error}"
        );
    }

    #[test]
    fn an_empty_previous_secret_is_refused_and_an_empty_line_is_none() {
        let error = merge("[auth]\njwt_previous_secrets = [\"\"]\n", &[], &[]).unwrap_err().to_string();
        assert!(error.contains("auth.jwt_previous_secrets") && error.contains("32 bytes"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n\n").unwrap();
        let environment = [("PARLOUR_AUTH_JWT_PREVIOUS_SECRETS_FILE".to_owned(), path.display().to_string())];
        let config = Layers::merge(None, environment, &[]).unwrap().config().unwrap();
        assert_eq!(config.auth.jwt_previous_secrets.len(), 1);
    }

    #[test]
    fn what_could_only_fail_later_is_refused_at_once() {
        for (key, value) in [
            ("log.level", "=="),
            ("server.cors_origins", "https://app.example/"),
            ("server.cors_origins", "app.example"),
            ("messages.delete_window", "2h"),
        ] {
            let error = merge("", &[], &[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
