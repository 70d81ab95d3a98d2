//! [`std::future::poll_fn`] for actors: makes a future of one of an actor's methods.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix::{Actor, ActorFuture};

/// A future that polls `poll` with the actor and its context, to be spawned into that context. Unlike
/// an `async` block it can borrow the actor, and it needs no state of its own.
pub(crate) fn poll_fn<A, F>(poll: F) -> PollFn<F>
where
    A: Actor,
    F: FnMut(&mut A, &mut A::Context, &mut Context<'_>) -> Poll<()> + Unpin,
{
    PollFn(poll)
}

pub(crate) struct PollFn<F>(F);

impl<A, F> ActorFuture<A> for PollFn<F>
where
    A: Actor,
    F: FnMut(&mut A, &mut A::Context, &mut Context<'_>) -> Poll<()> + Unpin,
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut A::Context,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        (self.0)(actor, ctx, cx)
    }
}
