//! The Feed: keeps the newest events for those who read them by HTTP, however slow they are.
//!
//! Handles [`Observed`] from the Hub, and [`Fetch`] and [`Position`] from readers. Nobody waits for
//! readers: an event that no longer fits is forgotten, and the numbers of the events tell a reader how
//! many it has missed. It ends with the server.

use std::collections::VecDeque;

use actix::{Actor, Context, Handler, Message, MessageResult};
use tokio::sync::oneshot;

use crate::{
    actors::messages::Observed,
    events::{Event, ServerEvent, Stamped},
    wire::lines::{BATCH, Lines},
};

/// What an event counts in addition to its lines, in bytes: about the memory that it takes.
const OVERHEAD: usize = 128;

/// About how many bytes of lines a reader gets at once.
const FETCH: usize = 32 * 1024;

/// An event with its number. If it carries lines, this is the number of the first one.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) first: u64,
    /// How many events it is in JSON.
    pub(crate) count: u64,
    pub(crate) stamped: Stamped<ServerEvent>,
}

impl Kept {
    /// The number of the event after it.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.count
    }

    fn size(&self) -> usize {
        OVERHEAD + self.stamped.event.lines().map_or(0, Lines::len)
    }
}

/// To the Feed: the events from this number on, as far as they are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    pub(crate) next: u64,
}

impl Message for Fetch {
    type Result = Fetched;
}

/// The answer to [`Fetch`].
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The first of them, at least one if there is one.
    pub(crate) events: Vec<Kept>,
    /// If there is none: dropped when there are more.
    pub(crate) more: Option<oneshot::Receiver<()>>,
}

/// To the Feed: which events are kept?
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position;

impl Message for Position {
    type Result = KeptRange;
}

/// The answer to [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptRange {
    /// The number of the first event that is kept.
    pub(crate) first: u64,
    /// The number that the next event gets.
    pub(crate) next: u64,
}

/// See the [module's documentation](self).
pub(crate) struct Feed {
    kept: VecDeque<Kept>,
    /// The size of all that is kept.
    size: usize,
    /// The limit on it.
    backlog: usize,
    /// The number that the next event gets.
    next: u64,
    /// Dropped at the next event.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Feed {
    /// A feed that keeps about this many bytes.
    pub(crate) fn new(backlog: usize) -> Self {
        let (kept, waiting) = (VecDeque::new(), Vec::new());
        Self { kept, size: 0, backlog, next: 1, waiting }
    }

    fn keep(&mut self, stamped: &Stamped<ServerEvent>) {
        let (first, count) = (self.next, stamped.event.count());
        if count == 0 {
            return;
        }
        let kept = Kept { first, count, stamped: stamped.clone().compacted() };
        self.next = kept.end();
        self.size += kept.size();
        self.kept.push_back(kept);
        while self.size > self.backlog && self.kept.len() > 1 {
            let forgotten = self.kept.pop_front();
            self.size -= forgotten.map_or(0, |forgotten| forgotten.size());
        }
    }
}

impl Stamped<ServerEvent> {
    /// The same, without keeping a large read buffer alive for a few lines.
    fn compacted(mut self) -> Self {
        if let ServerEvent::Message { lines, .. }
        | ServerEvent::Broadcast { lines, .. }
        | ServerEvent::Told { lines, .. } = &mut self.event
            && lines.len() < BATCH / 2
        {
            *lines = lines.compact();
        }
        self
    }
}

impl Actor for Feed {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Everybody waits for an answer before the next message: nothing else bounds the mailbox.
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Observed> for Feed {
    type Result = ();

    fn handle(&mut self, observed: Observed, _: &mut Context<Self>) {
        self.next += observed.missed;
        for stamped in observed.events.iter() {
            self.keep(stamped);
        }
        self.waiting.clear();
    }
}

impl Handler<Fetch> for Feed {
    type Result = MessageResult<Fetch>;

    fn handle(&mut self, Fetch { next }: Fetch, _: &mut Context<Self>) -> Self::Result {
        let start = self.kept.partition_point(|kept| kept.end() <= next);
        let (mut events, mut size) = (Vec::new(), 0);
        for kept in self.kept.range(start..) {
            if size >= FETCH {
                break;
            }
            size += kept.size();
            events.push(kept.clone());
        }
        let more = events.is_empty().then(|| {
            let (sender, more) = oneshot::channel();
            self.waiting.retain(|waiting| !waiting.is_closed());
            self.waiting.push(sender);
            more
        });
        MessageResult(Fetched { events, more })
    }
}

impl Handler<Position> for Feed {
    type Result = MessageResult<Position>;

    fn handle(&mut self, _: Position, _: &mut Context<Self>) -> Self::Result {
        let first = self.kept.front().map_or(self.next, |kept| kept.first);
        MessageResult(KeptRange { first, next: self.next })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn lines(text: &str) -> Stamped<ServerEvent> {
        let lines = Lines::one(text);
        ServerEvent::Broadcast { lines, sessions: 0, by_http: false }.into()
    }

    fn observed(missed: u64, events: Vec<Stamped<ServerEvent>>) -> Observed {
        Observed { missed, events: Arc::from(events) }
    }

    #[actix::test]
    async fn events_are_counted_line_by_line_and_missed_ones_too() {
        let feed = Feed::new(1 << 20).start();
        let listing = ServerEvent::Listing("> nobody\n".to_owned()).into();
        feed.send(observed(0, vec![lines("a\nb"), listing, lines("c")])).await.unwrap();
        feed.send(observed(5, vec![lines("d")])).await.unwrap();
        let range = feed.send(Position).await.unwrap();
        assert_eq!(range, KeptRange { first: 1, next: 10 });
        let numbers = |next| {
            let fetched = feed.send(Fetch { next });
            async {
                fetched.await.unwrap().events.iter().map(|kept| kept.first).collect::<Vec<_>>()
            }
        };
        assert_eq!(numbers(1).await, [1, 3, 9]);
        assert_eq!(numbers(2).await, [1, 3, 9], "the second line of the first event");
        assert_eq!(numbers(3).await, [3, 9]);
        assert_eq!(numbers(5).await, [9]);
        assert!(numbers(10).await.is_empty());
    }

    #[actix::test]
    async fn the_oldest_events_are_forgotten() {
        let feed = Feed::new(3 * (OVERHEAD + 2)).start();
        let events = ["a", "b", "c", "d"].map(lines).to_vec();
        feed.send(observed(0, events)).await.unwrap();
        let range = feed.send(Position).await.unwrap();
        assert_eq!(range, KeptRange { first: 2, next: 5 });
    }

    #[actix::test]
    async fn a_reader_hears_when_there_is_more() {
        let feed = Feed::new(1 << 20).start();
        let fetched = feed.send(Fetch { next: 1 }).await.unwrap();
        feed.send(observed(0, vec![lines("a")])).await.unwrap();
        assert!(fetched.more.unwrap().await.is_err());
        assert_eq!(feed.send(Fetch { next: 1 }).await.unwrap().events.len(), 1);
    }
}
