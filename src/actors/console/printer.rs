//! Rendering what happens and writing it to stdout and stderr: at once, or however long it takes.

use std::{
    fs::File,
    io::{self, Write},
};

use crate::{
    actors::messages::{ConsoleGone, Print},
    blocking,
    events::{
        Event, Stamped,
        transcript::{Page, Renderer},
        wording::os_error_text,
    },
};

/// Pages are written when they have grown to this many bytes, and at the end of each [`Print`].
const PAGE: usize = 256 * 1024;

/// Where a Console writes, and in what form.
pub struct Outputs {
    /// The form.
    pub renderer: Box<dyn Renderer>,
    /// stdout, unbuffered: it gets whole blocks. An error on it is the Console's end.
    pub out: Box<dyn Write + Send>,
    /// What stdout is, to be asked first how much it takes without waiting. None if it cannot tell,
    /// or must get everything through `out`, as at a terminal.
    pub out_file: Option<File>,
    /// stderr. Errors on it are ignored: there is nowhere left to report them.
    pub err: Box<dyn Write + Send>,
}

/// See the [module's documentation](self).
pub(super) struct Printer {
    outputs: Outputs,
    /// What has been rendered and not been written.
    page: Page,
    /// Once stdout has failed nothing more is taken.
    failed: bool,
}

impl Printer {
    pub(super) fn new(outputs: Outputs) -> Self {
        Self { outputs, page: Page::default(), failed: false }
    }

    /// Prints what takes no waiting. Gives what is left to be printed, if anything is; what has been
    /// rendered of it goes first then.
    pub(super) fn print_at_once(&mut self, mut print: Print) -> Option<Print> {
        let Some(file) = &self.outputs.out_file else {
            return Some(print);
        };
        for event in print.0.drain(..) {
            self.outputs.renderer.render(&event, &mut self.page);
        }
        let Page { out, err } = &mut self.page;
        // stderr comes first, and may have to wait.
        if err.is_empty() {
            match blocking::write_at_once(file, out) {
                Ok(written) => drop(out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // It cannot tell, or has failed: the other way will show.
                Err(_) => self.outputs.out_file = None,
            }
        }
        let done = self.page.err.is_empty() && self.page.out.is_empty();
        (!done).then_some(print)
    }

    /// Prints, however long that takes.
    pub(super) fn print(&mut self, print: &Print) -> Result<(), ConsoleGone> {
        if !self.failed
            && let Err(error) = self.write_all(&print.0)
        {
            self.failed = true;
            self.outputs.out_file = None;
            self.give_up(&error);
        }
        if self.failed { Err(ConsoleGone) } else { Ok(()) }
    }

    fn write_all(&mut self, events: &[Stamped]) -> io::Result<()> {
        for event in events {
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
        let sentence = format!("cannot write to stdout: {}", os_error_text(error));
        self.outputs.renderer.render(&Event::Problem(sentence).into(), &mut self.page);
        let _ = self.write();
    }
}

impl Outputs {
    /// Outputs that take everything and say nothing.
    pub fn quiet() -> Self {
        struct Quiet;
        impl Renderer for Quiet {
            fn render(&mut self, _: &Stamped, _: &mut Page) {}
        }
        let (out, err) = (Box::new(io::sink()), Box::new(io::sink()));
        Self { renderer: Box::new(Quiet), out, out_file: None, err }
    }
}
