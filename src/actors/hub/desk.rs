//! The Hub's side of the operator's desk: messages about one session, and the list of all.

use std::sync::Arc;

use actix::{Context, Handler, MessageResult, ResponseFuture};
use tokio::time::Instant;

use super::{Entry, Hub, acknowledgement};
use crate::{
    actors::messages::{
        Close, ConsoleGone, Deliver, DeskError, Kick, List, Receipt, Rename, SessionId, Show, Tell,
    },
    address::Zoned,
    desk::{command::Who, table::Row},
    events::{CloseReason, ServerEvent, SessionInfo},
};

impl Hub {
    /// The session that the operator means.
    fn find(&self, who: &Who) -> Result<SessionId, DeskError> {
        let is_meant = |info: &SessionInfo| match who {
            Who::Number(id) => info.id == *id,
            Who::Peer(peer) => info.peer == *peer,
            Who::Name(name) => {
                info.name.as_deref() == Some(name) || Zoned(info.peer).to_string() == *name
            }
        };
        let meant =
            self.sessions.values().map(|entry| &entry.details.info).filter(|info| is_meant(info));
        let numbers: Vec<u64> = meant.map(|info| info.id).collect();
        match numbers[..] {
            [] => Err(DeskError::Unknown(who.clone())),
            [id] => Ok(SessionId(id)),
            _ => Err(DeskError::Several { who: who.clone(), numbers }),
        }
    }

    /// The session that the operator means, from the registry.
    fn entry(&mut self, who: &Who) -> Result<&mut Entry, DeskError> {
        let id = self.find(who)?;
        self.sessions.get_mut(&id).ok_or_else(|| DeskError::Unknown(who.clone()))
    }

    /// Updates the roster, from which the operator's terminal completes names.
    pub(super) fn list_for_completion(&self, info: &SessionInfo) {
        if let Some(roster) = &self.settings.roster {
            roster.set(info.clone());
        }
    }
}

impl Handler<Tell> for Hub {
    type Result = ResponseFuture<Result<(), DeskError>>;

    fn handle(&mut self, tell: Tell, ctx: &mut Context<Self>) -> Self::Result {
        let Tell { who, lines } = tell;
        let entry = match self.entry(&who) {
            Ok(entry) => entry,
            Err(error) => return Box::pin(async { Err(error) }),
        };
        let (receipt, accepted) = Receipt::new();
        let deliver = Deliver { count: lines.count(), lines: lines.clone(), _receipt: receipt };
        #[expect(clippy::disallowed_methods, reason = "the receipt is dropped with the message")]
        entry.session.deliver.do_send(deliver);
        let session = entry.details.info.clone();
        let printed = self.emit_ahead(ServerEvent::Told { session, lines }, ctx);
        Box::pin(async {
            // It fails when the session has dropped the receipt: that is the signal.
            let _ = accepted.await;
            Ok(printed.await?)
        })
    }
}

impl Handler<Kick> for Hub {
    type Result = Result<(), DeskError>;

    fn handle(&mut self, kick: Kick, _: &mut Context<Self>) -> Self::Result {
        let deadline = Instant::now() + self.settings.stall;
        let output_alive = self.console_alive.is_some();
        let close = Close { reason: CloseReason::Kicked, deadline, output_alive };
        let entry = self.entry(&kick.who)?;
        #[expect(clippy::disallowed_methods, reason = "a Session that is gone need not close")]
        entry.session.close.do_send(close);
        Ok(())
    }
}

impl Handler<Rename> for Hub {
    type Result = Result<(), DeskError>;

    fn handle(&mut self, rename: Rename, _: &mut Context<Self>) -> Self::Result {
        let entry = self.entry(&rename.who)?;
        let name = rename.name.map(Arc::from);
        entry.details.info.name = name.or_else(|| entry.details.original_name.clone());
        let info = entry.details.info.clone();
        self.list_for_completion(&info);
        Ok(())
    }
}

impl Handler<List> for Hub {
    type Result = MessageResult<List>;

    fn handle(&mut self, _: List, _: &mut Context<Self>) -> Self::Result {
        let row = |entry: &Entry| Row {
            session: entry.details.info.clone(),
            since: entry.details.since,
            reading: entry.details.gauges.read(),
        };
        MessageResult(self.sessions.values().map(row).collect())
    }
}

impl Handler<Show> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, Show(text): Show, ctx: &mut Context<Self>) -> Self::Result {
        Box::pin(acknowledgement(self.emit_acked(ServerEvent::Listing(text), ctx)))
    }
}
