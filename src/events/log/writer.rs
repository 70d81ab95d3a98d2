//! The log's thread: renders events as JSON, writes them, and counts those that it cannot write.

use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use memchr::memchr_iter;

use super::{LONG, LogFile, Shared, records, size};
use crate::events::{
    Event, Json, Page, Render, Stamped, json::push_log_gap, wording::os_error_text,
};

/// A page is written when it has grown to this many bytes, and at the end of each batch.
const PAGE: usize = 256 * 1024;

/// How soon the log is tried again if there are no events.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread does next.
enum Work<E> {
    Batch(Vec<Stamped<E>>),
    Reopen,
    /// Nothing is in the queue, and events are missing.
    Gap,
    End,
}

/// The state of the thread that writes the log.
pub(super) struct Writer<E> {
    shared: Arc<Shared<E>>,
    file: LogFile,
    page: Page,
    /// The number of events that are missing since the last `gap`.
    missed: u64,
}

impl<E: Event> Writer<E>
where
    Json: Render<E>,
{
    pub(super) fn new(shared: Arc<Shared<E>>, file: LogFile) -> Self {
        Self { shared, file, page: Page::default(), missed: 0 }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Work::Batch(batch) => {
                    self.write_batch(&batch);
                    let mut state = self.shared.lock();
                    state.bytes -= size(&batch);
                    if state.bytes <= LONG {
                        self.shared.progress.notify_waiters();
                    }
                }
                Work::Reopen => self.reopen(),
                Work::Gap => {
                    self.write_gap();
                }
                Work::End => return,
            }
        }
    }

    /// Waits for the next step.
    fn next(&mut self) -> Work<E> {
        let mut state = self.shared.lock();
        // Whether it is time to try a log that could not be written.
        let mut retry = false;
        loop {
            if state.abandoned {
                return Work::End;
            }
            if std::mem::take(&mut state.reopen) {
                return Work::Reopen;
            }
            if let Some(batch) = state.queue.pop_front() {
                return Work::Batch(batch);
            }
            if std::mem::take(&mut state.given_up) {
                // Everything before the missing events has been written.
                self.missed += std::mem::take(&mut state.missed);
                retry = true;
            }
            if self.missed > 0 && (retry || state.closing) {
                // If it fails at the end, it is not tried again.
                state.abandoned |= state.closing;
                return Work::Gap;
            }
            if state.closing {
                return Work::End;
            }
            let woken = self.shared.work.wait_timeout(
                state,
                match self.missed {
                    0 => Duration::MAX,
                    _ => RETRY,
                },
            );
            let timed_out;
            (state, timed_out) = woken.unwrap_or_else(PoisonError::into_inner);
            retry = timed_out.timed_out();
        }
    }

    /// Writes the batch, after a `gap` if events are missing before it.
    fn write_batch(&mut self, batch: &[Stamped<E>]) {
        if self.missed > 0 && !self.write_gap() {
            self.miss(records(batch));
            return;
        }
        for (at, stamped) in batch.iter().enumerate() {
            // The name is only for stderr, which the log does not write to.
            Json { program: "" }.render(stamped, &mut self.page);
            self.page.err.clear();
            if (self.page.out.len() >= PAGE || at + 1 == batch.len())
                && let Err(missed) = self.write_page()
            {
                self.miss(missed + batch.get(at + 1..).map_or(0, records));
                return;
            }
        }
    }

    /// Counts events that cannot be written.
    fn miss(&mut self, events: u64) {
        self.missed += events;
        self.shared.lost.fetch_add(events, Relaxed);
    }

    /// Writes a `gap`. Returns whether that succeeded.
    fn write_gap(&mut self) -> bool {
        push_log_gap(self.missed, &mut self.page.out);
        let written = self.write_page().is_ok();
        if written {
            self.missed = 0;
        }
        written
    }

    /// Writes what is in the page. The error is the number of lines that could not be written.
    fn write_page(&mut self) -> Result<(), u64> {
        let page = std::mem::take(&mut self.page.out);
        let result = self.write(&page);
        self.page.out = page;
        self.page.out.clear();
        // An unusually large page must not occupy memory from now on.
        self.page.out.shrink_to(2 * PAGE);
        result
    }

    fn write(&mut self, mut lines: &[u8]) -> Result<(), u64> {
        loop {
            let shared = &self.shared;
            let go_on = || {
                let state = shared.lock();
                !state.reopen && !state.abandoned
            };
            let (written, result) = self.file.write(lines, &go_on);
            (_, lines) = lines.split_at(written);
            if let Some(error) = self.file.rotation_error() {
                self.trouble("rotated", &error);
            }
            let Err(error) = result else {
                return Ok(());
            };
            let reopen = error.kind() == io::ErrorKind::Interrupted && self.wants_reopen();
            if !reopen {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.trouble("written", &error);
                }
                return Err(memchr_iter(b'\n', lines).count() as u64);
            }
            self.reopen();
        }
    }

    fn wants_reopen(&self) -> bool {
        std::mem::take(&mut self.shared.lock().reopen)
    }

    fn reopen(&mut self) {
        // The operator asked for this, so a failure is always reported, even if it repeats the last one.
        self.shared.lock().last_trouble = None;
        if let Err(error) = self.file.reopen() {
            self.trouble("opened again", &error);
        }
    }

    fn trouble(&self, what: &str, error: &io::Error) {
        let mut state = self.shared.lock();
        self.shared.report(&mut state, || {
            let (name, why) = (self.file.path().display(), os_error_text(error));
            format!("the log {name} cannot be {what}: {why}")
        });
    }
}

impl<E> Drop for Writer<E> {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.progress.notify_waiters();
    }
}
