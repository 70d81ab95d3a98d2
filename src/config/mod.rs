//! The server's configuration: its options with their defaults, read from a TOML file, overridden by
//! flags and environment variables, and validated.
//!
//! To add an option: add a field with its kind of value (see `values`), its default, its lines in
//! config/server.toml, and its row in README.md. A range belongs to the kind of value; what two options
//! require of each other belongs to `Config::conflict`.

mod admin;
mod file;
mod values;

use std::{
    fmt::{self, Display, Formatter},
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::admin::{AdminConfig, NotAToken, Token};
pub(crate) use self::values::{choice::parse as choice, sessions::expected as expected_sessions};
pub(crate) use self::{admin::read_token, values::socket_or_off::parse as socket_or_off};
use self::{file::Source, values::Choice};
pub use crate::{
    address::{BindAddress, HostPort},
    desk::names::{Name, Names},
    wire::framing::{LineEnd, SendEnd},
};
use crate::{
    events::wording::os_error_text,
    wire::{framing::Framing, outbox::BATCH_OVERHEAD},
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

/// A device that the hub connects to, and connects to again after each end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// The device's address, `HOST:PORT`.
    #[serde(with = "values::host_port")]
    pub address: HostPort,
    /// The session's name. Default: the one that `[names]` gives its address, if any.
    #[serde(default, with = "values::name", skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What ends its lines. Default: `lines.end`.
    #[serde(default, with = "values::optional_choice", skip_serializing_if = "Option::is_none")]
    pub end: Option<LineEnd>,
    /// What the hub sends after each line. Default: `lines.send_end`.
    #[serde(default, with = "values::optional_choice", skip_serializing_if = "Option::is_none")]
    pub send_end: Option<SendEnd>,
    /// A pause that also ends its lines, or `Some(None)` for none. Default: `lines.gap`.
    #[serde(default, with = "values::optional_pause", skip_serializing_if = "Option::is_none")]
    pub gap: Option<Option<Duration>>,
    /// The first pause before it connects again. It doubles after each attempt, up to `retry_max`.
    /// Default: 1 s.
    #[serde(default = "Connect::default_retry", with = "values::duration")]
    pub retry: Duration,
    /// The longest pause. Default: 30 s.
    #[serde(default = "Connect::default_retry_max", with = "values::duration")]
    pub retry_max: Duration,
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
    /// client's slot is freed. [`listener::bind`](crate::net::listener::bind) says what happens to data
    /// in flight. Whole seconds, 1 to 32,767. Default: 60 s.
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

impl Default for Listen {
    fn default() -> Self {
        Self {
            port: 4444,
            bind: Ipv4Addr::UNSPECIFIED.into(),
            max_sessions: 4,
            workers: 1,
            reverse: true,
            greeting: true,
            telnet: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_line: 64 << 10, outbox: 1 << 20 }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            slot: Some(Duration::from_millis(250)),
            stall: Duration::from_secs(10),
            idle: None,
            keepalive: Some(Duration::from_secs(60)),
            drain: Duration::from_secs(5),
        }
    }
}

impl Connect {
    /// A device with the default pauses.
    pub fn new(address: HostPort) -> Self {
        let (retry, retry_max) = (Self::default_retry(), Self::default_retry_max());
        Self { address, name: None, end: None, send_end: None, gap: None, retry, retry_max }
    }

    /// How its lines are divided, if `lines` is how those of clients are.
    pub(crate) fn framing(&self, lines: Framing) -> Framing {
        Framing {
            end: self.end.unwrap_or(lines.end),
            send_end: self.send_end.unwrap_or(lines.send_end),
            gap: self.gap.unwrap_or(lines.gap),
            ..lines
        }
    }

    fn default_retry() -> Duration {
        Duration::from_secs(1)
    }

    fn default_retry_max() -> Duration {
        Duration::from_secs(30)
    }
}

/// The device as reports name it.
impl Display for Connect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.name {
            None => self.address.fmt(f),
            Some(name) => write!(f, "{name} at {}", self.address),
        }
    }
}

impl Choice for Commands {
    const ALL: &'static [Self] = &[Self::Auto, Self::On, Self::Off];

    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

impl Choice for Format {
    const ALL: &'static [Self] = &[Self::Text, Self::Json];

    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Choice for LineEnd {
    const ALL: &'static [Self] = &[Self::Lf, Self::Cr, Self::Nul, Self::Any];

    fn word(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::Cr => "cr",
            Self::Nul => "nul",
            Self::Any => "any",
        }
    }
}

impl Choice for SendEnd {
    const ALL: &'static [Self] = &[Self::Lf, Self::CrLf, Self::Cr];

    fn word(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::CrLf => "crlf",
            Self::Cr => "cr",
        }
    }
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
    /// For `admin.listen`; `Some(None)` for `"off"`.
    pub admin: Option<Option<SocketAddr>>,
    /// For `admin.token_file`.
    pub admin_token: Option<Token>,
}

/// Why a configuration cannot be used, as one plain sentence.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file does not exist or cannot be read.
    #[error("{file}: {}", os_error_text(.source))]
    Unreadable {
        /// The file's name.
        file: String,
        /// The error of the system.
        source: io::Error,
    },
    /// A value is wrong, or the file is not TOML.
    #[error("{}{problem}", prefix(.location.as_ref()))]
    Invalid {
        /// Where the value is, if it is in a file.
        location: Option<Location>,
        /// The value's key, such as `limits.outbox`; empty if the file is not TOML.
        key: String,
        /// Which key is wrong, and what was expected.
        problem: String,
    },
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's name.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl Display for Location {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

fn prefix(location: Option<&Location>) -> String {
    location.map(|location| format!("{location}: ")).unwrap_or_default()
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
            admin,
            admin_token,
        } = overrides.clone();
        set(&mut self.server.port, port);
        set(&mut self.server.bind, bind);
        set(&mut self.server.max_sessions, max_sessions);
        set(&mut self.console.format, format);
        set(&mut self.console.commands, commands);
        set(&mut self.server.reverse, reverse);
        set(&mut self.console.timestamps, timestamps);
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
