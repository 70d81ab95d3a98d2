//! The server's configuration: a TOML file and what overrides it, validated once. After that
//! nothing is optional.

mod file;

use std::{
    fmt::{self, Display, Formatter},
    fs, io,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::Path,
    str::FromStr,
    time::Duration,
};

use thiserror::Error;

use self::file::File;
use crate::{
    events::wording::{one_line, os_error_text},
    wire::outbox::BATCH_OVERHEAD,
};

/// Sessions that may be asked for.
pub const SESSIONS: RangeInclusive<usize> = 1..=1_000_000;

const WORKERS: RangeInclusive<usize> = 1..=64;

/// Sizes in bytes that may be asked for.
const SIZES: RangeInclusive<u64> = 1..=1 << 30;

/// Durations that may be asked for: a year is for ever, and nothing overflows.
const DURATIONS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 60 * 60);

/// What TCP_KEEPIDLE takes (tcp(7)).
const KEEPALIVES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32_767);

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `[server]`
    pub server: Listen,
    /// `[limits]`
    pub limits: Limits,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[console]`
    pub console: ConsoleConfig,
}

/// Where to listen, and for how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// TCP port. 0 takes a free one. Default: 4444.
    pub port: u16,
    /// IP address of this host. `::` serves IPv4 and IPv6 both. Default: `0.0.0.0`.
    pub bind: IpAddr,
    /// Clients at once, 1 to 1,000,000; the next is refused. Default: 4.
    pub max_sessions: usize,
    /// Event loops that the sessions are spread over, 1 to 64. Default: 1, which is as fast as more
    /// where the kernel does most of the work.
    pub workers: usize,
}

/// How much of anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line in bytes, its end not counted; a longer one is discarded and reported.
    /// Default: 64 KiB.
    pub max_line: usize,
    /// Bytes that may wait for one client, [`BATCH_OVERHEAD`] for each batch of lines included. A
    /// client that is slower than the operator has this much time to catch up before it holds up
    /// the others. Default: 1 MiB.
    pub outbox: usize,
}

/// How long anything may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long a full outbox may hold up the hub; then its client is let go. Default: 10 s.
    pub stall: Duration,
    /// A client that has sent nothing for so long is let go. Default: none is.
    pub idle: Option<Duration>,
    /// After so much silence the kernel asks whether the peer is still there, so that a dead one
    /// frees its place. See [`listener::bind`](crate::net::listener::bind) for what is on its way then.
    /// Whole seconds, 1 to 32,767. Default: 60 s.
    pub keepalive: Option<Duration>,
    /// How long stopping may take; then what still waits is dropped. Default: 5 s.
    pub drain: Duration,
}

/// What the operator sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleConfig {
    /// What stdout says. Default: text.
    pub format: Format,
}

/// What a program says on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A transcript, to be read.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Default for Listen {
    fn default() -> Self {
        Self { port: 4444, bind: Ipv4Addr::UNSPECIFIED.into(), max_sessions: 4, workers: 1 }
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
            stall: Duration::from_secs(10),
            idle: None,
            keepalive: Some(Duration::from_secs(60)),
            drain: Duration::from_secs(5),
        }
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json"),
        }
    }
}

impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// What comes from flags and the environment, and beats the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// For `server.port`.
    pub port: Option<u16>,
    /// For `server.bind`.
    pub bind: Option<IpAddr>,
    /// For `server.max_sessions`.
    pub max_sessions: Option<usize>,
    /// For `console.format`.
    pub format: Option<Format>,
}

/// Why a configuration is not one, in one plain sentence.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is no such file, or it cannot be read.
    #[error("{file}: {}", os_error_text(.source))]
    Unreadable {
        /// The file.
        file: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Something in the file is wrong.
    #[error("{file}:{line}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// Which key, and what was expected.
        problem: String,
    },
}

impl Config {
    /// Reads the file, if there is one, and applies what overrides it.
    ///
    /// # Errors
    ///
    /// Both of [`ConfigError`].
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(path) = file {
            let file = path.display().to_string();
            match fs::read_to_string(path) {
                Ok(text) => config = Self::from_toml(&text, &file)?,
                Err(source) => return Err(ConfigError::Unreadable { file, source }),
            }
        }
        config.apply(overrides);
        Ok(config)
    }

    /// Parses and validates the text of a file; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`].
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ConfigError> {
        let invalid = |start: usize, problem: &str| {
            let before = text.get(..start).unwrap_or(text);
            let line = 1 + before.matches('\n').count();
            // Keys are of any characters.
            let problem = one_line(problem);
            ConfigError::Invalid { file: file.to_owned(), line, problem }
        };
        let file = File::parse(text).map_err(|(start, problem)| invalid(start, &problem))?;
        let mut config = Self::default();
        // The one that the sentence begins with, if the file has it.
        let blamed = file.limits.outbox.as_ref().or(file.limits.max_line.as_ref());
        let blamed = blamed.map_or(0, |size| size.span().start);
        file.server.apply(&mut config.server);
        file.limits.apply(&mut config.limits);
        file.timeouts.apply(&mut config.timeouts);
        set(&mut config.console.format, file.console.format);
        let Limits { max_line, outbox } = config.limits;
        let least = max_line + 1 + BATCH_OVERHEAD;
        if outbox < least {
            return Err(invalid(
                blamed,
                &format!(
                    "limits.outbox ({outbox} bytes) cannot hold a longest line (limits.max_line, \
                     {max_line} bytes): expected limits.outbox to be at least {least}"
                ),
            ));
        }
        Ok(config)
    }

    fn apply(&mut self, overrides: &Overrides) {
        let Overrides { port, bind, max_sessions, format } = *overrides;
        set(&mut self.server.port, port);
        set(&mut self.server.bind, bind);
        set(&mut self.server.max_sessions, max_sessions);
        set(&mut self.console.format, format);
    }

    /// The configuration as a file would say it.
    pub fn to_toml(&self) -> String {
        let Listen { port, bind, max_sessions, workers } = &self.server;
        let Limits { max_line, outbox } = self.limits;
        let Timeouts { stall, idle, keepalive, drain } = self.timeouts;
        let (max_line, outbox) = (size_text(max_line), size_text(outbox));
        let duration = |time: Duration| format!("\"{}\"", humantime::format_duration(time));
        let or_off = |time: Option<_>| time.map_or_else(|| "\"off\"".to_owned(), duration);
        let (stall, drain) = (duration(stall), duration(drain));
        let (idle, keepalive) = (or_off(idle), or_off(keepalive));
        let format = self.console.format;
        format!(
            "[server]\nport = {port}\nbind = \"{bind}\"\nmax_sessions = {max_sessions}\n\
             workers = {workers}\n\n\
             [limits]\nmax_line = {max_line}\noutbox = {outbox}\n\n\
             [timeouts]\nstall = {stall}\nidle = {idle}\nkeepalive = {keepalive}\n\
             drain = {drain}\n\n\
             [console]\nformat = \"{format}\"\n"
        )
    }
}

fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// The size with the largest unit in which it is a whole number.
fn size_text(bytes: usize) -> String {
    for (unit, name) in [(1_usize << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("\"{} {name}\"", bytes / unit);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests;
