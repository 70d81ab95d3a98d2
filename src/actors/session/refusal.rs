//! A Session whose peer is refused: it says why, and sees to it that this arrives.

use std::{
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use actix::{AsyncContext, Context};
use tokio::io::ReadBuf;

use super::{Session, Stream};
use crate::{actors::poll_fn::poll_fn, events::CloseReason, wire::greeting};

/// How long a refused peer may take to read its refusal and go.
pub(super) const LINGER: Duration = Duration::from_secs(1);

impl<S: Stream> Session<S> {
    pub(super) fn refused(&mut self, ctx: &mut Context<Self>) {
        self.outbox.push(greeting::refused().into());
        let linger = match Arc::clone(&self.setup.lingering).try_acquire_owned() {
            Ok(place) => {
                // Given back with the actor's memory.
                self.newcomer = Some(place);
                LINGER
            }
            Err(_) => Duration::ZERO,
        };
        // In this order: the refusal is written first, however short the time is.
        ctx.spawn(poll_fn(Self::poll_refusal));
        ctx.run_later(linger, |session, ctx| session.close(CloseReason::Left, ctx));
    }

    /// Writes the refusal, closes the sending side, and reads on until the peer has gone: closing
    /// with unread input would reset the connection, and the reset could overtake the refusal.
    fn poll_refusal(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let _ = ready!(self.outbox.poll_write(&mut self.stream, cx));
        ready!(self.poll_hang_up(ctx, cx));
        let mut space = [MaybeUninit::uninit(); 16 * 1024];
        loop {
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                self.close(CloseReason::Left, ctx);
                return Poll::Ready(());
            }
        }
    }
}
