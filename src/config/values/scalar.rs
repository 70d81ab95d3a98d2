//! A value in the file as a number or a text.

use std::{
    fmt::{self, Display, Formatter},
    ops::RangeInclusive,
    time::Duration,
};

use bytesize::ByteSize;
use serde::{
    Deserializer,
    de::{self, Unexpected, Visitor},
};

/// A value in the file, before it is known what it stands for.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    Number(i64),
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(_) => None,
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Number(_) => None,
            Self::Text(text) => Some(text),
        }
    }

    pub(super) fn within(self, range: &RangeInclusive<usize>) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|number| range.contains(number))
    }

    pub(super) fn bytes(self, range: &RangeInclusive<u64>) -> Option<u64> {
        let bytes = match self {
            Self::Number(number) => u64::try_from(number).ok()?,
            Self::Text(text) => text.parse::<ByteSize>().ok()?.as_u64(),
        };
        range.contains(&bytes).then_some(bytes)
    }

    pub(super) fn duration(self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        humantime::parse_duration(self.text()?).ok().filter(|time| range.contains(time))
    }

    pub(super) fn or_off<T>(self, parse: impl Fn(Self) -> Option<T>) -> Option<Option<T>> {
        if self.text() == Some("off") { Some(None) } else { parse(self).map(Some) }
    }
}

/// Reads a value with `parse`. If that gives nothing, the error says what was `expected`.
pub(super) fn scalar<'de, T, D: Deserializer<'de>>(
    from: D,
    expected: impl Display,
    parse: impl Fn(Scalar<'_>) -> Option<T>,
) -> Result<T, D::Error> {
    from.deserialize_any(ScalarVisitor { expected, parse })
}

struct ScalarVisitor<E, P> {
    expected: E,
    parse: P,
}

impl<T, E: Display, P: Fn(Scalar<'_>) -> Option<T>> Visitor<'_> for ScalarVisitor<E, P> {
    type Value = T;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expected.fmt(f)
    }

    fn visit_i64<Error: de::Error>(self, number: i64) -> Result<T, Error> {
        let value = (self.parse)(Scalar::Number(number));
        value.ok_or_else(|| Error::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<Error: de::Error>(self, text: &str) -> Result<T, Error> {
        let value = (self.parse)(Scalar::Text(text));
        value.ok_or_else(|| Error::invalid_value(Unexpected::Str(text), &self))
    }
}
