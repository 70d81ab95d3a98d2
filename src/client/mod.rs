//! The client: connects, sends what is entered, prints what the server sends.

mod connecting;
mod conversation;
mod errors;
mod greeting;
mod opening;
mod reconnecting;
mod sending;

use std::{future::Future, io, time::Duration};

use actix_rt::System;
use tokio::io::AsyncRead;

use self::conversation::Conversation;
pub use self::errors::ClientError;
use crate::{
    actors::console::{Console, Outputs},
    address::HostPort,
    events::ClientEvent,
};

/// How long connecting may take, until the server has greeted, unless another time is set.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one server.
pub struct Client {
    host: String,
    port: u16,
    timeout: Duration,
    stay: bool,
    reconnect: bool,
    reverse: bool,
    outputs: Outputs<ClientEvent>,
}

impl Client {
    /// The number of event loops that a client runs.
    pub const EVENT_LOOPS: usize = 1 + Console::<ClientEvent>::EVENT_LOOPS;

    /// A client of the server at `host`, an IP address or a host name. An IPv6 address may be in
    /// brackets, as it is before a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            timeout: TIMEOUT,
            stay: false,
            reconnect: false,
            reverse: true,
            outputs: Outputs::quiet(),
        }
    }

    /// Sets where events are printed. Default: nowhere.
    #[must_use]
    pub fn console(mut self, outputs: Outputs<ClientEvent>) -> Self {
        self.outputs = outputs;
        self
    }

    /// Sets how long it may take from the start until the server has greeted; with
    /// [`Self::reconnect`], in each attempt. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets whether the client keeps receiving after the end of the input, until it is stopped. Default:
    /// false, it leaves.
    #[must_use]
    pub fn stay(mut self, stay: bool) -> Self {
        self.stay = stay;
        self
    }

    /// Sets whether the client waits for a server that cannot be reached, and connects again when the
    /// connection is lost or closed by the server. Lines that were sent on a lost connection are not
    /// sent again. Default: false.
    #[must_use]
    pub fn reconnect(mut self, reconnect: bool) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// Sets whether the server's lines are reversed. Default: true.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// Holds a conversation: once the server has greeted, sends the lines of the input up to the word
    /// `exit`, the end of the input or `stop`, and then waits until the server has confirmed all of
    /// them by closing in an orderly way. With [`Self::stay`], the client continues after the end of the input. Must
    /// be called within an Actix system.
    ///
    /// An error is also an event, so that it is printed with the others:
    /// [`ClientError::is_reported`] says which is not.
    ///
    /// # Errors
    ///
    /// All of [`ClientError`]. Without an error, every line has reached the server's stdout.
    pub async fn converse<I: AsyncRead + Unpin>(
        self,
        input: impl FnOnce() -> io::Result<I>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ClientError> {
        System::try_current().ok_or(ClientError::NoSystem)?;
        let console = Console::start(self.outputs).map_err(ClientError::Start)?.recipient();
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(&self.host).to_owned();
        let conversation = Conversation {
            server: HostPort { host, port: self.port },
            host: self.host,
            timeout: self.timeout,
            stay: self.stay,
            reconnect: self.reconnect,
            reverse: self.reverse,
            console,
        };
        conversation.hold_and_report(input, stop).await
    }
}
