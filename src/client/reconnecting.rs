//! Connecting again: to a hub that cannot be reached yet, and after each loss.

use std::{future::Future, io, time::Duration};

use tokio::{io::AsyncRead, time::sleep};

use super::{
    conversation::{Conversation, Stop},
    errors::ClientError,
    opening::Connection,
    sending::Input,
};
use crate::{
    events::{ClientEvent, wording::one_line},
    wire::greeting::{REFUSAL, TOO_MANY_FROM_ADDRESS},
};

/// The first pause, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pauses between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { pause: FIRST_PAUSE }
    }

    /// Starts again with the first pause, unless the connection was lost so soon that the server may be
    /// closing every one at once.
    pub(super) fn reset_after(&mut self, connected: Duration) {
        if connected > FIRST_PAUSE {
            self.pause = FIRST_PAUSE;
        }
    }

    /// The next pause. Jitter keeps the clients of a hub from coming back at the same moment.
    fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(0.75 + fastrand::f64() / 2.0).min(LONGEST_PAUSE)
    }
}

impl Conversation {
    /// Connects; with `reconnect`, tries until it succeeds. Returns None if the client was stopped
    /// meanwhile or has nothing left to send. `admitted`: whether the client has been connected before.
    pub(super) async fn connect<F, I>(
        &self,
        input: &mut Input<F, I>,
        stop: &mut Stop<impl Future<Output = ()> + Unpin>,
        backoff: &mut Backoff,
        admitted: bool,
    ) -> Result<Option<Connection>, ClientError>
    where
        F: FnOnce() -> io::Result<I>,
        I: AsyncRead + Unpin,
    {
        let address = || self.server.to_string();
        if !admitted {
            let opened = tokio::select! {
                opened = self.open(true) => opened,
                () = stop.wait() => return Err(ClientError::Unconnected { address: address() }),
            };
            match opened {
                Err(error) if self.reconnect && is_temporary(&error, admitted) => {
                    let sentence = one_line(&format!("{error}; trying again"));
                    self.emit(ClientEvent::Problem(sentence)).await?;
                }
                opened => return opened.map(Some),
            }
        }
        let attempt = async || self.open(false).await;
        tokio::select! {
            opened = until_open(backoff, attempt, |error| is_temporary(error, admitted)) => {
                opened.map(Some)
            }
            () = stop.wait() => match admitted {
                false => Err(ClientError::Unconnected { address: address() }),
                true if self.stay && !input.has_more().await => Ok(None),
                true => Err(ClientError::Interrupted),
            },
            done = self.until_done(input) => match admitted {
                false => done.and(Err(ClientError::NeverConnected { address: address() })),
                true => done.map(|()| None),
            },
        }
    }
}

/// Tries after each pause, until an attempt succeeds or fails in a way that a later one would, too.
async fn until_open<T>(
    backoff: &mut Backoff,
    mut attempt: impl AsyncFnMut() -> Result<T, ClientError>,
    is_temporary: impl Fn(&ClientError) -> bool,
) -> Result<T, ClientError> {
    loop {
        sleep(backoff.next()).await;
        match attempt().await {
            Err(error) if is_temporary(&error) => {}
            opened => return opened,
        }
    }
}

/// Whether a later attempt may succeed. After a loss the hub may still hold the lost session, and refuse
/// the client because of it.
fn is_temporary(error: &ClientError, admitted: bool) -> bool {
    match error {
        ClientError::UnknownHost { .. }
        | ClientError::Connect { .. }
        | ClientError::NoAnswer { .. }
        | ClientError::NoGreeting { .. }
        | ClientError::ClosedUngreeted { .. }
        | ClientError::Lost { .. } => true,
        ClientError::Refused { text } => {
            admitted && [REFUSAL, TOO_MANY_FROM_ADDRESS].contains(&text.as_str())
        }
        _ => false,
    }
}

/// The report about a lost connection, on which so many lines were sent.
pub(super) fn loss_report(error: &ClientError, lines: usize, again: bool) -> String {
    let sent = match lines {
        0 => "0 lines were sent on it".to_owned(),
        1 => "1 line was sent on it and is not confirmed".to_owned(),
        _ => format!("{lines} lines were sent on it and are not confirmed"),
    };
    let again = if again { "; connecting again" } else { "" };
    one_line(&format!("{error}; {sent}{again}"))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn unreachable() -> ClientError {
        let source = io::ErrorKind::ConnectionRefused.into();
        ClientError::Connect { address: "hub.test:4444".to_owned(), source }
    }

    fn refused(text: &str) -> ClientError {
        ClientError::Refused { text: text.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pauses_double_from_half_a_second_to_thirty_seconds() {
        let (mut starts, start) = (Vec::new(), Instant::now());
        let attempt = async || {
            starts.push(start.elapsed());
            if starts.len() < 9 { Err(unreachable()) } else { Ok(()) }
        };
        until_open(&mut Backoff::new(), attempt, |_| true).await.unwrap();
        let mut before = Duration::ZERO;
        for (start, seconds) in starts.into_iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0])
        {
            let pause = (start - before).as_secs_f64();
            assert!((0.74 * seconds..=1.26 * seconds).contains(&pause), "{pause} for {seconds}");
            assert!(pause < 30.1, "{pause}");
            before = start;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_fails_for_good_is_the_last() {
        let mut attempts = 0;
        let attempt = async || {
            attempts += 1;
            Err::<(), _>(if attempts < 3 { unreachable() } else { refused("Go away") })
        };
        let opened = until_open(&mut Backoff::new(), attempt, |e| is_temporary(e, true)).await;
        assert!(matches!(opened, Err(ClientError::Refused { .. })));
        assert_eq!(attempts, 3);
    }

    #[test]
    fn a_connection_that_has_lasted_resets_the_pauses() {
        let mut backoff = Backoff::new();
        backoff.next();
        backoff.reset_after(Duration::from_millis(100));
        assert_eq!(backoff.pause, Duration::from_secs(1));
        backoff.reset_after(Duration::from_secs(1));
        assert_eq!(backoff.pause, FIRST_PAUSE);
    }

    #[test]
    fn only_two_refusals_are_temporary_and_only_after_a_loss() {
        for text in [REFUSAL, "Too many connections from this address"] {
            assert!(is_temporary(&refused(text), true));
            assert!(!is_temporary(&refused(text), false));
        }
        assert!(!is_temporary(&refused("Not allowed from this address"), true));
    }
}
