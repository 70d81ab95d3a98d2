//! The operator's commands: a pure function from a line to what it asks for.

use std::{borrow::Cow, net::SocketAddr};

use super::names::Name;
use crate::events::wording::one_line;

/// The commands and what they do, for `/help`.
pub(crate) const HELP: [(&str, &str); 7] = [
    ("/help", "lists the commands"),
    ("/who", "lists the sessions"),
    ("/tell WHO TEXT", "sends TEXT to one client"),
    ("/kick WHO", "ends the session of a client"),
    ("/name WHO [NAME]", "names a client; without NAME, it gets its original name back"),
    ("/quit", "stops the server"),
    ("//TEXT", "sends /TEXT to all clients"),
];

/// What an operator's line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// Send this line to all.
    Broadcast(&'a str),
    /// List the commands.
    Help,
    /// List the sessions.
    Who,
    /// Send a line to one client.
    Tell { who: Who, text: &'a str },
    /// End a session.
    Kick { who: Who },
    /// Name a session, or give it its original name back.
    Name { who: Who, name: Option<Name> },
    /// Stop the server.
    Quit,
}

/// How the operator refers to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// By its number.
    Number(u64),
    /// By its address and port.
    Peer(SocketAddr),
    /// By its name, or by an address with a zone.
    Name(String),
}

impl Who {
    /// The text as the operator typed it means one of these.
    pub(crate) fn parse(text: &str) -> Self {
        if let Ok(number) = text.parse() {
            Self::Number(number)
        } else if let Ok(peer) = text.parse() {
            Self::Peer(peer)
        } else {
            Self::Name(text.to_owned())
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Peer(peer) => peer.fmt(f),
            Self::Name(name) => f.write_str(&one_line(name)),
        }
    }
}

/// Parses an operator's line, given without its end.
///
/// # Errors
///
/// One sentence that says what would be right.
pub(crate) fn parse(line: &str) -> Result<Command<'_>, String> {
    let Some(command) = line.strip_prefix('/') else {
        return Ok(Command::Broadcast(line));
    };
    if command.starts_with('/') {
        return Ok(Command::Broadcast(command));
    }
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    match (name, &words[..]) {
        ("help", []) => Ok(Command::Help),
        ("who", []) => Ok(Command::Who),
        ("quit", []) => Ok(Command::Quit),
        ("kick", [who]) => Ok(Command::Kick { who: Who::parse(who) }),
        ("name", [who]) => Ok(Command::Name { who: Who::parse(who), name: None }),
        ("name", [who, name]) => {
            let name = name.parse().map_err(|expected| {
                format!("cannot name a client {}: expected {expected}", one_line(name))
            })?;
            Ok(Command::Name { who: Who::parse(who), name: Some(name) })
        }
        // The text is everything after the one space, as it was typed.
        ("tell", [who, ..]) if rest.trim_start().contains(' ') => {
            let (_, text) = rest.trim_start().split_once(' ').unwrap_or_default();
            Ok(Command::Tell { who: Who::parse(who), text })
        }
        _ => Err(mistake(name)),
    }
}

/// What would have been right instead of a wrong command.
fn mistake(name: &str) -> String {
    let usage = HELP.iter().map(|(usage, _)| usage);
    let known = usage.clone().find(|usage| {
        usage.strip_prefix('/').and_then(|usage| usage.split(' ').next()) == Some(name)
    });
    match known {
        Some(usage) => format!("nothing was sent: expected {usage}"),
        None => {
            let name: Cow<'_, str> = one_line(name).into();
            format!("nothing was sent: there is no command /{name}; /help lists the commands")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(text: &str) -> Who {
        Who::parse(text)
    }

    #[test]
    fn every_command_is_read() {
        for (line, expected) in [
            ("hello", Command::Broadcast("hello")),
            ("", Command::Broadcast("")),
            (" /who", Command::Broadcast(" /who")),
            ("//who", Command::Broadcast("/who")),
            ("///", Command::Broadcast("//")),
            ("/help", Command::Help),
            ("/who ", Command::Who),
            ("/quit", Command::Quit),
            ("/kick 3", Command::Kick { who: Who::Number(3) }),
            ("/kick  anna ", Command::Kick { who: who("anna") }),
            ("/tell anna  two  spaces", Command::Tell { who: who("anna"), text: " two  spaces" }),
            ("/tell 3 /who", Command::Tell { who: who("3"), text: "/who" }),
            ("/tell 3 ", Command::Tell { who: who("3"), text: "" }),
            ("/name 3", Command::Name { who: who("3"), name: None }),
            ("/name 3 anna", Command::Name { who: who("3"), name: Some("anna".parse().unwrap()) }),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn a_client_is_a_number_an_address_or_a_name() {
        assert_eq!(who("17"), Who::Number(17));
        assert_eq!(who("127.0.0.1:4444"), Who::Peer("127.0.0.1:4444".parse().unwrap()));
        assert_eq!(who("[::1]:4444"), Who::Peer("[::1]:4444".parse().unwrap()));
        assert_eq!(who("anna"), Who::Name("anna".to_owned()));
    }

    #[test]
    fn a_mistake_says_what_would_be_right() {
        for (line, expected) in [
            ("/", "there is no command /; /help lists the commands"),
            ("/wo", "there is no command /wo; /help"),
            ("/\u{1b}[2J", "there is no command /\\u{1b}[2J; /help"),
            ("/who 3", "expected /who"),
            ("/kick", "expected /kick WHO"),
            ("/kick a b", "expected /kick WHO"),
            ("/tell 3", "expected /tell WHO TEXT"),
            ("/tell", "expected /tell WHO TEXT"),
            ("/name", "expected /name WHO [NAME]"),
            ("/name 3 a b", "expected /name WHO [NAME]"),
            ("/name 3 7", "cannot name a client 7: expected a name of 1 to 64 bytes"),
        ] {
            let mistake = parse(line).unwrap_err();
            assert!(mistake.contains(expected), "{line}: {mistake}");
        }
    }
}
