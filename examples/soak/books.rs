//! The books: what every client has sent and heard, what the server has said of it, and whether
//! the two agree. An account is checked line by line and closed when both sides have ended, so
//! that the books are no larger than the number of clients there are.

use std::{borrow::Cow, collections::HashMap, fmt, net::SocketAddr};

use serde::Deserialize;

use crate::{
    Failure,
    client::Kind,
    script::{Outcome, Script, Style},
};

/// See the [module's documentation](self).
pub struct Books {
    script: Script,
    max_sessions: usize,
    /// By the client's port. A port is not used again while its account is open.
    accounts: HashMap<u16, Account>,
    clients: u64,
    sessions: usize,
    /// Broadcasts that the server has told of: the next one has this number.
    broadcasts: u64,
    bound: Option<SocketAddr>,
    stopped: bool,
    figures: Figures,
    failure: Option<String>,
    /// A line being compared.
    scratch: Vec<u8>,
}

/// What happened, in numbers.
#[derive(Debug, Default)]
pub struct Figures {
    /// Clients that were admitted.
    pub connected: u64,
    /// Clients that were told that the hub is full.
    pub refused: u64,
    /// Clients that left in the orderly way.
    pub left: u64,
    /// Clients that reset their connection.
    pub reset: u64,
    /// Clients that the server let go, because they did not read.
    pub let_go: u64,
    /// Whole lines that admitted clients had sent.
    pub sent: u64,
    /// Those of them that came to stdout.
    pub received: u64,
    /// Those of them that were too long, and reported.
    pub discarded: u64,
    /// Those of them that were on their way when their client reset, or was let go.
    pub cut_off: u64,
    /// Lines, of either direction, that are missing.
    pub lost: u64,
    /// Lines that the operator had sent.
    pub broadcast: u64,
    /// How many of them came to a client, counted for each.
    pub delivered: u64,
    /// Lines of the operator that were too long.
    pub overlong: u64,
    /// How many of those were reported.
    pub reported: u64,
}

/// One client.
struct Account {
    client: u64,
    kind: Kind,
    style: Style,
    /// The line that had no LF, if there was one.
    unfinished: Option<u64>,
    /// Lines that the client has handed to its socket, whole.
    sent: u64,
    /// Lines that the server has told of.
    taken: u64,
    /// The broadcasts heard: the first one's number and the next one's.
    heard: Option<(u64, u64)>,
    told: Told,
    end: Option<End>,
}

/// What the server has told of a client.
#[derive(Debug)]
enum Told {
    Nothing,
    Refused,
    /// And how many broadcasts there had been.
    Connected(u64),
    /// And how many broadcasts there had been, before the client and when it had gone.
    Disconnected(u64, u64, String),
}

/// How it ended, as the client knows it.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// It was refused.
    Refused,
    /// It left when there had been so many broadcasts, and the server closed the connection.
    Left(u64),
    /// It reset the connection.
    Reset,
    /// The server closed or reset the connection.
    LetGo,
}

/// An event of the server.
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

impl Books {
    /// Empty books.
    pub fn new(script: Script, max_sessions: usize) -> Self {
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

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// What every line says.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Notes what went wrong, if nothing did before.
    pub fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// An error if anything went wrong.
    pub fn verdict(&self) -> Result<(), Failure> {
        self.failure.clone().map_or(Ok(()), |reason| Err(reason.into()))
    }

    /// Where the server listens, once it has said so.
    pub fn bound(&self) -> Option<SocketAddr> {
        self.bound
    }

    /// Whether the server has said that it stopped, and nothing after it.
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// How many broadcasts the server has told of.
    pub fn broadcasts(&self) -> u64 {
        self.broadcasts
    }

    /// Whether everybody has gone and the operator's last line is out.
    pub fn are_closed(&self) -> bool {
        self.accounts.is_empty()
            && self.sessions == 0
            && self.broadcasts == self.figures.broadcast
            && self.figures.reported == self.figures.overlong
    }

    /// What keeps them open.
    pub fn what_is_open(&self) -> String {
        let open = self.accounts.values().map(|account| {
            format!("{:?}, client {}: {:?}", account.kind, account.client, account.told)
        });
        format!(
            "{} of {} broadcasts told, {} of {} reported, {} sessions, and open: {:?}",
            self.broadcasts,
            self.figures.broadcast,
            self.figures.reported,
            self.figures.overlong,
            self.sessions,
            open.collect::<Vec<_>>()
        )
    }

    /// Adds the operator's next lines.
    pub fn write_broadcasts(&mut self, lines: u64, wire: &mut Vec<u8>) {
        for _ in 0..lines {
            self.script.broadcast(self.figures.broadcast, wire);
            self.figures.broadcast += 1;
        }
    }

    /// Adds a line of the operator that is too long.
    pub fn write_overlong(&mut self, wire: &mut Vec<u8>) {
        self.script.overlong(wire);
        self.figures.overlong += 1;
    }

    /// Opens an account for the client at this port and returns the client's number; none if the
    /// port's last account is still open.
    pub fn open(&mut self, port: u16, kind: Kind, style: Style) -> Option<u64> {
        if self.accounts.contains_key(&port) {
            return None;
        }
        let client = self.clients;
        self.clients += 1;
        let account = Account {
            client,
            kind,
            style,
            unfinished: None,
            sent: 0,
            taken: 0,
            heard: None,
            told: Told::Nothing,
            end: None,
        };
        self.accounts.insert(port, account);
        Some(client)
    }

    /// The client has sent so many whole lines by now.
    pub fn sent(&mut self, port: u16, lines: u64) {
        if let Some(account) = self.accounts.get_mut(&port) {
            account.sent = lines;
        }
    }

    /// The client is about to send a last line that has no LF.
    pub fn unfinished(&mut self, port: u16, number: u64) {
        if let Some(account) = self.accounts.get_mut(&port) {
            account.unfinished = Some(number);
        }
    }

    /// The client has heard this line of the operator.
    pub fn heard(&mut self, port: u16, line: &[u8]) -> Result<(), String> {
        let account = self.accounts.get_mut(&port).ok_or("a client without account")?;
        let (first, next) = match account.heard {
            Some(heard) => heard,
            None => {
                let number = std::str::from_utf8(line).ok().and_then(|line| {
                    line.strip_prefix('b')?.split_once(' ')?.0.parse::<u64>().ok()
                });
                let number = number.ok_or_else(|| format!("heard {line:?}"))?;
                (number, number)
            }
        };
        self.scratch.clear();
        self.script.broadcast(next, &mut self.scratch);
        if self.scratch != line {
            let (expected, line) =
                (String::from_utf8_lossy(&self.scratch), String::from_utf8_lossy(line));
            return Err(format!("heard {line:?} and not {expected:?}"));
        }
        account.heard = Some((first, next + 1));
        self.figures.delivered += 1;
        Ok(())
    }

    /// The client has ended.
    pub fn ended(&mut self, port: u16, end: End) -> Result<(), String> {
        let account = self.accounts.get_mut(&port).ok_or("a client without account")?;
        account.end = Some(end);
        self.settle(port)
    }

    /// Enters a line of the server's stderr.
    pub fn enter_report(&mut self, line: &str) {
        if line.contains("was not sent: it is longer than limits.max_line") {
            self.figures.reported += 1;
        } else {
            self.fail(format!("the server reports: {line}"));
        }
    }

    /// Enters an event of the server.
    pub fn enter(&mut self, line: &[u8]) -> Result<(), String> {
        let event: Event<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if self.stopped {
            return Err("an event after the last".into());
        }
        match (event.event, event.peer) {
            ("bound", None) => self.bound = event.address,
            ("stopped", None) => self.stopped = true,
            ("broadcast", None) => return self.enter_broadcast(&event),
            (_, Some(peer)) => {
                self.enter_of_peer(&event, peer.port())?;
                return self.settle(peer.port());
            }
            _ => return Err("an event of which nothing is known".into()),
        }
        Ok(())
    }

    fn enter_broadcast(&mut self, event: &Event<'_>) -> Result<(), String> {
        self.scratch.clear();
        self.script.broadcast(self.broadcasts, &mut self.scratch);
        self.scratch.pop();
        if event.text.as_deref().map(str::as_bytes) != Some(&self.scratch) {
            let expected = String::from_utf8_lossy(&self.scratch);
            return Err(format!("the next broadcast is {expected:?}"));
        }
        if event.sessions != Some(self.sessions) {
            return Err(format!("there are {} sessions", self.sessions));
        }
        self.broadcasts += 1;
        Ok(())
    }

    fn enter_of_peer(&mut self, event: &Event<'_>, port: u16) -> Result<(), String> {
        let account = self.accounts.get_mut(&port).ok_or("nobody is at this port")?;
        let outcome = match (event.event, &account.told) {
            ("rejected", Told::Nothing) => {
                account.told = Told::Refused;
                self.figures.refused += 1;
                return Ok(());
            }
            ("connected", Told::Nothing) => {
                account.told = Told::Connected(self.broadcasts);
                self.figures.connected += 1;
                self.sessions += 1;
                return self.check_sessions(event);
            }
            ("disconnected", &Told::Connected(before)) => {
                let reason = event.reason.unwrap_or_default().to_owned();
                account.told = Told::Disconnected(before, self.broadcasts, reason);
                self.sessions -= 1;
                return self.check_sessions(event);
            }
            ("message", Told::Connected(_)) => {
                self.figures.received += 1;
                Outcome::Message(event.text.clone().unwrap_or_default().into_owned())
            }
            ("discarded", Told::Connected(_)) => {
                self.figures.discarded += 1;
                Outcome::Discarded(event.bytes.unwrap_or_default())
            }
            (_, told) => return Err(format!("not expected after {told:?}")),
        };
        let Account { client, taken, style, unfinished, .. } = *account;
        let expected = self.script.outcome(client, taken, style, unfinished == Some(taken));
        if outcome != expected {
            let kind = account.kind;
            return Err(format!("line {taken} of {kind:?} {client} should give {expected:?}"));
        }
        account.taken += 1;
        Ok(())
    }

    fn check_sessions(&self, event: &Event<'_>) -> Result<(), String> {
        if event.sessions != Some(self.sessions) || self.sessions > self.max_sessions {
            return Err(format!("there are {} sessions", self.sessions));
        }
        Ok(())
    }

    /// Closes the account if both sides have ended, and checks it.
    fn settle(&mut self, port: u16) -> Result<(), String> {
        let Some(account) = self.accounts.get(&port) else {
            return Ok(());
        };
        let Some(end) = account.end else {
            return Ok(());
        };
        if matches!(account.told, Told::Nothing | Told::Connected(_)) {
            return Ok(());
        }
        let checked = account.check(end);
        let missing = account.sent.saturating_sub(account.taken);
        match (end, &account.told) {
            (_, Told::Refused) => {}
            (End::Left(_), _) => {
                self.figures.left += 1;
                self.figures.lost += missing;
            }
            (End::Reset, _) => self.figures.reset += 1,
            (End::LetGo | End::Refused, _) => self.figures.let_go += 1,
        }
        if !matches!(account.told, Told::Refused) {
            self.figures.sent += account.sent;
            if !matches!(end, End::Left(_)) {
                self.figures.cut_off += missing;
            }
        }
        let result = checked.map_err(|error| {
            let Account { client, kind, sent, taken, heard, told, .. } = account;
            format!(
                "{error} ({kind:?}, client {client}: {sent} lines sent, {taken} told, broadcasts \
                 heard {heard:?}, {told:?}, {end:?})"
            )
        });
        self.accounts.remove(&port);
        result
    }
}

impl Account {
    fn check(&self, end: End) -> Result<(), String> {
        let (before, after, reason) = match (&self.told, end) {
            (Told::Refused, End::Refused | End::Reset) => return Ok(()),
            (Told::Disconnected(before, after, reason), _) => (*before, *after, &reason[..]),
            _ => return Err("the client and the server do not agree".into()),
        };
        match (end, reason) {
            (End::Left(_), "left") | (End::Reset, "lost") => {}
            (End::Reset | End::LetGo, "stalled") if self.kind.may_stall() => {}
            _ => return Err("the session ended for the wrong reason".into()),
        }
        if self.taken > self.sent {
            return Err("the server tells of lines that were not sent".into());
        }
        let (first, next) = self.heard.unwrap_or((before, before));
        if first != before || next > after {
            return Err("the client heard broadcasts of before or after its time".into());
        }
        if let End::Left(broadcasts) = end {
            if self.taken < self.sent {
                return Err("lines of a client that left are lost".into());
            }
            if next < broadcasts.max(before) {
                return Err("broadcasts to a client that left are lost".into());
            }
        }
        Ok(())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connected, refused, let_go, received, broadcast, delivered, .. } = self;
        write!(
            f,
            "{connected} connected, {refused} refused, {let_go} let go; {received} lines; \
             {broadcast} broadcasts, {delivered} times heard"
        )
    }
}
