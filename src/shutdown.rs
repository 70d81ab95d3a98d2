//! When to stop: at SIGINT or SIGTERM in order, at the second of them at once.

use std::{
    future::Future,
    io::{self, Write},
    panic,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::terminal::Terminal;

/// Ready at the first SIGINT or SIGTERM, which from now on do not end the program by themselves.
/// The second ends it with status 1 wherever it is, and leaves the terminal as it was found. Must
/// be called within an Actix system.
///
/// # Errors
///
/// The system's own.
pub fn stop_signals(terminal: Option<&Terminal>) -> io::Result<impl Future<Output = ()> + use<>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let end_editor = terminal.map(Terminal::ending);
    let (stop, stopped) = oneshot::channel::<()>();
    actix_rt::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        next().await;
        drop(stop);
        next().await;
        if let Some(end_editor) = end_editor {
            end_editor();
        }
        std::process::exit(1);
    });
    Ok(async {
        // Fails when the sender is dropped: that is the signal.
        let _ = stopped.await;
    })
}

/// Has a panic reported in one line, without a backtrace. One client may be lost by it; that the
/// hub goes on matters more to the operator than where in the code it was.
pub fn report_panics(program: &'static str) {
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let what = text.unwrap_or("something unexpected");
        // There is nowhere left to report that stderr is closed.
        let _ = writeln!(io::stderr(), "{program}: internal error{place}: {what}");
    }));
}
