//! The Writer: prints what may have to wait.
//!
//! Takes [`Print`] from the Console. Sends nothing. It has a thread of its own: blocking is what that
//! is for. It ends with the Console.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use actix::{Actor, Addr, Context, Handler};
use actix_rt::Arbiter;

use super::printer::Printer;
use crate::actors::messages::{ConsoleGone, Print};

/// See the [module's documentation](self).
pub(super) struct Writer {
    printer: Arc<Mutex<Printer>>,
}

impl Writer {
    pub(super) fn start(printer: Arc<Mutex<Printer>>) -> io::Result<Addr<Self>> {
        Ok(Self::start_in_arbiter(&Arbiter::try_new()?.handle(), |_| Self { printer }))
    }
}

impl Actor for Writer {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // Nobody else is there.
        Arbiter::current().stop();
    }
}

impl Handler<Print> for Writer {
    type Result = Result<(), ConsoleGone>;

    fn handle(&mut self, print: Print, _: &mut Self::Context) -> Self::Result {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner).print(&print)
    }
}
