//! The Console: has what happens written to stdout and stderr.
//!
//! Takes [`Print`]. Sends it on to its Writer, which has a thread of its own, because a pipe or a
//! terminal that nobody reads blocks whoever writes to it. Only of what is short it writes itself as
//! much as stdout takes without waiting: waking a thread would cost more, and at a bad moment, when
//! those who were sent the same line are about to run. It ends with the last address to it, and the
//! Writer with it.

mod printer;
mod writer;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use actix::{Actor, ActorFutureExt, ActorResponse, Addr, Context, Handler, WrapFuture};

pub use self::printer::Outputs;
use self::{printer::Printer, writer::Writer};
use crate::{
    actors::messages::{ConsoleGone, Print},
    events::{Event, Stamped},
};

/// How many bytes of lines the event loop may stop to print, at most.
const SHORT: usize = 4 * 1024;

/// See the [module's documentation](self).
pub struct Console {
    /// Free whenever the Writer has answered for all that it was sent.
    printer: Arc<Mutex<Printer>>,
    writer: Addr<Writer>,
    /// What the Writer has not answered for.
    writing: usize,
}

impl Console {
    /// Starts a Console, and its Writer on a thread of its own. Must be called within an Actix
    /// system.
    ///
    /// # Errors
    ///
    /// The system's own, when threads or descriptors are short.
    pub fn start(outputs: Outputs) -> io::Result<Addr<Self>> {
        let printer = Arc::new(Mutex::new(Printer::new(outputs)));
        let writer = Writer::start(Arc::clone(&printer))?;
        Ok(Actor::start(Self { printer, writer, writing: 0 }))
    }

    /// Prints it if that is short and needs no waiting. If not, gives what is left of it.
    fn print_at_once(&self, print: Print) -> Option<Print> {
        if self.writing > 0 || !is_short(&print.0) {
            return Some(print);
        }
        self.printer.lock().unwrap_or_else(PoisonError::into_inner).print_at_once(print)
    }
}

fn is_short(events: &[Stamped]) -> bool {
    let bytes = |stamped: &Stamped| match &stamped.event {
        Event::Message { lines, .. } | Event::Broadcast { lines, .. } => lines.len(),
        // About as long as others become.
        _ => 64,
    };
    events.iter().map(bytes).sum::<usize>() <= SHORT
}

impl Actor for Console {
    type Context = Context<Self>;
}

impl Handler<Print> for Console {
    type Result = ActorResponse<Self, Result<(), ConsoleGone>>;

    fn handle(&mut self, print: Print, _: &mut Context<Self>) -> Self::Result {
        let Some(print) = self.print_at_once(print) else {
            return ActorResponse::reply(Ok(()));
        };
        self.writing += 1;
        let written = self.writer.send(print).into_actor(self);
        ActorResponse::r#async(written.map(|written, console, _| {
            console.writing -= 1;
            written.unwrap_or(Err(ConsoleGone))
        }))
    }
}

#[cfg(test)]
mod tests;
