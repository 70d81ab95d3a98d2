//! The terminal itself: its modes, its window, reading and writing.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, BytesMut};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read, write},
    process::{Signal, getpgrp, kill_current_process_group},
    termios::{
        InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
        tcgetwinsize, tcsetattr,
    },
};

use super::screen::Window;
use crate::blocking;

/// How often a program in the background looks whether it is in the foreground: a shell does not
/// tell a job that has been running all the time.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What Ctrl-C sends.
pub(super) const CTRL_C: u8 = 3;

/// What no key sends, to the kernel (termios(3), `_POSIX_VDISABLE`).
const NO_KEY: u8 = 0;

/// A terminal's window, where it does not tell.
const WINDOW: Window = Window { columns: 80, rows: 24 };

/// stdin and stdout, a terminal.
#[derive(Debug)]
pub(super) struct Tty {
    /// As it was found when it was last taken over.
    found: Mutex<Termios>,
    /// The kernel edits the line.
    dumb: bool,
}

impl Tty {
    pub(super) fn open(dumb: bool) -> io::Result<Self> {
        Ok(Self { found: Mutex::new(tcgetattr(io::stdin())?), dumb })
    }

    /// Sets the modes that the editor wants. In the background this would stop the program.
    pub(super) fn take_over(&self) -> io::Result<()> {
        let modes = tcgetattr(io::stdin())?;
        let ours = if self.dumb { by_lines(&modes) } else { by_keys(&modes) };
        // They may be ours still after a stop that the shell has not tidied up behind.
        let end_of_line = SpecialCodeIndex::VEOL;
        let changed = modes.input_modes != ours.input_modes
            || modes.local_modes != ours.local_modes
            || modes.special_codes[end_of_line] != ours.special_codes[end_of_line];
        if changed {
            *self.found() = modes;
        }
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &ours)?)
    }

    pub(super) fn restore(&self) {
        // The shell has its own modes when it is in the foreground.
        if in_foreground() {
            // At once, as a terminal that takes nothing would be waited for otherwise. It fails when
            // the terminal has hung up.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.found());
        }
    }

    /// Ctrl-Z. The signal stops all threads, this one a little after it has returned from here.
    pub(super) fn suspend(&self) -> io::Result<()> {
        self.restore();
        Ok(kill_current_process_group(Signal::TSTP)?)
    }

    fn found(&self) -> MutexGuard<'_, Termios> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ctrl-C is to end a line as Enter does, so that it comes in its turn and not as a signal.
fn by_lines(found: &Termios) -> Termios {
    let mut modes = found.clone();
    modes.special_codes[SpecialCodeIndex::VINTR] = NO_KEY;
    modes.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    modes
}

/// Keys are to come one by one, unechoed, and to mean nothing to the kernel.
fn by_keys(found: &Termios) -> Termios {
    let mut modes = found.clone();
    modes.input_modes -= InputModes::BRKINT
        | InputModes::ICRNL
        | InputModes::INPCK
        | InputModes::ISTRIP
        | InputModes::IXON;
    modes.local_modes -=
        LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}

/// Whether keys and modes are this program's affair. They are at a terminal that controls no jobs.
pub(super) fn in_foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |foreground| foreground == getpgrp())
}

pub(super) fn window() -> Window {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 1 && size.ws_row > 1 => {
            Window { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => WINDOW,
    }
}

/// What the thread that reads the keys waits for, besides an end of either side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    /// Only one in the foreground may read them.
    pub(super) keys: bool,
    /// For lines to be handed on.
    pub(super) room: bool,
    /// For the foreground, which nobody may tell of.
    pub(super) foreground: bool,
}

/// What has happened.
#[derive(Debug)]
pub(super) enum Happened {
    Keys,
    Room,
    /// The program may have come to the foreground, or have left it.
    Moved,
    /// The terminal has no more keys.
    HungUp,
    /// Nobody wants lines any more.
    Unwanted,
}

/// Waits until something happens. Whoever has `lines` sends a byte when the program was continued.
pub(super) fn wait(awaited: Awaited, lines: &UnixStream) -> io::Result<Happened> {
    let stdin = io::stdin();
    let over = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let when = |awaited, flag| if awaited { flag } else { PollFlags::empty() };
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(stdin.as_fd(), when(awaited.keys, PollFlags::IN)),
            PollFd::from_borrowed_fd(
                lines.as_fd(),
                PollFlags::IN | when(awaited.room, PollFlags::OUT),
            ),
        ];
        match poll(&mut fds, awaited.foreground.then_some(&LOOK)) {
            Ok(0) => return Ok(Happened::Moved),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [keys, lines_are] = fds.map(|fd| fd.revents());
        return Ok(if lines_are.intersects(over) {
            Happened::Unwanted
        } else if lines_are.contains(PollFlags::IN) {
            // Nothing there: the other side has closed. However many, they mean the same.
            match read(lines, &mut [0; 64]) {
                Ok(1..) => Happened::Moved,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Ok(0) | Err(_) => Happened::Unwanted,
            }
        } else if lines_are.contains(PollFlags::OUT) {
            Happened::Room
        } else if keys.contains(PollFlags::IN) {
            Happened::Keys
        } else {
            Happened::HungUp
        });
    }
}

/// Writes to the terminal, past Rust's own buffer.
pub(super) fn put(text: &[u8]) -> io::Result<()> {
    blocking::write_all(io::stdout(), text)
}

/// Reads keys, or nothing if there turn out to be none. None: there will be no more.
pub(super) fn read_keys(buffer: &mut [u8]) -> io::Result<Option<&[u8]>> {
    match read(io::stdin(), &mut *buffer) {
        Ok(0) => Ok(None),
        Ok(length) => Ok(buffer.get(..length)),
        Err(Errno::INTR | Errno::AGAIN) => Ok(Some(&[])),
        Err(error) => Err(error.into()),
    }
}

/// Hands on as much as there is room for, and takes it out of `entered`.
pub(super) fn hand_on(lines: &UnixStream, entered: &mut BytesMut) -> io::Result<()> {
    match write(lines, entered) {
        Ok(written) => entered.advance(written),
        Err(Errno::INTR | Errno::AGAIN) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
