//! How a panic is reported.

use std::{
    io::{self, Write},
    panic,
};

/// Reports every panic in one line, without a backtrace. A panic may cost one client its session;
/// the operator needs to know that, and rarely where in the code it happened.
pub fn report_panics(program: &'static str) {
    panic::set_hook(Box::new(move |info| {
        let location = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("something unexpected");
        // If stderr is closed there is nowhere left to report it.
        let _ = writeln!(io::stderr(), "{program}: internal error{location}: {message}");
    }));
}
