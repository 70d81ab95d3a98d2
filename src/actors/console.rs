//! The Console: writes what happens to stdout and stderr.
//!
//! Takes [`Print`]. Sends nothing. It runs on a thread of its own, because a pipe or a terminal
//! that nobody reads blocks whoever writes to it: blocking is what this thread is for. It ends with
//! the last address to it.

use std::io::{self, Write};

use actix::{Actor, Addr, Context, Handler};
use actix_rt::Arbiter;

use crate::{
    actors::messages::{ConsoleGone, Print},
    event::{Event, Stamped},
    reason::reason,
    transcript::{Page, Renderer},
};

/// Pages are written when they have grown to this many bytes, and at the end of each [`Print`].
const PAGE: usize = 256 * 1024;

/// Where a Console writes, and in what form.
pub struct Outputs {
    /// The form.
    pub renderer: Box<dyn Renderer>,
    /// stdout, unbuffered: it gets whole blocks. An error on it is the Console's end.
    pub out: Box<dyn Write + Send>,
    /// stderr. Errors on it are ignored: there is nowhere left to report them.
    pub err: Box<dyn Write + Send>,
}

/// See the [module's documentation](self).
pub struct Console {
    outputs: Outputs,
    page: Page,
    /// Once stdout has failed nothing more is taken.
    failed: bool,
}

impl Console {
    /// Starts a Console on a thread of its own. Must be called within an Actix system.
    ///
    /// # Errors
    ///
    /// The system's own, when threads or descriptors are short.
    pub fn start(outputs: Outputs) -> io::Result<Addr<Self>> {
        let console = Self { outputs, page: Page::default(), failed: false };
        Ok(Self::start_in_arbiter(&Arbiter::try_new()?.handle(), |_| console))
    }

    fn print(&mut self, print: &Print) -> io::Result<()> {
        for event in &print.0 {
            self.outputs.renderer.render(event, &mut self.page);
            if self.page.out.len() >= PAGE {
                self.write()?;
            }
        }
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
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
        // One unusual page need not be paid for ever after.
        out.shrink_to(2 * PAGE);
        written
    }

    /// Says on stderr why there is nothing more on stdout.
    fn give_up(&mut self, error: &io::Error) {
        self.page.out.clear();
        let sentence = format!("cannot write to stdout: {}", reason(error));
        self.outputs.renderer.render(&Event::Mishap(sentence).into(), &mut self.page);
        let _ = self.write();
    }
}

impl Actor for Console {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // Nobody else is there.
        Arbiter::current().stop();
    }
}

impl Handler<Print> for Console {
    type Result = Result<(), ConsoleGone>;

    fn handle(&mut self, print: Print, _: &mut Self::Context) -> Self::Result {
        if !self.failed
            && let Err(error) = self.print(&print)
        {
            self.failed = true;
            self.give_up(&error);
        }
        if self.failed { Err(ConsoleGone) } else { Ok(()) }
    }
}

impl Outputs {
    /// Outputs that take everything and say nothing.
    pub fn quiet() -> Self {
        struct Quiet;
        impl Renderer for Quiet {
            fn render(&mut self, _: &Stamped, _: &mut Page) {}
        }
        Self { renderer: Box::new(Quiet), out: Box::new(io::sink()), err: Box::new(io::sink()) }
    }
}
