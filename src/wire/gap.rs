//! A pause in a stream that ends an unfinished line.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// Measures how long a stream has been silent while it was being read.
#[derive(Debug)]
pub(crate) struct Gap {
    limit: Duration,
    /// Ends when the stream has been silent for `limit`. Runs from the first time that the stream was
    /// found empty, so time in which the stream was not read does not count.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Gap {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, silence: None }
    }

    /// Starts over: the stream is not silent, or it is not being read, so its silence is unknown.
    pub(crate) fn interrupt(&mut self) {
        self.silence = None;
    }

    /// The stream was found empty. Ready if it has been silent for long enough.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(limit)));
        let passed = silence.as_mut().poll(cx);
        if passed.is_ready() {
            self.silence = None;
        }
        passed
    }
}
