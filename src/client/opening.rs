//! Opens a connection: connects and reads the greeting, within one time limit.

use std::{net::SocketAddr, pin::pin, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};

use super::{
    connecting::{Connected, connect},
    conversation::{BUFFERS, Conversation, MAX_LINE},
    errors::{ClientError, quote},
    greeting::{Greeted, NoGreeting, read_greeting},
};
use crate::{
    events::{ClientEvent, wording::one_line},
    net::socket::Socket,
    wire::{
        greeting::Greeting,
        line_reader::{Buffers, LineReader},
        lines::{LineDecoder, Lines},
    },
};

/// If connecting takes longer than this, that is reported to the user.
const SLOW: Duration = Duration::from_secs(1);

/// A connection whose server has greeted.
pub(super) struct Connection {
    pub(super) socket: Socket,
    /// How long the TCP handshake took.
    pub(super) round_trip: Duration,
    /// The server's address.
    pub(super) server: SocketAddr,
    /// The client's own address.
    pub(super) local: SocketAddr,
    pub(super) reader: LineReader,
    /// Lines that arrived together with the greeting.
    pub(super) early: Option<Lines>,
}

impl Conversation {
    /// Connects, and reads the greeting. `report_slow`: whether to report it if connecting takes long.
    pub(super) async fn open(&self, report_slow: bool) -> Result<Connection, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let late =
            |_| ClientError::NoAnswer { address: self.server.to_string(), within: self.timeout };
        let connected = timeout_at(deadline, self.reach(report_slow)).await.map_err(late)??;
        let Connected { mut socket, server, local, round_trip } = connected;
        let mut reader = LineReader::new(LineDecoder::new(MAX_LINE), Buffers::new(BUFFERS));
        let greeted = self.greeted(server, &mut socket, &mut reader, deadline).await?;
        match greeted.greeting {
            Greeting::Ready => {
                let early = greeted.early;
                Ok(Connection { socket, round_trip, server, local, reader, early })
            }
            Greeting::Refused(text) => Err(ClientError::Refused { text }),
        }
    }

    async fn reach(&self, report_slow: bool) -> Result<Connected, ClientError> {
        let mut connecting = pin!(connect(&self.server));
        if !report_slow {
            return connecting.await;
        }
        if let Ok(connected) = timeout(SLOW, &mut connecting).await {
            return connected;
        }
        let sentence = format!("still connecting to {}", self.server);
        self.emit(ClientEvent::Problem(one_line(&sentence))).await?;
        connecting.await
    }

    async fn greeted(
        &self,
        server: SocketAddr,
        socket: &mut Socket,
        reader: &mut LineReader,
        deadline: Instant,
    ) -> Result<Greeted, ClientError> {
        let mut sent = Vec::new();
        let greeted = timeout_at(deadline, read_greeting(socket, reader, &mut sent)).await;
        greeted
            .map_err(|_| ClientError::NoGreeting {
                server,
                within: self.timeout,
                sent: quote(&sent),
            })?
            .map_err(|failure| match failure {
                NoGreeting::NotAHub => ClientError::Greeting { server, sent: quote(&sent) },
                NoGreeting::Closed => ClientError::ClosedUngreeted { server, sent: quote(&sent) },
                NoGreeting::Lost(source) => ClientError::Lost { server, source },
            })
    }
}
