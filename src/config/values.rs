//! The kinds of values in the file: what each may be, how it is written, and what an error says was
//! expected. A field names its kind with `#[serde(with = "…")]`, or with `deserialize_with` alone if
//! serde already writes it the right way.
//!
//! The file is long because it has a small module for each kind.

mod scalar;

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{self},
};

use self::scalar::{Scalar, scalar};
use super::{BindAddress, HostPort, Name, Names, SESSIONS};
use crate::desk::names::{NotAName, parse_network};

const WORKERS: RangeInclusive<usize> = 1..=64;

const FILES: RangeInclusive<usize> = 0..=10_000;

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// The longest time. A year is as good as no limit, and no sum of such times overflows.
const DURATIONS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 60 * 60);

/// The range of TCP_KEEPIDLE (tcp(7)).
const KEEPALIVES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32_767);

pub(crate) fn port<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    scalar(from, "a TCP port from 0 to 65535", |value| u16::try_from(value.number()?).ok())
}

pub(crate) fn files<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let (least, most) = (FILES.start(), FILES.end());
    let expected = format_args!("a number of files from {least} to {most}");
    scalar(from, expected, |value| u32::try_from(value.within(&FILES)?).ok())
}

/// A value that is read from its text and written as its text.
macro_rules! text {
    ($module:ident, $type:ty, $expected:expr) => {
        pub(crate) mod $module {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(
                value: &$type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.collect_str(value)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$type, D::Error> {
                scalar(from, $expected, |value| value.text()?.parse().ok())
            }
        }
    };
}

text!(address, BindAddress, "an IP address such as \"0.0.0.0\", \"::\" or \"fe80::1%eth0\"");
text!(host_port, HostPort, "HOST:PORT such as \"10.0.0.7:5025\" or \"[::1]:5025\"");

/// A name, or none.
pub(crate) mod name {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(name: &Option<Name>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name.as_ref().map_or("", Name::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Name>, D::Error> {
        scalar(from, NotAName, |value| value.text()?.parse().ok()).map(Some)
    }
}

/// A table of networks and their names.
pub(crate) mod names {
    use std::collections::BTreeMap;

    use super::*;

    /// One value of the table.
    struct Entry(Name);

    impl<'de> Deserialize<'de> for Entry {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            scalar(from, NotAName, |value| value.text()?.parse().ok().map(Self))
        }
    }

    pub(crate) fn serialize<S: Serializer>(names: &Names, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(names.iter().map(|(network, name)| (network.to_string(), name.as_str())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
        let mut names = Names::default();
        for (key, Entry(name)) in BTreeMap::<String, Entry>::deserialize(from)? {
            let network = parse_network(&key).ok_or_else(|| {
                let expected = "an address or a network such as \"10.0.0.7\" or \"10.0.0.0/8\"";
                de::Error::custom(format_args!("invalid key: \"{key}\", expected {expected}"))
            })?;
            if names.insert(network, name).is_some() {
                let problem = format_args!("duplicate key: \"{key}\", expected each network once");
                return Err(de::Error::custom(problem));
            }
        }
        Ok(names)
    }
}

pub(crate) mod sessions {
    use super::*;

    pub(crate) use super::write_count as serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        scalar(from, expected(), |value| value.within(&SESSIONS))
    }

    /// What is expected in the file and of the flag.
    pub(crate) fn expected() -> String {
        format!("a number of clients from {} to {}", SESSIONS.start(), SESSIONS.end())
    }
}

pub(crate) mod workers {
    use super::*;

    pub(crate) use super::write_count as serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        let (least, most) = (WORKERS.start(), WORKERS.end());
        let expected = format_args!("a number of event loops from {least} to {most}");
        scalar(from, expected, |value| value.within(&WORKERS))
    }
}

/// Bytes, 1 to 1 GiB.
pub(crate) mod size {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &usize, to: S) -> Result<S::Ok, S::Error> {
        write_size(u64::try_from(*bytes).unwrap_or(u64::MAX), to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        scalar(from, "a size from 1 byte to 1 GiB such as 65536 or \"64 KiB\"", |value| {
            usize::try_from(value.bytes(&(1..=GIB))?).ok()
        })
    }
}

/// Bytes, 1 to 1 TiB, or `None` for `"off"`.
pub(crate) mod large_size_or_off {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match *bytes {
            Some(bytes) => write_size(bytes, to),
            None => to.serialize_str("off"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let expected = "\"off\" or a size from 1 byte to 1 TiB such as 1048576 or \"100 MiB\"";
        scalar(from, expected, |value| value.or_off(|value| value.bytes(&(1..=TIB))))
    }
}

/// The name of a file.
pub(crate) mod file {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(file: &PathBuf, to: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(file, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        scalar(from, "the name of a file", |value| parse(value.text()?).ok())
    }

    /// The name of a file that is given in a flag.
    pub(crate) fn parse(name: &str) -> Result<PathBuf, &'static str> {
        if name.is_empty() { Err("expected the name of a file") } else { Ok(name.into()) }
    }
}

/// A time from 1 ms to a year.
pub(crate) mod duration {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        scalar(from, "a duration up to a year such as \"1500ms\", \"10s\" or \"2m\"", |value| {
            value.duration(&DURATIONS)
        })
    }
}

/// A [`duration`], or `None` for `"off"`.
pub(crate) mod duration_or_off {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => duration::serialize(time, to),
            None => to.serialize_str("off"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        scalar(from, "\"off\" or a duration up to a year such as \"10s\" or \"2m\"", |value| {
            value.or_off(|value| value.duration(&DURATIONS))
        })
    }
}

/// A time that may also be no time at all: `"off"` or `"0s"`.
pub(crate) mod wait_or_off {
    use super::*;

    pub(crate) use super::duration_or_off::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        scalar(from, "\"off\" or a duration up to a year such as \"250ms\" or \"2s\"", |value| {
            let range = Duration::ZERO..=*DURATIONS.end();
            let time = value.or_off(|value| value.duration(&range))?;
            Some(time.filter(|time| !time.is_zero()))
        })
    }
}

pub(crate) mod socket_or_off;

/// Whole seconds that the kernel takes for TCP keepalive, or `None` for `"off"`.
pub(crate) mod keepalive {
    use super::*;

    pub(crate) use super::duration_or_off::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        scalar(from, "\"off\" or whole seconds from \"1s\" to \"32767s\"", |value| {
            let is_whole = |time: &Duration| time.subsec_nanos() == 0;
            value.or_off(|value| value.duration(&KEEPALIVES).filter(is_whole))
        })
    }
}

/// A value that is one of a few words.
pub(crate) trait Choice: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];

    /// How it is written, in the file and after a flag.
    fn word(self) -> &'static str;
}

pub(crate) mod choice {
    use super::*;

    pub(crate) fn serialize<T: Choice, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.word())
    }

    pub(crate) fn deserialize<'de, T: Choice, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        scalar(from, expected::<T>("\""), |value| find(value.text()?))
    }

    /// The value with this word, or what was expected: the value of a flag.
    pub(crate) fn parse<T: Choice>(word: &str) -> Result<T, String> {
        find(word).ok_or_else(|| format!("expected {}", expected::<T>("")))
    }

    fn find<T: Choice>(word: &str) -> Option<T> {
        T::ALL.iter().copied().find(|value| value.word() == word)
    }

    /// `a, b or c`, each in these quotes.
    fn expected<T: Choice>(quote: &str) -> String {
        let words: Vec<_> =
            T::ALL.iter().map(|value| format!("{quote}{}{quote}", value.word())).collect();
        match words.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} or {last}", others.join(", "))
            }
            _ => words.concat(),
        }
    }
}

/// An optional key of another kind. It is written only if it is set.
macro_rules! optional {
    ($module:ident, $kind:ident, $type:ty $(, $choice:ident)?) => {
        pub(crate) mod $module {
            use super::*;

            pub(crate) fn serialize<$($choice: Choice,)? S: Serializer>(
                value: &Option<$type>,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                match value {
                    Some(value) => $kind::serialize(value, to),
                    None => to.serialize_none(),
                }
            }

            pub(crate) fn deserialize<'de, $($choice: Choice,)? D: Deserializer<'de>>(
                from: D,
            ) -> Result<Option<$type>, D::Error> {
                $kind::deserialize(from).map(Some)
            }
        }
    };
}

optional!(optional_choice, choice, T, T);
optional!(optional_pause, duration_or_off, Option<Duration>);
optional!(optional_file, file, PathBuf);

/// Writes a number. One that does not fit a TOML integer is out of every range here. It is written as
/// text, so that the error for it names it.
pub(crate) fn write_count<S: Serializer>(count: &usize, to: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*count) {
        Ok(count) => to.serialize_i64(count),
        Err(_) => to.collect_str(count),
    }
}

/// Writes a size with the largest unit in which it is a whole number.
fn write_size<S: Serializer>(bytes: u64, to: S) -> Result<S::Ok, S::Error> {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return to.collect_str(&format_args!("{} {name}", bytes / unit));
        }
    }
    match i64::try_from(bytes) {
        Ok(bytes) => to.serialize_i64(bytes),
        // Out of every range: see `write_count`.
        Err(_) => to.collect_str(&bytes),
    }
}
