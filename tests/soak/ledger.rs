//! The ledger: what every client has sent and received, what the server has printed about it, and
//! whether the two agree. Lines are checked one by one as they arrive and are not kept, and a
//! client's account is closed when both sides have ended, so the ledger stays small.

use std::{borrow::Cow, collections::HashMap, net::SocketAddr};

use serde::Deserialize;

use crate::{
    Failure,
    account::{Account, End, Reported},
    figures::Figures,
    plan::Kind,
    script::{Outcome, Script, Style},
};

/// See the [module's documentation](self).
pub(crate) struct Ledger {
    script: Script,
    max_sessions: usize,
    /// The open accounts, by the client's port. A port is not reused while its account is open.
    accounts: HashMap<u16, Account>,
    /// Accounts that have ever been opened: the next client has this number.
    clients: u64,
    sessions: usize,
    /// Broadcasts that the server has printed: the next one has this number.
    broadcasts: u64,
    bound: Option<SocketAddr>,
    stopped: bool,
    figures: Figures,
    failure: Option<String>,
    /// The line that a received one is compared with.
    scratch: Vec<u8>,
}

/// An event that the server prints.
#[derive(Deserialize)]
struct Event<'a> {
    event: &'a str,
    address: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    reason: Option<&'a str>,
    bytes: Option<usize>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    sessions: Option<usize>,
}

impl Ledger {
    pub(crate) fn new(script: Script, max_sessions: usize) -> Self {
        Self {
            script,
            max_sessions,
            accounts: HashMap::new(),
            clients: 0,
            sessions: 0,
            broadcasts: 0,
            bound: None,
            stopped: false,
            figures: Figures::default(),
            failure: None,
            scratch: Vec::new(),
        }
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    /// Records a failure. Only the first one is kept, because the others may follow from it.
    pub(crate) fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The first failure, if there was one.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        self.failure.clone().map_or(Ok(()), |reason| Err(reason.into()))
    }

    /// The server's address, once the server has printed it.
    pub(crate) fn bound(&self) -> Option<SocketAddr> {
        self.bound
    }

    /// Whether the server's last event was `stopped`.
    pub(crate) fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// How many broadcasts the server has printed.
    pub(crate) fn broadcasts(&self) -> u64 {
        self.broadcasts
    }

    /// Whether all clients have gone and the server has printed all of the operator's lines.
    pub(crate) fn is_settled(&self) -> bool {
        self.accounts.is_empty()
            && self.sessions == 0
            && self.broadcasts == self.figures.broadcast
            && self.figures.reported == self.figures.too_long
    }

    /// What is missing before the ledger is settled.
    pub(crate) fn describe_unsettled(&self) -> String {
        format!(
            "{} of {} broadcasts were printed, {} of {} over-long lines were reported, {} sessions \
             are open, and so are these accounts: {:?}",
            self.broadcasts,
            self.figures.broadcast,
            self.figures.reported,
            self.figures.too_long,
            self.sessions,
            self.accounts.values().collect::<Vec<_>>()
        )
    }

    /// Appends the operator's next lines to `wire`.
    pub(crate) fn write_broadcasts(&mut self, lines: u64, wire: &mut Vec<u8>) {
        for _ in 0..lines {
            self.script.broadcast(self.figures.broadcast, wire);
            self.figures.broadcast += 1;
        }
    }

    /// Appends a line of the operator that is too long to `wire`.
    pub(crate) fn write_too_long(&mut self, wire: &mut Vec<u8>) {
        self.script.too_long(wire);
        self.figures.too_long += 1;
    }

    /// Opens an account for the client at this port and returns the client's number. Returns `None`
    /// if the port's previous account is still open.
    pub(crate) fn open(&mut self, port: u16, kind: Kind, style: Style) -> Option<u64> {
        if self.accounts.contains_key(&port) {
            return None;
        }
        let client = self.clients;
        self.clients += 1;
        self.accounts.insert(port, Account::new(client, kind, style));
        Some(client)
    }

    /// Records that the client has sent this many whole lines so far.
    pub(crate) fn sent(&mut self, port: u16, lines: u64) {
        if let Some(account) = self.accounts.get_mut(&port) {
            account.sent = lines;
        }
    }

    /// Records that the client will send this line, its last one, without LF.
    pub(crate) fn unfinished(&mut self, port: u16, number: u64) {
        if let Some(account) = self.accounts.get_mut(&port) {
            account.unfinished = Some(number);
        }
    }

    /// Checks a broadcast line that the client received.
    pub(crate) fn received(&mut self, port: u16, line: &[u8]) -> Result<(), String> {
        let account = self.accounts.get_mut(&port).ok_or("the client has no account")?;
        let (first, next) = match account.broadcasts {
            Some(broadcasts) => broadcasts,
            None => {
                let number = broadcast_number(line);
                let number = number.ok_or_else(|| format!("received {line:?}"))?;
                (number, number)
            }
        };
        self.scratch.clear();
        self.script.broadcast(next, &mut self.scratch);
        if self.scratch != line {
            let expected = String::from_utf8_lossy(&self.scratch);
            let line = String::from_utf8_lossy(line);
            return Err(format!("received {line:?} instead of {expected:?}"));
        }
        account.broadcasts = Some((first, next + 1));
        self.figures.delivered += 1;
        Ok(())
    }

    /// Records how the client's connection ended.
    pub(crate) fn ended(&mut self, port: u16, end: End) -> Result<(), String> {
        let account = self.accounts.get_mut(&port).ok_or("the client has no account")?;
        account.end = Some(end);
        self.close_if_ended(port)
    }

    /// Checks a line of the server's stderr.
    pub(crate) fn check_report(&mut self, line: &str) {
        if line.contains("was not sent: it is longer than limits.max_line") {
            self.figures.reported += 1;
        } else {
            self.fail(format!("unexpected report on stderr: {line}"));
        }
    }

    /// Checks an event of the server's stdout.
    pub(crate) fn check_event(&mut self, line: &[u8]) -> Result<(), String> {
        let event: Event<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if self.stopped {
            return Err("an event after `stopped`".into());
        }
        match (event.event, event.peer) {
            ("bound", None) => self.bound = event.address,
            ("stopped", None) => self.stopped = true,
            ("broadcast", None) => return self.check_broadcast(&event),
            (_, Some(peer)) => {
                self.check_client_event(&event, peer.port())?;
                return self.close_if_ended(peer.port());
            }
            _ => return Err("an unknown event".into()),
        }
        Ok(())
    }

    fn check_broadcast(&mut self, event: &Event<'_>) -> Result<(), String> {
        self.scratch.clear();
        self.script.broadcast(self.broadcasts, &mut self.scratch);
        self.scratch.pop();
        if event.text.as_deref().map(str::as_bytes) != Some(&self.scratch) {
            let expected = String::from_utf8_lossy(&self.scratch);
            return Err(format!("the next broadcast should be {expected:?}"));
        }
        if event.sessions != Some(self.sessions) {
            return Err(format!("there should be {} sessions", self.sessions));
        }
        self.broadcasts += 1;
        Ok(())
    }

    fn check_client_event(&mut self, event: &Event<'_>, port: u16) -> Result<(), String> {
        let account = self.accounts.get_mut(&port).ok_or("no client has this port")?;
        match (event.event, &account.reported) {
            ("rejected", Reported::Nothing) => {
                account.reported = Reported::Refused;
                self.figures.refused += 1;
                Ok(())
            }
            ("connected", Reported::Nothing) => {
                account.reported = Reported::Connected(self.broadcasts);
                self.figures.connected += 1;
                self.sessions += 1;
                self.check_sessions(event)
            }
            ("disconnected", &Reported::Connected(from)) => {
                let reason = event.reason.ok_or("no reason")?.to_owned();
                account.reported = Reported::Disconnected { from, to: self.broadcasts, reason };
                self.sessions -= 1;
                self.check_sessions(event)
            }
            ("message", Reported::Connected(_)) => {
                self.figures.received += 1;
                let text = event.text.clone().ok_or("no text")?;
                self.check_line(port, &Outcome::Message(text.into_owned()))
            }
            ("discarded", Reported::Connected(_)) => {
                self.figures.discarded += 1;
                self.check_line(port, &Outcome::Discarded(event.bytes.ok_or("no bytes")?))
            }
            (_, reported) => Err(format!("unexpected after {reported:?}")),
        }
    }

    /// Checks what the server printed for a client's line: it must be the client's next one.
    fn check_line(&mut self, port: u16, outcome: &Outcome) -> Result<(), String> {
        let account = self.accounts.get_mut(&port).ok_or("no client has this port")?;
        let Account { client, kind, printed, style, unfinished, .. } = *account;
        let expected = self.script.outcome(client, printed, style, unfinished == Some(printed));
        if *outcome != expected {
            return Err(format!("line {printed} of {kind:?} {client} should give {expected:?}"));
        }
        account.printed += 1;
        Ok(())
    }

    fn check_sessions(&self, event: &Event<'_>) -> Result<(), String> {
        if event.sessions != Some(self.sessions) || self.sessions > self.max_sessions {
            return Err(format!(
                "there should be {} sessions, and at most {}",
                self.sessions, self.max_sessions
            ));
        }
        Ok(())
    }

    /// Closes and checks the account if both sides have ended.
    fn close_if_ended(&mut self, port: u16) -> Result<(), String> {
        let Some(end) = self.accounts.get(&port).and_then(Account::ended) else {
            return Ok(());
        };
        let account = self.accounts.remove(&port).ok_or("the client has no account")?;
        account.add_to(&mut self.figures, end);
        account.check(end)
    }
}

/// The number of a broadcast line.
fn broadcast_number(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix('b')?.split_once(' ')?.0.parse().ok()
}
