//! The roster: the connected sessions, for the completion of names at the terminal. The Hub
//! writes it, and the line editor's thread reads it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::command::HELP;
use crate::{address::Zoned, events::SessionInfo};

/// The connected sessions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<Mutex<BTreeMap<u64, SessionInfo>>>);

impl Roster {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u64, SessionInfo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session, or changes its name.
    pub(crate) fn set(&self, session: SessionInfo) {
        self.sessions().insert(session.id, session);
    }

    /// Removes a session.
    pub(crate) fn remove(&self, id: u64) {
        self.sessions().remove(&id);
    }

    /// What the last word of the line may be completed to, if the line is the beginning of a command.
    pub fn complete_command(&self, line: &str) -> Vec<String> {
        match line.split_once(' ') {
            None if line.starts_with('/') => {
                let names = HELP.iter().filter_map(|(usage, _)| usage.split(' ').next());
                let commands = names.filter(|name| !name.starts_with("//"));
                commands.filter(|name| name.starts_with(line)).map(str::to_owned).collect()
            }
            Some(("/tell" | "/kick" | "/name", beginning)) if !beginning.contains(' ') => {
                self.complete(beginning)
            }
            _ => Vec::new(),
        }
    }

    /// What may follow `beginning` to refer to a session: its names first, then numbers, then addresses.
    fn complete(&self, beginning: &str) -> Vec<String> {
        let sessions = self.sessions();
        let names = sessions.values().filter_map(|session| session.name.as_deref());
        let mut words: Vec<String> = names.map(str::to_owned).collect();
        words.sort_unstable();
        words.dedup();
        words.extend(sessions.keys().map(u64::to_string));
        words.extend(sessions.values().map(|session| Zoned(session.peer).to_string()));
        words.retain(|word| word.starts_with(beginning));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_names_numbers_and_addresses() {
        let roster = Roster::default();
        for (id, name) in [(1, Some("anna")), (2, None), (12, Some("anna")), (3, Some("1st"))] {
            let peer = format!("127.0.0.1:{id}").parse().unwrap();
            roster.set(SessionInfo { id, name: name.map(Into::into), peer });
        }
        roster.remove(2);
        assert_eq!(roster.complete("a"), ["anna"]);
        assert_eq!(
            roster.complete("1"),
            ["1st", "1", "12", "127.0.0.1:1", "127.0.0.1:3", "127.0.0.1:12"]
        );
        assert!(roster.complete("2").is_empty());
        for (line, expected) in [
            ("/t", &["/tell"][..]),
            ("/", &["/help", "/who", "/tell", "/kick", "/name", "/quit"]),
            ("/tell an", &["anna"]),
            ("/kick 3", &["3"]),
            ("/tell anna h", &[]),
            ("/who a", &[]),
            ("an", &[]),
        ] {
            assert_eq!(roster.complete_command(line), expected, "{line}");
        }
    }
}
