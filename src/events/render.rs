//! Rendering: what every form of the events has in common.

use std::{fmt, io::Write};

use super::Stamped;

/// Rendered output that has not been written yet.
#[derive(Debug, Default)]
pub struct Page {
    /// Bytes for stdout.
    pub out: Vec<u8>,
    /// Bytes for stderr: one line for each problem.
    pub err: Vec<u8>,
}

/// A form in which events of type `E` are printed.
pub trait Render<E>: Send {
    /// Appends the event to the page. Events come in the order in which they happened.
    fn render(&mut self, event: &Stamped<E>, page: &mut Page);
}

impl<E> Render<E> for Box<dyn Render<E>> {
    fn render(&mut self, event: &Stamped<E>, page: &mut Page) {
        (**self).render(event, page);
    }
}

/// Appends formatted text.
pub(crate) fn push_fmt(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

/// Appends one line about a problem, as every program does on stderr.
pub(crate) fn push_report(program: &str, err: &mut Vec<u8>, problem: fmt::Arguments<'_>) {
    push_fmt(err, format_args!("{program}: {problem}\n"));
}
