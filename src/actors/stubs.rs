//! Stub actors: each stands for one receiver of one kind of message, and hands what it gets to
//! the test, which gives the answers.

use std::{future::pending, net::SocketAddr, time::Duration};

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use tokio::sync::{mpsc, oneshot};

/// A message and the sender for its answer.
pub(crate) type Asked<M> = (M, oneshot::Sender<<M as Message>::Result>);

/// The messages that a stub has received.
pub(crate) struct Inbox<M: Message>(mpsc::UnboundedReceiver<Asked<M>>);

struct Stub<M: Message>(mpsc::UnboundedSender<Asked<M>>);

impl<M: Message + Unpin + 'static> Actor for Stub<M> {
    type Context = Context<Self>;
}

impl<M: Message + Unpin + 'static> Handler<M> for Stub<M> {
    type Result = ResponseFuture<M::Result>;

    fn handle(&mut self, message: M, _: &mut Context<Self>) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        self.0.send((message, answer)).ok();
        Box::pin(async {
            match answered.await {
                Ok(answer) => answer,
                Err(_) => pending().await,
            }
        })
    }
}

/// The address of a stub, and the messages that it receives.
pub(crate) fn stub<M>() -> (Recipient<M>, Inbox<M>)
where
    M: Message + Send + Unpin + 'static,
    M::Result: Send,
{
    let (sender, inbox) = mpsc::unbounded_channel();
    (Stub(sender).start().recipient(), Inbox(inbox))
}

impl<M: Message> Inbox<M> {
    /// The next message.
    pub(crate) async fn next(&mut self) -> Asked<M> {
        soon(self.0.recv()).await.expect("the stub is alive")
    }

    /// Answers the next message, and returns it.
    pub(crate) async fn answer(&mut self, answer: M::Result) -> M {
        let (message, sender) = self.next().await;
        sender.send(answer).ok().expect("somebody waits for the answer");
        message
    }

    /// Whether nothing has been sent. It first lets every task run, so that all have had the time to send.
    pub(crate) async fn is_empty(&mut self) -> bool {
        settle().await;
        self.0.is_empty()
    }
}

/// Waits for the future, and fails the test if it does not complete soon.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("within the time")
}

/// Lets every task that can run do so until none has anything to do.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
