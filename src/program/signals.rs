//! When to stop: at SIGINT, SIGTERM or SIGHUP in order, at a second SIGINT or SIGTERM at once.

use std::{
    fs,
    future::{Future, pending},
    io::{self, Write},
    panic,
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::sleep,
};

use crate::terminal::Terminal;

/// How long a program may take to notice the end of what was typed before Ctrl-C. It does not notice
/// while it waits for a peer.
const NOTICING: Duration = Duration::from_secs(1);

/// Ready at the first SIGINT, SIGTERM or SIGHUP, which from now on do not end the program by
/// themselves, and a second after Ctrl-C at the terminal. The next SIGINT or SIGTERM ends it with
/// status 1 wherever it is, and leaves the terminal as it was found; SIGHUP does not, because it
/// comes from the shell and from the kernel both. It stays ignored if it was, as by nohup. Must be
/// called within an Actix system.
///
/// # Errors
///
/// The system's own.
pub fn stop_signals(terminal: Option<&Terminal>) -> io::Result<impl Future<Output = ()> + use<>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup =
        if is_ignored(Signal::HUP) { None } else { Some(signal(SignalKind::hangup())?) };
    let end_editor = terminal.map(Terminal::closer);
    let quit_requested = terminal.map(Terminal::quit_requested);
    let (stop, stopped) = oneshot::channel::<()>();
    actix_rt::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => pending().await,
            }
        };
        let unnoticed = async {
            match quit_requested {
                Some(quit_requested) => quit_requested.await,
                None => pending().await,
            }
            sleep(NOTICING).await;
        };
        tokio::select! {
            () = next() => {}
            () = hung_up => {}
            () = unnoticed => {}
        }
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

/// Whether the program was started with this signal ignored (proc(5), `SigIgn`). Said to be so where
/// the system does not tell: then it does what it would have done.
fn is_ignored(signal: Signal) -> bool {
    let ignored = || {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    ignored().is_none_or(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
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
