//! Configuration as TOML text: reading it, writing it, and finding the line that an error is about.

use std::{fs, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, ConfigError, Location};
use crate::events::wording::one_line;

/// The sections of [`Config`]. serde would accept an array for each of them, too.
pub(super) const SECTIONS: [&str; 8] =
    ["server", "lines", "limits", "timeouts", "console", "log", "admin", "names"];

/// TOML text that is to be read as a [`Config`].
pub(super) struct Source {
    /// The file's name for error messages. None if the text was generated from a [`Config`].
    file: Option<String>,
    text: String,
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self { file: Some(file), text }),
            Err(source) => Err(ConfigError::Unreadable { file, source }),
        }
    }

    pub(super) fn named(file: &str, text: &str) -> Self {
        Self { file: Some(file.to_owned()), text: text.to_owned() }
    }

    /// The text of a configuration that is not from a file, or no longer only from a file.
    pub(super) fn written_from(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self { file: None, text: config.to_toml()? })
    }

    /// Reads every value and checks it by itself.
    pub(super) fn parse(&self) -> Result<Config, ConfigError> {
        let table = DeTable::parse(&self.text)
            .map_err(|error| self.error(error.span(), String::new(), error.message()))?;
        for (key, value) in table.get_ref() {
            let (name, found) = (key.get_ref(), value.get_ref());
            let wrong = if SECTIONS.contains(&name.as_ref()) {
                (!found.is_table()).then_some((value.span(), found))
            } else {
                // Each device is a table, too.
                let mut devices = found.as_array().into_iter().flatten();
                let device = devices.find(|device| !device.get_ref().is_table());
                device.map(|device| (device.span(), device.get_ref()))
            };
            if let Some((span, found)) = wrong {
                let problem = format!("invalid type: {}, expected a table", found.type_str());
                return Err(self.error(Some(span), name.to_string(), &problem));
            }
        }
        serde_path_to_error::deserialize(toml::Deserializer::from(table)).map_err(|error| {
            let key = error.path().to_string();
            let problem = match error.inner().message() {
                // The parser stops at 128 bits, before it asks what was expected.
                "integer number overflowed" => "invalid value, expected a smaller number",
                message => message,
            };
            self.error(error.inner().span(), key, problem)
        })
    }

    /// The location of the value of the first of these keys that the file contains.
    pub(super) fn location_of(&self, keys: &[&str]) -> Option<Location> {
        let table = DeTable::parse(&self.text).ok()?;
        let value = keys.iter().find_map(|key| value_of(table.get_ref(), key))?;
        self.location(value.span().start)
    }

    fn location(&self, start: usize) -> Option<Location> {
        let file = self.file.clone()?;
        let before = self.text.get(..start).unwrap_or(&self.text);
        Some(Location { file, line: 1 + before.matches('\n').count() })
    }

    /// An error about the text in this range. The key is empty if the text is not TOML.
    fn error(
        &self,
        span: Option<std::ops::Range<usize>>,
        key: String,
        problem: &str,
    ) -> ConfigError {
        let location = self.location(span.map_or(0, |span| span.start));
        let problem = if key.is_empty() { problem.to_owned() } else { format!("{key}: {problem}") };
        // A key can contain any character.
        ConfigError::Invalid { location, problem: one_line(&problem), key }
    }
}

/// The value of a dotted key.
fn value_of<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    match key.split_once('.') {
        Some((section, rest)) => value_of(table.get(section)?.get_ref().as_table()?, rest),
        None => table.get(key),
    }
}
