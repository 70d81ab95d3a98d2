//! The Console: renders events and writes them to stdout and stderr.
//!
//! Handles [`Print`], and acknowledges it when everything is written. It ends when its last address
//! is dropped, and its Writer ends with it.
//!
//! A write to a pipe or a terminal that is not being read blocks. So the Console has a [`Writer`]: an
//! actor on a thread of its own, which may block. Waking that thread costs a context switch just when
//! the sessions should run. So the Console writes short output itself, as far as stdout accepts it
//! without blocking, and gives the rest to the Writer.
//!
//! ```text
//!  Hub ── Print ──► Console ── all events ─────────────────► Log ──► its own thread ──────► file
//!                      │
//!                      ├────── short, Writer idle ───────► Printer::try_print ─────────────────► stdout
//!                      └────── everything else ──► Writer ─────► Printer::print ──────► stdout, stderr
//! ```
//!
//! Both use one [`Printer`]. The Console uses it only while the Writer is idle, so its lock is never
//! contended.
//!
//! If there is a [`Log`], it gets all events, too, and a [`Print`] is acknowledged when the log has also
//! accepted it.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use actix::{
    Actor, ActorFuture, ActorFutureExt, ActorResponse, Addr, Context, Handler, WrapFuture,
};
use actix_rt::Arbiter;

use crate::{
    actors::messages::{ConsoleGone, Print},
    blocking,
    events::{Event, Page, Render, Stamped, log::Log, wording::os_error_text},
    wire::lines::Lines,
};

/// The longest output that the Console writes itself, on the event loop, in bytes as estimated by
/// [`printed_len`].
const SHORT: usize = 16 * 1024;

/// The estimated length of what is printed with each line: about the length of a prefix, or of a JSON object.
const LINE_OVERHEAD: usize = 128;

/// A page is written when it has grown to this many bytes, and at the end of each [`Print`].
const PAGE: usize = 256 * 1024;

/// Where a Console writes, and in which form.
pub struct Outputs<E> {
    renderer: Box<dyn Render<E>>,
    /// Unbuffered, because it gets whole blocks. After an error on it, the Console prints nothing more.
    out: Box<dyn Write + Send>,
    /// stdout as a file that can be written without blocking, if it is one.
    out_file: Option<File>,
    /// Errors on it are ignored: there is nowhere left to report them.
    err: Box<dyn Write + Send>,
    log: Option<Log<E>>,
}

impl<E: 'static> Outputs<E> {
    /// Outputs that render with `renderer` and write to `out` and `err`, which may block.
    pub fn new(
        renderer: impl Render<E> + 'static,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self {
            renderer: Box::new(renderer),
            out: Box::new(out),
            out_file: None,
            err: Box::new(err),
            log: None,
        }
    }

    /// Declares that `out` writes to this file, and that the Console may write to it directly as long
    /// as that does not block.
    #[must_use]
    pub fn nonblocking(mut self, out: Option<File>) -> Self {
        self.out_file = out;
        self
    }

    /// Has the events written to this log, too.
    #[must_use]
    pub(crate) fn log(mut self, log: Option<Log<E>>) -> Self {
        self.log = log;
        self
    }

    /// Outputs that discard everything.
    pub fn quiet() -> Self {
        struct Quiet;
        impl<E> Render<E> for Quiet {
            fn render(&mut self, _: &Stamped<E>, _: &mut Page) {}
        }
        Self::new(Quiet, io::sink(), io::sink())
    }
}

/// See the [module's documentation](self).
pub(crate) struct Console<E: Event> {
    printer: Arc<Mutex<Printer<E>>>,
    writer: Addr<Writer<E>>,
    /// The number of [`Print`]s that the Writer has not acknowledged.
    unacked: usize,
    log: Option<Log<E>>,
}

impl<E: Event> Console<E> {
    /// The number of event loops that a Console starts.
    pub(crate) const EVENT_LOOPS: usize = 1;

    /// Starts a Console, and its Writer on a thread of its own. Must be called within an Actix
    /// system.
    ///
    /// # Errors
    ///
    /// The operating system's error, if it has run out of threads or descriptors.
    pub(crate) fn start(mut outputs: Outputs<E>) -> io::Result<Addr<Self>> {
        let log = outputs.log.take();
        let printer = Printer { outputs, page: Page::default(), failed: false };
        let printer = Arc::new(Mutex::new(printer));
        let shared = Arc::clone(&printer);
        let arbiter = Arbiter::try_new()?.handle();
        let writer = Writer::start_in_arbiter(&arbiter, |_| Writer { printer: shared });
        Ok(Actor::start(Self { printer, writer, unacked: 0, log }))
    }

    /// Prints without blocking, or has the Writer print. Returns what to wait for in that case.
    fn print(
        &mut self,
        print: Print<E>,
    ) -> Option<impl ActorFuture<Self, Output = Result<(), ConsoleGone>> + 'static + use<E>> {
        let rest = self.try_print(print)?;
        self.unacked += 1;
        let written = self.writer.send(rest).into_actor(self);
        Some(written.map(|written, console: &mut Self, _| {
            console.unacked -= 1;
            written.unwrap_or(Err(ConsoleGone))
        }))
    }

    /// Prints without blocking. Returns the rest if it is long, or if stdout did not accept all.
    fn try_print(&self, print: Print<E>) -> Option<Print<E>> {
        if self.unacked > 0 || printed_len(&print.0) > SHORT {
            return Some(print);
        }
        self.printer.lock().unwrap_or_else(PoisonError::into_inner).try_print(print)
    }
}

/// An estimate of the events' printed length, in bytes. It stops counting lines above [`SHORT`].
fn printed_len<E: Event>(events: &[Stamped<E>]) -> usize {
    let mut total = 0;
    for lines in events.iter().map(|stamped| stamped.event.lines()) {
        total += LINE_OVERHEAD + lines.map_or(0, Lines::len);
        if total > SHORT {
            break;
        }
        total += lines.map_or(0, |lines| LINE_OVERHEAD * lines.iter().count());
    }
    total
}

impl<E: Event> Actor for Console<E> {
    type Context = Context<Self>;
}

impl<E: Event> Handler<Print<E>> for Console<E> {
    type Result = ActorResponse<Self, Result<(), ConsoleGone>>;

    fn handle(&mut self, print: Print<E>, _: &mut Context<Self>) -> Self::Result {
        let log_has_room = self.log.as_ref().and_then(|log| log.accept(&print.0));
        let printed = self.print(print);
        match (printed, log_has_room) {
            (None, None) => ActorResponse::reply(Ok(())),
            (Some(printed), None) => ActorResponse::r#async(printed),
            (None, Some(log_has_room)) => {
                ActorResponse::r#async(log_has_room.into_actor(self).map(|(), _, _| Ok(())))
            }
            (Some(printed), Some(log_has_room)) => {
                ActorResponse::r#async(printed.then(|result, console, _| {
                    log_has_room.into_actor(console).map(move |(), _, _| result)
                }))
            }
        }
    }
}

/// The actor that may block. It runs on a thread of its own, and handles [`Print`] from the Console.
struct Writer<E: Event> {
    printer: Arc<Mutex<Printer<E>>>,
}

impl<E: Event> Actor for Writer<E> {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The Writer is the only actor on this thread.
        Arbiter::current().stop();
    }
}

impl<E: Event> Handler<Print<E>> for Writer<E> {
    type Result = Result<(), ConsoleGone>;

    fn handle(&mut self, print: Print<E>, _: &mut Self::Context) -> Self::Result {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner).print(&print)
    }
}

/// Renders events and writes the pages.
struct Printer<E> {
    outputs: Outputs<E>,
    /// What has been rendered and not written yet.
    page: Page,
    /// Whether stdout has failed. Then nothing more is written.
    failed: bool,
}

impl<E: Event> Printer<E> {
    /// Writes without blocking. Returns the print if output remains: what has been rendered of it is
    /// in the page, and is written before anything else.
    fn try_print(&mut self, mut print: Print<E>) -> Option<Print<E>> {
        let Some(file) = &self.outputs.out_file else {
            return Some(print);
        };
        for event in print.0.drain(..) {
            self.outputs.renderer.render(&event, &mut self.page);
        }
        let Page { out, err } = &mut self.page;
        // stderr comes before stdout, and may block.
        if err.is_empty() {
            match blocking::write_at_once(file, out) {
                Ok(written) => drop(out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The file does not support this, or has failed: the Writer finds out which.
                Err(_) => self.outputs.out_file = None,
            }
        }
        let done = self.page.err.is_empty() && self.page.out.is_empty();
        (!done).then_some(print)
    }

    /// Writes everything, and blocks if necessary.
    fn print(&mut self, print: &Print<E>) -> Result<(), ConsoleGone> {
        if !self.failed
            && let Err(error) = self.write_all(&print.0)
        {
            self.failed = true;
            self.outputs.out_file = None;
            self.report_failure(&error);
        }
        if self.failed { Err(ConsoleGone) } else { Ok(()) }
    }

    fn write_all(&mut self, events: &[Stamped<E>]) -> io::Result<()> {
        for event in events {
            self.outputs.renderer.render(event, &mut self.page);
            if self.page.out.len() >= PAGE {
                self.write_page()?;
            }
        }
        self.write_page()
    }

    fn write_page(&mut self) -> io::Result<()> {
        let Page { out, err } = &mut self.page;
        if !err.is_empty() {
            let _ = self.outputs.err.write_all(err).and_then(|()| self.outputs.err.flush());
            err.clear();
        }
        if out.is_empty() {
            return Ok(());
        }
        let written = self.outputs.out.write_all(out).and_then(|()| self.outputs.out.flush());
        out.clear();
        // An unusually large page must not occupy memory from now on.
        out.shrink_to(2 * PAGE);
        written
    }

    /// Reports on stderr why nothing more is written to stdout.
    fn report_failure(&mut self, error: &io::Error) {
        self.page.out.clear();
        let problem = E::problem(format!("cannot write to stdout: {}", os_error_text(error)));
        self.outputs.renderer.render(&problem.into(), &mut self.page);
        self.page.out.clear();
        let _ = self.write_page();
    }
}

#[cfg(test)]
mod tests;
