//! The operator's desk of a server, for the program that the server runs in.

use actix::{Addr, WeakAddr};
use thiserror::Error;
use tokio::{sync::watch, time::Instant};

use crate::{
    actors::{
        hub::Hub,
        messages::{Broadcast, DeskError, Kick, Tell},
    },
    desk::command::Who,
    wire::lines::Lines,
};

/// The operator's desk of a [`Server`](crate::Server), which does what an operator's lines and commands
/// do. A call that is made before the server runs waits until it does.
#[derive(Clone, Debug)]
pub struct Desk {
    hub: watch::Receiver<Option<WeakAddr<Hub>>>,
}

/// Why the desk did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotDone {
    /// No session has this number.
    #[error("there is no such session")]
    NoSuchSession,
    /// The server has stopped.
    #[error("the server has stopped")]
    Stopped,
}

/// What the desks of a server wait for.
pub(super) type RunningHub = watch::Sender<Option<WeakAddr<Hub>>>;

impl Desk {
    /// The desk of a server that will announce its Hub through `hub`.
    pub(super) fn new(hub: &RunningHub) -> Self {
        Self { hub: hub.subscribe() }
    }

    /// Sends the text to all sessions, as one or more lines. Resolves when every session has accepted
    /// it, as at the console.
    ///
    /// # Errors
    ///
    /// [`NotDone::Stopped`].
    pub async fn broadcast(&self, text: &str) -> Result<(), NotDone> {
        let sent = self
            .hub()
            .await?
            .send(Broadcast { lines: Lines::one(text), read: Instant::now() })
            .await;
        sent.ok().and_then(Result::ok).ok_or(NotDone::Stopped)
    }

    /// Sends the text to one session, as one or more lines. Resolves when its outbox has accepted it.
    ///
    /// # Errors
    ///
    /// All of [`NotDone`].
    pub async fn tell(&self, id: u64, text: &str) -> Result<(), NotDone> {
        let tell = Tell { who: Who::Number(id), lines: Lines::one(text) };
        done(self.hub().await?.send(tell).await)
    }

    /// Ends one session, within `timeouts.stall`.
    ///
    /// # Errors
    ///
    /// All of [`NotDone`].
    pub async fn kick(&self, id: u64) -> Result<(), NotDone> {
        done(self.hub().await?.send(Kick { who: Who::Number(id) }).await)
    }

    async fn hub(&self) -> Result<Addr<Hub>, NotDone> {
        let mut hub = self.hub.clone();
        let running = hub.wait_for(Option::is_some).await.map_err(|_| NotDone::Stopped)?;
        // The desk does not keep the Hub alive.
        running.as_ref().and_then(WeakAddr::upgrade).ok_or(NotDone::Stopped)
    }
}

fn done(answer: Result<Result<(), DeskError>, actix::MailboxError>) -> Result<(), NotDone> {
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(DeskError::Unknown(_) | DeskError::Several { .. })) => Err(NotDone::NoSuchSession),
        Ok(Err(DeskError::ConsoleGone(_))) | Err(_) => Err(NotDone::Stopped),
    }
}
