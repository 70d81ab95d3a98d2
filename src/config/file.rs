//! The file's form: its keys, what each may be, and what is said when it is not.

use std::{
    fmt::{self, Formatter},
    net::IpAddr,
    ops::RangeInclusive,
    time::Duration,
};

use bytesize::ByteSize;
use serde::{
    Deserialize, Deserializer,
    de::{self, Unexpected, Visitor},
};
use toml::{Spanned, de::DeTable};

use super::{
    DURATIONS, Format, KEEPALIVES, Limits, Listen, SESSIONS, SIZES, Timeouts, WORKERS, set,
};

/// The file: every key may be left out.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) server: FileServer,
    pub(super) limits: FileLimits,
    pub(super) timeouts: FileTimeouts,
    pub(super) console: FileConsole,
}

/// The keys of [`File`].
const TABLES: [&str; 4] = ["server", "limits", "timeouts", "console"];

impl File {
    /// Parses the text, or says what is wrong with it, and at which byte.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
        let parsed = DeTable::parse(text).map_err(|error| {
            let start = start(&error);
            (start, syntax_problem(text, start, error.message()))
        })?;
        // serde would take an array for a struct, too.
        for (key, value) in parsed.get_ref() {
            if TABLES.contains(&key.get_ref().as_ref()) && !value.get_ref().is_table() {
                let (key, found) = (key.get_ref(), value.get_ref().type_str());
                let problem = format!("{key}: invalid type: {found}, expected a table");
                return Err((value.span().start, problem));
            }
        }
        serde_path_to_error::deserialize(toml::Deserializer::from(parsed)).map_err(|error| {
            let path = error.path().to_string();
            // Spanned adds a step of its own to the path.
            let key = path.split(".$").next().unwrap_or_default();
            let error = error.inner();
            let message = match error.message() {
                // Beyond 128 bits the parser does not ask what would do.
                "integer number overflowed" => "invalid value, expected a smaller number",
                message => message,
            };
            (start(error), format!("{key}: {message}"))
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileServer {
    #[serde(deserialize_with = "port")]
    port: Option<u16>,
    #[serde(deserialize_with = "address")]
    bind: Option<IpAddr>,
    #[serde(deserialize_with = "sessions")]
    max_sessions: Option<usize>,
    #[serde(deserialize_with = "workers")]
    workers: Option<usize>,
}

impl FileServer {
    pub(super) fn apply(self, server: &mut Listen) {
        set(&mut server.port, self.port);
        set(&mut server.bind, self.bind);
        set(&mut server.max_sessions, self.max_sessions);
        set(&mut server.workers, self.workers);
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileLimits {
    pub(super) max_line: Option<Spanned<Size>>,
    pub(super) outbox: Option<Spanned<Size>>,
}

impl FileLimits {
    pub(super) fn apply(self, limits: &mut Limits) {
        set(&mut limits.max_line, self.max_line.map(|size| size.into_inner().0));
        set(&mut limits.outbox, self.outbox.map(|size| size.into_inner().0));
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileTimeouts {
    #[serde(deserialize_with = "duration")]
    stall: Option<Duration>,
    #[serde(deserialize_with = "duration_or_off")]
    idle: Option<Option<Duration>>,
    #[serde(deserialize_with = "keepalive")]
    keepalive: Option<Option<Duration>>,
    #[serde(deserialize_with = "duration")]
    drain: Option<Duration>,
}

impl FileTimeouts {
    pub(super) fn apply(self, timeouts: &mut Timeouts) {
        set(&mut timeouts.stall, self.stall);
        set(&mut timeouts.idle, self.idle);
        set(&mut timeouts.keepalive, self.keepalive);
        set(&mut timeouts.drain, self.drain);
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileConsole {
    #[serde(deserialize_with = "format")]
    pub(super) format: Option<Format>,
}

pub(super) struct Size(usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        scalar(from, "a size from 1 byte to 1 GiB such as 65536 or \"64 KiB\"", |value| {
            let bytes = match value {
                Scalar::Number(number) => u64::try_from(number).ok()?,
                Scalar::Text(text) => text.parse::<ByteSize>().ok()?.as_u64(),
            };
            SIZES.contains(&bytes).then_some(Self(bytes as usize))
        })
    }
}

fn port<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    scalar(from, "a TCP port from 0 to 65535", |value| {
        u16::try_from(value.number()?).ok().map(Some)
    })
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    scalar(from, "an IP address such as \"0.0.0.0\" or \"::\"", |value| {
        value.text()?.parse().ok().map(Some)
    })
}

fn sessions<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    scalar(from, "a number of clients from 1 to 1000000", |value| value.within(SESSIONS).map(Some))
}

fn workers<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    scalar(from, "a number of event loops from 1 to 64", |value| value.within(WORKERS).map(Some))
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    scalar(from, "a duration up to a year such as \"1500ms\", \"10s\" or \"2m\"", |value| {
        value.duration(&DURATIONS).map(Some)
    })
}

/// A duration, or none where it says `"off"`.
type OrOff = Option<Duration>;

fn duration_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OrOff>, D::Error> {
    scalar(from, "\"off\" or a duration up to a year such as \"10s\" or \"2m\"", |value| {
        value.or_off(|value| value.duration(&DURATIONS)).map(Some)
    })
}

fn keepalive<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OrOff>, D::Error> {
    scalar(from, "\"off\" or whole seconds from \"1s\" to \"32767s\"", |value| {
        let whole = |time: &Duration| time.subsec_nanos() == 0;
        value.or_off(|value| value.duration(&KEEPALIVES).filter(whole)).map(Some)
    })
}

fn format<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Format>, D::Error> {
    scalar(from, "\"text\" or \"json\"", |value| value.text()?.parse().ok().map(Some))
}

/// What every value in the file is made of.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    Number(i64),
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(_) => None,
        }
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Self::Number(_) => None,
            Self::Text(text) => Some(text),
        }
    }

    fn within(self, range: RangeInclusive<usize>) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|number| range.contains(number))
    }

    fn duration(self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        humantime::parse_duration(self.text()?).ok().filter(|time| range.contains(time))
    }

    fn or_off<T>(self, parse: impl Fn(Self) -> Option<T>) -> Option<Option<T>> {
        if self.text() == Some("off") { Some(None) } else { parse(self).map(Some) }
    }
}

/// What `parse` makes of the value, or else an error that says what was `expected`.
fn scalar<'de, T, D: Deserializer<'de>>(
    from: D,
    expected: &'static str,
    parse: impl Fn(Scalar<'_>) -> Option<T>,
) -> Result<T, D::Error> {
    from.deserialize_any(ScalarVisitor { expected, parse })
}

struct ScalarVisitor<P> {
    expected: &'static str,
    parse: P,
}

impl<T, P: Fn(Scalar<'_>) -> Option<T>> Visitor<'_> for ScalarVisitor<P> {
    type Value = T;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let value = (self.parse)(Scalar::Number(number));
        value.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let value = (self.parse)(Scalar::Text(text));
        value.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// What is said of a file that is no TOML: the parser's message, and the key on the line where it gave
/// up, which it does not name.
fn syntax_problem(text: &str, start: usize, message: &str) -> String {
    let begin = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let (before, rest) = text.split_at_checked(begin).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let message = message.replace("duplicate key", "duplicate key, expected each key only once");
    if let Some(table) = table(line) {
        return format!("{table}: {message}");
    }
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value).filter(|_| start > begin + key.len())),
        None => (line.split_whitespace().next().unwrap_or_default(), None),
    };
    if key.is_empty() {
        return message;
    }
    let message = value.and_then(value_problem).unwrap_or(message);
    match before.lines().rev().find_map(table) {
        Some(table) => format!("{table}.{key}: {message}"),
        None => format!("{key}: {message}"),
    }
}

/// What is said of a value that is none and looks like nothing else: the parser's guess, which goes by
/// the first letter (`text` is a wrong `true`), is of no use.
fn value_problem(value: &str) -> Option<String> {
    const EXPECTED: &str = "expected a number, or a string in quotes";
    match value.split('#').next().unwrap_or_default().trim() {
        "" => Some(EXPECTED.to_owned()),
        value if value.starts_with(['"', '\'', '[', '{']) => None,
        value => Some(format!("invalid value: `{value}`, {EXPECTED}")),
    }
}

/// The table that begins at this line, if one does.
fn table(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix('[')?.trim_start_matches('[');
    Some(name.split([']', '#']).next().unwrap_or_default().trim())
}
