//! Signals. SIGINT, SIGTERM and SIGHUP stop a program in order; a second SIGINT or SIGTERM ends it at
//! once. A program may do something else on SIGHUP. SIGPIPE and SIGXFSZ, which only report that a write
//! has failed, never end the program.
//!
//! All others keep their meaning. SIGXCPU is a limit like SIGKILL: it reports no failed call that could
//! be handled. SIGTTIN and SIGTTOU stop a background job that uses the terminal, as its user expects.

use std::{
    fs,
    future::{Future, pending},
    io,
    time::Duration,
};

use rustix::process::Signal as SignalNumber;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::descriptors::check_available;
use crate::terminal::Terminal;

/// How long a program may take to notice the end of its input after Ctrl-C. It does not notice while
/// it waits for a peer, so after this time Ctrl-C counts as a stop signal.
const CTRL_C_GRACE: Duration = Duration::from_secs(1);

/// Makes a write that exceeds a limit on the size of files (ulimit -f) fail with EFBIG, which is
/// reported like a full disk. The default action of SIGXFSZ would end the program without an error message.
/// Call it before anything is printed. (Rust's runtime does the same for SIGPIPE.)
///
/// Tokio's handler replaces the default action for as long as the program runs. Unlike a signal that is
/// ignored, one with a handler has its default action in the programs that this one might start.
pub fn survive_failed_writes() {
    // Without descriptors for this, the program cannot start anyway, and reports that. Tokio would panic.
    if check_available(1).is_ok()
        && let Ok(runtime) = Builder::new_current_thread().enable_io().build()
    {
        let _context = runtime.enter();
        // The kernel refuses handlers only for signals that do not exist, SIGKILL and SIGSTOP.
        let _ = signal(SignalKind::from_raw(SignalNumber::XFSZ.as_raw()));
    }
}

/// Ready at the first SIGINT, SIGTERM or SIGHUP, or a second after Ctrl-C at the terminal. From now
/// on these signals do not end the program by themselves, and SIGHUP stays ignored if it was at the
/// start, as under nohup.
///
/// A SIGINT or SIGTERM after that restores the terminal and ends the program with status 1 wherever
/// it is. A SIGHUP does not: at a hang-up both the shell and the kernel send one. If there is something
/// else to do on SIGHUP, it never stops the program. Must be called within an Actix system.
///
/// # Errors
///
/// The operating system's error.
pub fn stop_signals<F: Fn() + 'static>(
    terminal: Option<&Terminal>,
    on_hangup: Option<F>,
) -> io::Result<impl Future<Output = ()> + use<F>> {
    let mut signals = StopSignals::listen()?;
    if let Some(on_hangup) = on_hangup
        && let Some(mut hangup) = signals.hangup.take()
    {
        actix_rt::spawn(async move {
            while hangup.recv().await.is_some() {
                on_hangup();
            }
        });
    }
    let ctrl_c = terminal.map(Terminal::quit_requested);
    let mark_interrupt = terminal.map(Terminal::interrupt_marker);
    let mark_if = move |interrupted| {
        if let Some(mark) = mark_interrupt.as_ref().filter(|_| interrupted) {
            mark();
        }
    };
    let restore_terminal = terminal.map(Terminal::closer);
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    // The guard also cancels if the Actix system stops and drops the task.
    let stop = stop.drop_guard();
    actix_rt::spawn(async move {
        tokio::select! {
            interrupted = signals.any() => mark_if(interrupted),
            () = grace_after(ctrl_c) => {}
        }
        drop(stop);
        mark_if(signals.interrupt_or_terminate().await);
        if let Some(restore_terminal) = restore_terminal {
            restore_terminal();
        }
        std::process::exit(1);
    });
    Ok(stopped)
}

/// The signals that stop a program.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// None if SIGHUP stays ignored, or does not stop the program.
    hangup: Option<Signal>,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: match is_ignored(SignalNumber::HUP) {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    /// Whether it was an interrupt.
    async fn interrupt_or_terminate(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => false,
        }
    }

    /// Whether it was an interrupt.
    async fn any(&mut self) -> bool {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => false,
            _ = hangup => false,
        }
    }
}

/// Ready [`CTRL_C_GRACE`] after Ctrl-C; never without a terminal.
async fn grace_after(ctrl_c: Option<impl Future<Output = ()>>) {
    match ctrl_c {
        Some(ctrl_c) => ctrl_c.await,
        None => pending().await,
    }
    sleep(CTRL_C_GRACE).await;
}

/// Whether the program was started with this signal ignored (proc(5), `SigIgn`). Where `/proc` does
/// not tell, it counts as ignored, and the system decides what it does.
fn is_ignored(signal: SignalNumber) -> bool {
    let ignored = || {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    ignored().is_none_or(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}
