//! Stands in for the line editor if the Cargo feature `terminal` is off. [`Terminal::open`] never
//! finds a terminal, so both programs read stdin and write stdout as they do without one.

mod options;

use std::{
    future::Pending,
    io::{self, Write},
};

pub use self::options::{Completer, TerminalOptions};

/// A terminal with a line editor. Without the feature, no value of this type exists.
#[derive(Clone, Copy, Debug)]
pub enum Terminal {}

impl Terminal {
    /// Returns None.
    ///
    /// # Errors
    ///
    /// None without the feature.
    pub fn open(_: TerminalOptions) -> io::Result<Option<Self>> {
        Ok(None)
    }

    /// See [`printer`](Self::printer).
    #[must_use]
    pub fn has_colors(&self) -> bool {
        match *self {}
    }

    /// Cannot be called, because no terminal exists; nor can the other methods.
    #[must_use]
    pub fn printer(&self) -> Option<io::Sink> {
        match *self {}
    }

    /// See [`printer`](Self::printer).
    #[must_use]
    pub fn err_printer(&self) -> Box<dyn Write + Send> {
        match *self {}
    }

    /// See [`printer`](Self::printer).
    ///
    /// # Errors
    ///
    /// None without the feature.
    pub fn start(&mut self) -> io::Result<tokio::io::Empty> {
        match *self {}
    }

    /// See [`printer`](Self::printer).
    pub fn quit_requested(&self) -> Pending<()> {
        match *self {}
    }

    /// See [`printer`](Self::printer).
    pub fn interrupt_marker(&self) -> fn() {
        match *self {}
    }

    /// See [`printer`](Self::printer).
    pub fn closer(&self) -> fn() {
        match *self {}
    }
}
