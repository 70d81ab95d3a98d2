//! An actor's future made of one of its methods: [`std::future::poll_fn`] for actors.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix::{Actor, ActorFuture};

/// A future that polls `poll` with the actor and its context. It can be spawned into the actor's
/// context; unlike an `async` block it has the actor at hand, and unlike that it costs no memory.
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
