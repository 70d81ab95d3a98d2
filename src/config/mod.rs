//! The server's configuration: its options with their defaults, read from a TOML file, overridden by
//! flags and environment variables, and validated.
//!
//! To add an option: add a field with its kind of value (see `values`), its default, its lines in
//! config/server.toml, and its row in docs/configuration.md. A range belongs to the kind of value; what
//! two options require of each other belongs to `Config::conflict`.

mod admin;
mod connect;
mod defaults;
mod error;
mod file;
mod values;

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::file::Source;
pub(crate) use self::values::{
    choice::parse as choice, file::parse as file_name, sessions::expected as expected_sessions,
};
pub(crate) use self::{admin::read_token, values::socket_or_off::parse as socket_or_off};
pub use self::{
    admin::{AdminConfig, NotAToken, Token},
    connect::Connect,
    error::{ConfigError, Location},
};
use crate::wire::{framing::Framing, outbox::BATCH_OVERHEAD};
pub use crate::{
    address::{BindAddress, HostPort},
    desk::names::{Name, Names},
    wire::framing::{LineEnd, SendEnd},
};

/// How many sessions [`Listen::max_sessions`] may allow.
pub const SESSIONS: RangeInclusive<usize> = 1..=1_000_000;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: Listen,
    /// `[lines]`
    pub lines: LinesConfig,
    /// `[limits]`
    pub limits: Limits,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[console]`
    pub console: ConsoleConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[names]`: names for clients, by address. Default: none.
    #[serde(with = "values::names")]
    pub names: Names,
    /// `[[connect]]`: devices that the hub connects to. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect: Vec<Connect>,
}

/// Where to listen, and for how many clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// TCP port; 0 picks a free one. Default: 4444.
    #[serde(deserialize_with = "values::port")]
    pub port: u16,
    /// IP address of this host, with its zone if it is link-local; `::` serves both IPv4 and IPv6.
    /// Default: `0.0.0.0`.
    #[serde(with = "values::address")]
    pub bind: BindAddress,
    /// Clients at once, within [`SESSIONS`]; further ones are refused. Default: 4.
    #[serde(with = "values::sessions")]
    pub max_sessions: usize,
    /// Event loops that share the sessions, 1 to 64. Default: 1, which is as fast as more of them
    /// where the kernel does most of the work.
    #[serde(with = "values::workers")]
    pub workers: usize,
    /// Whether client lines are reversed, or shown as they were sent. Default: true.
    pub reverse: bool,
    /// Whether admitted clients are greeted with `220`; refused ones always get `421`. Default: true.
    pub greeting: bool,
    /// Whether telnet commands are answered and removed; if not, their bytes are data. Default: true.
    pub telnet: bool,
}

/// How clients' lines end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinesConfig {
    /// What ends a client's line. Default: LF.
    #[serde(with = "values::choice")]
    pub end: LineEnd,
    /// What the hub sends after each line. Default: LF.
    #[serde(with = "values::choice")]
    pub send_end: SendEnd,
    /// A pause of this length also ends a client's line. Default: `None`.
    #[serde(with = "values::duration_or_off")]
    pub gap: Option<Duration>,
}

/// Limits on memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest line in bytes, its end not counted; a longer one is discarded and reported.
    /// Default: 64 KiB.
    #[serde(with = "values::size")]
    pub max_line: usize,
    /// Bytes that may be queued for one client, including [`BATCH_OVERHEAD`] for each batch of lines.
    /// The larger it is, the further a slow client can lag before it delays the others.
    /// Default: 1 MiB.
    #[serde(with = "values::size")]
    pub outbox: usize,
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// How long a new client waits for a free slot before it is refused. Default: 250 ms. `None`: it is
    /// refused at once.
    #[serde(with = "values::wait_or_off")]
    pub slot: Option<Duration>,
    /// How long a client's full outbox may delay the operator before its session is closed.
    /// Default: 10 s.
    #[serde(with = "values::duration")]
    pub stall: Duration,
    /// A session whose client has sent nothing for this long is closed. Default: `None`, never.
    #[serde(with = "values::duration_or_off")]
    pub idle: Option<Duration>,
    /// After this much silence the kernel probes whether the peer is still there, so that a dead
    /// client's slot is freed. While data is unacknowledged, a time-out takes the place of the probes.
    /// Whole seconds, 1 to 32,767. Default: 60 s.
    #[serde(with = "values::keepalive")]
    pub keepalive: Option<Duration>,
    /// How long stopping may take; lines that are still queued then are dropped. Default: 5 s.
    #[serde(with = "values::duration")]
    pub drain: Duration,
}

/// What the operator sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// The format of stdout. Default: text.
    #[serde(with = "values::choice")]
    pub format: Format,
    /// Whether each line of the text format starts with its time. Default: false.
    pub timestamps: bool,
    /// Whether operator lines that start with `/` are commands. Default: `Auto`.
    #[serde(with = "values::choice")]
    pub commands: Commands,
    /// Whether the text format has colors. Default: `Auto`.
    #[serde(with = "values::choice")]
    pub color: Color,
}

/// Whether the text format has colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// At a terminal, unless the environment variable `NO_COLOR` is set.
    #[default]
    Auto,
    /// On any output.
    Always,
    /// On none.
    Never,
}

/// The file that gets every event as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Its name. Default: `None`, no log.
    #[serde(with = "values::optional_file", skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A file of this many bytes is renamed to `FILE.1`, and older ones to `FILE.2` and so on. Default:
    /// `None`, never.
    #[serde(with = "values::large_size_or_off")]
    pub rotate: Option<u64>,
    /// How many renamed files are kept, 0 to 10,000. Default: 7.
    #[serde(deserialize_with = "values::files")]
    pub keep: u32,
}

/// Whether operator lines that start with `/` are commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commands {
    /// If the operator is a person at a terminal.
    #[default]
    Auto,
    /// They are.
    On,
    /// They are lines like any other.
    Off,
}

/// The format of a program's stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A transcript for people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// What flags and environment variables set. It overrides the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// For `server.port`.
    pub port: Option<u16>,
    /// For `server.bind`.
    pub bind: Option<BindAddress>,
    /// For `server.max_sessions`.
    pub max_sessions: Option<usize>,
    /// For `console.format`.
    pub format: Option<Format>,
    /// For `server.reverse`.
    pub reverse: Option<bool>,
    /// For `console.timestamps`.
    pub timestamps: Option<bool>,
    /// For `console.commands`.
    pub commands: Option<Commands>,
    /// For `log.file`.
    pub log: Option<PathBuf>,
    /// For `console.color`.
    pub color: Option<Color>,
    /// For `admin.listen`; `Some(None)` for `"off"`.
    pub admin: Option<Option<SocketAddr>>,
    /// For `admin.token_file`.
    pub admin_token: Option<Token>,
}

/// Values that are possible by themselves but not together.
struct Conflict {
    /// The keys, the one to change first.
    keys: [&'static str; 2],
    problem: String,
}

impl Config {
    /// Reads the file, if there is one, applies what overrides it, and validates the result.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unreadable`] and [`ConfigError::Invalid`].
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let source = file.map(Source::read).transpose()?;
        Self::build(source.as_ref(), overrides)
    }

    /// Parses and validates the text of a file; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`].
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ConfigError> {
        Self::build(Some(&Source::named(file, text)), &Overrides::default())
    }

    /// Checks every value by itself, and then those that depend on each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] without a location.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_with(None)
    }

    /// The configuration as the text of a file with the same meaning.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if a value has no form in TOML. A valid configuration has no such value.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Invalid {
            location: None,
            key: String::new(),
            problem: format!("the configuration cannot be written as TOML: {error}"),
        })
    }

    /// How the streams of clients are divided into lines.
    pub(crate) fn framing(&self) -> Framing {
        let LinesConfig { end, send_end, gap } = self.lines;
        Framing { end, send_end, gap, telnet: self.server.telnet }
    }

    fn build(source: Option<&Source>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut config = match source {
            Some(source) => source.parse()?,
            None => Self::default(),
        };
        config.apply(overrides);
        config.validate_with(source)?;
        Ok(config)
    }

    fn apply(&mut self, overrides: &Overrides) {
        let Overrides {
            port,
            bind,
            max_sessions,
            format,
            commands,
            reverse,
            timestamps,
            log,
            color,
            admin,
            admin_token,
        } = overrides.clone();
        set(&mut self.server.port, port);
        set(&mut self.server.bind, bind);
        set(&mut self.server.max_sessions, max_sessions);
        set(&mut self.console.format, format);
        set(&mut self.console.commands, commands);
        set(&mut self.console.color, color);
        set(&mut self.server.reverse, reverse);
        set(&mut self.console.timestamps, timestamps);
        if log.is_some() {
            self.log.file = log;
        }
        set(&mut self.admin.listen, admin);
        set(&mut self.admin.token, admin_token.map(Some));
    }

    /// Validates values that may have come from this source, among others.
    fn validate_with(&self, source: Option<&Source>) -> Result<(), ConfigError> {
        // The rule for each value is beside its field, and applies when the value is read. Writing the
        // configuration and reading it back applies the same rules to values that were set in code.
        Source::written_from(self)?.parse()?;
        match self.conflict() {
            None => Ok(()),
            Some(Conflict { keys, problem }) => Err(ConfigError::Invalid {
                location: source.and_then(|source| source.location_of(&keys)),
                key: keys[0].to_owned(),
                problem,
            }),
        }
    }

    fn conflict(&self) -> Option<Conflict> {
        if let Some(conflict) = self.admin.conflict() {
            return Some(conflict);
        }
        if let Some(device) = self.connect.iter().find(|device| device.retry > device.retry_max) {
            let (retry, most) = (device.retry, device.retry_max);
            let problem = format!(
                "connect: retry ({retry:?}) is longer than retry_max ({most:?}) for {device}: \
                 expected retry_max to be at least as long"
            );
            return Some(Conflict { keys: ["connect", "connect"], problem });
        }
        let Limits { max_line, outbox } = self.limits;
        let least = max_line + self.lines.send_end.as_bytes().len() + BATCH_OVERHEAD;
        (outbox < least).then(|| Conflict {
            keys: ["limits.outbox", "limits.max_line"],
            problem: format!(
                "limits.outbox ({outbox} bytes) cannot hold a longest line (limits.max_line, \
                 {max_line} bytes): expected limits.outbox to be at least {least}"
            ),
        })
    }
}

fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

#[cfg(test)]
mod tests;
