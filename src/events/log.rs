//! The log: every event as one line of JSON in a file, written by a thread of its own.
//!
//! [`Log`] is the event loop's side. It accepts events into a queue. While the queue is too long, the
//! Console waits, but for at most `timeouts.stall`. After that, further events are dropped and counted
//! until the log's thread has written everything that is in the queue.
//!
//! A batch that cannot be written delays nothing. Its events are counted, too, and the thread tries
//! again with the next batch, or after a second. As soon as it can write, it writes a `gap` with the
//! number of events that are missing.

mod file;
mod writer;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout, timeout_at},
};

pub(crate) use self::file::{LogFile, Settings};
use self::writer::Writer;
use super::{Event, Json, Render, Stamped};
use crate::wire::lines::{BATCH, Lines};

/// The Console waits while there is more than this in the queue, in bytes.
const LONG: usize = 1 << 20;

/// What an event occupies beyond its lines, in bytes.
const EVENT_OVERHEAD: usize = 256;

/// Problems are reported once, and again only after this long without any.
const QUIET: Duration = Duration::from_secs(60);

/// The most reports that may be pending. Further reports are dropped.
const PROBLEMS: usize = 8;

/// The log as its users see it. When the last clone is dropped, the thread gives up what it has not
/// written, and ends.
#[derive(Clone)]
pub(crate) struct Log<E> {
    shared: Arc<Shared<E>>,
    _last_clone: Arc<AbandonOnDrop<E>>,
    stall: Duration,
    name: Arc<str>,
}

/// What the event loop and the thread share.
struct Shared<E> {
    state: Mutex<State<E>>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes the tasks that wait for the thread.
    progress: Notify,
    problems: mpsc::Sender<String>,
    /// All events that are not in the log.
    lost: Arc<AtomicU64>,
}

struct State<E> {
    queue: VecDeque<Vec<Stamped<E>>>,
    /// The size of the queue and of the batch being written, in bytes.
    bytes: usize,
    /// Whether the log has been given up for now, so that events are only counted.
    given_up: bool,
    /// The number of events that have been counted since then.
    missed: u64,
    reopen: bool,
    /// Whether the queue is closed: no more events will come.
    closing: bool,
    /// Whether the server no longer waits for the log.
    abandoned: bool,
    ended: bool,
    last_trouble: Option<Instant>,
}

impl<E: Event> Log<E>
where
    Json: Render<E>,
{
    /// Starts the thread that writes to this file. The receiver gets what should be reported about the
    /// log, in sentences.
    ///
    /// # Errors
    ///
    /// The operating system's error, if it has run out of threads.
    pub(crate) fn start(
        file: LogFile,
        stall: Duration,
    ) -> io::Result<(Self, mpsc::Receiver<String>)> {
        let (problems, receiver) = mpsc::channel(PROBLEMS);
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            given_up: false,
            missed: 0,
            reopen: false,
            closing: false,
            abandoned: false,
            ended: false,
            last_trouble: None,
        };
        let (state, work, progress) = (Mutex::new(state), Condvar::new(), Notify::new());
        let shared = Arc::new(Shared { state, work, progress, problems, lost: Arc::default() });
        let name = file.path().display().to_string().into();
        let writer = Writer::new(Arc::clone(&shared), file);
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        let _last_clone = Arc::new(AbandonOnDrop(Arc::clone(&shared)));
        Ok((Self { shared, _last_clone, stall, name }, receiver))
    }
}

impl<E: Event> Log<E> {
    /// Counts the events that are not in the log.
    pub(crate) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.lost)
    }

    /// Accepts these events. If the queue is too long now, returns what to wait for before there are
    /// more.
    pub(crate) fn accept(
        &self,
        events: &[Stamped<E>],
    ) -> Option<impl Future<Output = ()> + 'static + use<E>> {
        if events.is_empty() {
            return None;
        }
        let mut state = self.shared.lock();
        if state.given_up || state.ended {
            let missed = records(events);
            state.missed += missed;
            self.shared.lost.fetch_add(missed, Relaxed);
            return None;
        }
        let batch: Vec<_> = events.iter().map(compact).collect();
        state.bytes += size(&batch);
        state.queue.push_back(batch);
        self.shared.work.notify_one();
        if state.bytes <= LONG {
            return None;
        }
        drop(state);
        let log = self.clone();
        Some(async move {
            let has_room = |state: &State<E>| state.bytes <= LONG || state.given_up || state.ended;
            if timeout(log.stall, log.shared.until(has_room)).await.is_err() {
                log.give_up();
            }
        })
    }

    fn give_up(&self) {
        let mut state = self.shared.lock();
        if state.bytes <= LONG || state.given_up {
            return;
        }
        state.given_up = true;
        self.shared.report(&mut state, || {
            let (name, stall) = (&self.name, self.stall);
            format!(
                "the log {name} is too slow: it was full for longer than timeouts.stall ({stall:?}); \
                 events that are missing in it are counted"
            )
        });
        self.shared.progress.notify_waiters();
    }

    /// Opens the file with the log's name again, after what is being written.
    pub(crate) fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.work.notify_one();
    }

    /// Waits until everything has been written; if the log has been given up, only until `soon`. Nothing
    /// may be given to the log after this.
    pub(crate) async fn finish(&self, soon: Instant, deadline: Instant) {
        let given_up = {
            let mut state = self.shared.lock();
            state.closing = true;
            state.given_up
        };
        self.shared.work.notify_one();
        let until = if given_up { soon } else { deadline };
        let _ = timeout_at(until, self.shared.until(|state| state.ended)).await;
    }
}

/// Makes the thread end.
struct AbandonOnDrop<E>(Arc<Shared<E>>);

impl<E> Drop for AbandonOnDrop<E> {
    fn drop(&mut self) {
        self.0.lock().abandoned = true;
        self.0.work.notify_one();
    }
}

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when the condition holds.
    async fn until(&self, condition: impl Fn(&State<E>) -> bool) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if condition(&self.lock()) {
                return;
            }
            progress.await;
        }
    }

    /// Reports trouble, unless it was reported already.
    fn report(&self, state: &mut State<E>, sentence: impl FnOnce() -> String) {
        let now = Instant::now();
        if state.last_trouble.replace(now).is_none_or(|last| now - last > QUIET) {
            // This fails only if the receiver is gone or has too many unread reports.
            let _ = self.problems.try_send(sentence());
        }
    }
}

/// The number of lines that the events have in the log.
fn records<E: Event>(events: &[Stamped<E>]) -> u64 {
    events.iter().map(|stamped| stamped.event.records() as u64).sum()
}

fn size<E: Event>(events: &[Stamped<E>]) -> usize {
    let lines = |stamped: &Stamped<E>| stamped.event.lines().map_or(0, Lines::len);
    events.iter().map(|stamped| EVENT_OVERHEAD + lines(stamped)).sum()
}

/// A copy of the event that shares its lines, or has a copy of them if they are a small part of a large
/// buffer.
fn compact<E: Event>(stamped: &Stamped<E>) -> Stamped<E> {
    let mut copy = stamped.clone();
    if let Some(lines) = copy.event.lines_mut()
        && lines.len() < BATCH / 2
    {
        *lines = lines.compact();
    }
    copy
}

#[cfg(test)]
mod tests;
