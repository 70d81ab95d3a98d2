//! One client's account: what the client did, what the server reported about it, and whether the
//! two agree.

use crate::{figures::Figures, plan::Kind, script::Style};

/// One client's account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) client: u64,
    pub(crate) kind: Kind,
    pub(crate) style: Style,
    /// The number of the last line, if it is sent without LF.
    pub(crate) unfinished: Option<u64>,
    /// Whole lines that the client has written to its socket.
    pub(crate) sent: u64,
    /// Lines that the server has reported, as received or as too long.
    pub(crate) printed: u64,
    /// The broadcasts that the client received: the number of the first one, and of the next one.
    pub(crate) broadcasts: Option<(u64, u64)>,
    pub(crate) reported: Reported,
    pub(crate) end: Option<End>,
}

/// The last thing that the server reported about a client's connection.
#[derive(Debug)]
pub(crate) enum Reported {
    Nothing,
    Refused,
    /// The client was admitted after this many broadcasts.
    Connected(u64),
    /// The client was admitted after `from` broadcasts, and had gone after `to`.
    Disconnected {
        from: u64,
        to: u64,
        reason: String,
    },
}

/// How the connection ended, as the client saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The server refused it.
    Refused,
    /// The client left after this many broadcasts, and then the server closed the connection.
    Left(u64),
    /// The client reset the connection.
    Reset,
    /// The server closed or reset the connection first.
    ClosedByServer,
}

impl Account {
    pub(crate) fn new(client: u64, kind: Kind, style: Style) -> Self {
        Self {
            client,
            kind,
            style,
            unfinished: None,
            sent: 0,
            printed: 0,
            broadcasts: None,
            reported: Reported::Nothing,
            end: None,
        }
    }

    /// How the connection ended, once both the client and the server have said so.
    pub(crate) fn ended(&self) -> Option<End> {
        match self.reported {
            Reported::Nothing | Reported::Connected(_) => None,
            Reported::Refused | Reported::Disconnected { .. } => self.end,
        }
    }

    /// Adds what this account says to the figures.
    pub(crate) fn add_to(&self, figures: &mut Figures, end: End) {
        if matches!(self.reported, Reported::Refused) {
            return;
        }
        let missing = self.sent.saturating_sub(self.printed);
        figures.sent += self.sent;
        match end {
            End::Left(_) => {
                figures.left += 1;
                figures.lost += missing;
            }
            End::Reset => {
                figures.reset += 1;
                figures.cut_off += missing;
            }
            End::ClosedByServer | End::Refused => {
                figures.stalled += 1;
                figures.cut_off += missing;
            }
        }
    }

    /// Checks that the client and the server agree, and that nothing is missing that was promised.
    pub(crate) fn check(&self, end: End) -> Result<(), String> {
        self.check_promises(end).map_err(|error| format!("{error}: {self:?}"))
    }

    fn check_promises(&self, end: End) -> Result<(), &'static str> {
        let (from, to, reason) = match (&self.reported, end) {
            (Reported::Refused, End::Refused | End::Reset) => return Ok(()),
            (Reported::Disconnected { from, to, reason }, _) => (*from, *to, &reason[..]),
            _ => return Err("the client and the server do not agree"),
        };
        match (end, reason) {
            (End::Left(_), "left") | (End::Reset, "lost") => {}
            (End::Reset | End::ClosedByServer, "stalled") if self.kind.may_stall() => {}
            _ => return Err("the session was closed for the wrong reason"),
        }
        if self.printed > self.sent {
            return Err("the server printed lines that were not sent");
        }
        let (first, next) = self.broadcasts.unwrap_or((from, from));
        if first != from || next > to {
            return Err("the client received broadcasts from before or after its session");
        }
        if let End::Left(broadcasts) = end {
            if self.printed < self.sent {
                return Err("lines of a client that left are lost");
            }
            if next < broadcasts.max(from) {
                return Err("broadcasts to a client that left are lost");
            }
        }
        Ok(())
    }
}
