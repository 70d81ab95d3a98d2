//! Names for sessions: what a name may be, and which name an address has.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    net::IpAddr,
    str::FromStr,
    sync::Arc,
};

use ipnet::IpNet;

use crate::events::escape::is_printed_as_is;

/// The longest name, in bytes.
const MAX_NAME: usize = 64;

/// The name of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text cannot be a name. The message says what a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAName;

impl Display for NotAName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a name of 1 to 64 bytes, not only digits, without white space, control characters, \
             `[`, `]`, `/` or `:`",
        )
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_allowed = |c: char| {
            is_printed_as_is(c) && !c.is_whitespace() && !matches!(c, '[' | ']' | '/' | ':')
        };
        let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = (1..=MAX_NAME).contains(&text.len());
        if fits && !only_digits && text.chars().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(NotAName)
        }
    }
}

impl From<Name> for Arc<str> {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names of addresses and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<IpNet, Name>);

impl Names {
    /// Names a network. Returns the name that it had before.
    pub fn insert(&mut self, network: IpNet, name: Name) -> Option<Name> {
        self.0.insert(network, name)
    }

    /// The networks and their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&IpNet, &Name)> {
        self.0.iter()
    }

    /// The name of an address: that of the smallest network that contains it.
    pub fn find(&self, address: IpAddr) -> Option<&Name> {
        let containing = self.0.iter().filter(|(network, _)| network.contains(&address));
        containing.max_by_key(|(network, _)| network.prefix_len()).map(|(_, name)| name)
    }
}

/// Reads an address or a network, such as `10.0.0.7` or `10.0.0.0/8`. An IPv4 address in IPv6 form is
/// an IPv4 address.
pub(crate) fn parse_network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => Some(text.parse::<IpNet>().ok()?.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_cannot_be_mistaken_for_a_number_or_an_address() {
        for text in ["scope", "Anna-7", "гость", "7b", "a.b@c", &"x".repeat(64)] {
            assert_eq!(name(text).as_str(), text);
        }
        for text in [
            "",
            "7",
            "12345",
            "a b",
            "a\tb",
            "[a",
            "a]",
            "a/b",
            "a:1",
            "a\u{1b}",
            "a\u{202e}",
            "a\u{2028}",
            &"x".repeat(65),
            "a\u{a0}b",
        ] {
            assert_eq!(text.parse::<Name>(), Err(NotAName), "{text:?}");
        }
    }

    #[test]
    fn the_most_specific_network_names_an_address() {
        let mut names = Names::default();
        for (network, text) in [
            ("10.0.0.0/8", "plant"),
            ("10.0.0.7", "scope"),
            ("10.0.0.0/24", "bench"),
            ("fe80::/10", "local"),
        ] {
            names.insert(parse_network(network).unwrap(), name(text));
        }
        for (address, expected) in [
            ("10.0.0.7", Some("scope")),
            ("10.0.0.8", Some("bench")),
            ("10.9.9.9", Some("plant")),
            ("192.168.0.1", None),
            ("fe80::7", Some("local")),
        ] {
            let found = names.find(address.parse().unwrap()).map(Name::as_str);
            assert_eq!(found, expected, "{address}");
        }
    }

    #[test]
    fn networks_are_read_as_people_write_them() {
        for (text, network) in [
            ("10.0.0.7", "10.0.0.7/32"),
            ("10.0.0.7/8", "10.0.0.0/8"),
            ("::ffff:10.0.0.7", "10.0.0.7/32"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(parse_network(text).map(|net| net.to_string()), Some(network.to_owned()));
        }
        assert_eq!(parse_network("10.0.0.0/33"), None);
        assert_eq!(parse_network("scope"), None);
    }
}
