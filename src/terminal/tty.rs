//! The terminal device: its modes, its window size, reading and writing.

use std::{
    io::{self, IsTerminal},
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

/// How often a background job checks whether it is in the foreground. A shell sends no signal to a
/// running job that `fg` brings to the foreground.
const FOREGROUND_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The byte that Ctrl-C sends.
pub(super) const CTRL_C: u8 = 3;

/// Disables a special character (termios(3), `_POSIX_VDISABLE`).
const DISABLED: u8 = 0;

/// The window size to assume if the terminal does not report one.
const DEFAULT_WINDOW: Window = Window { columns: 80, rows: 24 };

/// How long the rest of a key's sequence may take to follow the byte that begins it.
const ESCAPE_DELAY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The terminal at stdin.
#[derive(Debug)]
pub(super) struct Tty {
    /// The modes found when the editor last took the terminal over. `restore` sets them again.
    original_modes: Mutex<Termios>,
    /// The terminal has no control codes, so the kernel edits the line.
    dumb: bool,
}

impl Tty {
    pub(super) fn open(dumb: bool) -> io::Result<Self> {
        Ok(Self { original_modes: Mutex::new(tcgetattr(io::stdin())?), dumb })
    }

    /// Sets the modes that the editor needs. Only a foreground job may call this: the kernel stops a
    /// background job that does.
    pub(super) fn take_over(&self) -> io::Result<()> {
        let current = tcgetattr(io::stdin())?;
        let wanted = if self.dumb { canonical_modes(&current) } else { raw_modes(&current) };
        // After a stop the modes may still be the editor's own, if the shell has not reset them.
        // They must not become the original ones.
        let end_of_line = SpecialCodeIndex::VEOL;
        let changes = current.input_modes != wanted.input_modes
            || current.local_modes != wanted.local_modes
            || current.special_codes[end_of_line] != wanted.special_codes[end_of_line];
        if changes {
            *self.original_modes() = current;
        }
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &wanted)?)
    }

    /// Sets the original modes again.
    pub(super) fn restore(&self) {
        // While another job is in the foreground, the terminal has that job's modes.
        if in_foreground() {
            // `Now`, because waiting for the output to drain would block on a terminal that accepts
            // none. This fails if the terminal has hung up, which needs no report.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.original_modes());
        }
    }

    /// Stops the program as Ctrl-Z does. This may return shortly before the signal stops all
    /// threads.
    pub(super) fn suspend(&self) -> io::Result<()> {
        self.restore();
        Ok(kill_current_process_group(Signal::TSTP)?)
    }

    fn original_modes(&self) -> MutexGuard<'_, Termios> {
        self.original_modes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Modes in which the kernel edits the line. Ctrl-C ends the line as Enter does, so that it is read
/// after the lines that were typed before it. As a signal it would overtake them.
fn canonical_modes(current: &Termios) -> Termios {
    let mut modes = current.clone();
    modes.special_codes[SpecialCodeIndex::VINTR] = DISABLED;
    modes.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    modes
}

/// Modes in which every key is read at once, is not echoed, and has no meaning for the kernel.
fn raw_modes(current: &Termios) -> Termios {
    let mut modes = current.clone();
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

/// Whether this program is the foreground job of its terminal. On a terminal without job control it
/// always is.
pub(super) fn in_foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |foreground| foreground == getpgrp())
}

/// The stream that the editor writes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(super) fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }

    pub(super) fn window(self) -> Window {
        let size = match self {
            Self::Stdout => tcgetwinsize(io::stdout()),
            Self::Stderr => tcgetwinsize(io::stderr()),
        };
        match size {
            Ok(size) if size.ws_col > 1 && size.ws_row > 1 => {
                Window { columns: size.ws_col.into(), rows: size.ws_row.into() }
            }
            _ => DEFAULT_WINDOW,
        }
    }

    /// Writes directly: Rust's stdout would buffer.
    pub(super) fn write(self, text: &[u8]) -> io::Result<()> {
        match self {
            _ if text.is_empty() => Ok(()),
            Self::Stdout => blocking::write_all(io::stdout(), text),
            Self::Stderr => blocking::write_all(io::stderr(), text),
        }
    }
}

/// What the editor's thread waits for, besides the end of the terminal or of the line socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitFor {
    /// Keys. A background job must not read them.
    pub(super) keys: bool,
    /// Room in the line socket.
    pub(super) socket_room: bool,
    /// Being moved to the foreground, for which there is no event.
    pub(super) foreground: bool,
}

/// Why the editor's thread woke up.
#[derive(Debug)]
pub(super) enum Wake {
    /// There are keys to read.
    Keys,
    /// The line socket accepts bytes.
    SocketRoom,
    /// The program may have entered or left the foreground.
    CheckForeground,
    /// The terminal has hung up.
    HungUp,
    /// The reader of the lines has closed its end of the line socket.
    ReaderGone,
}

/// Waits for an event. The other end of `line_socket` sends a byte after the program was continued.
pub(super) fn wait(wait_for: WaitFor, line_socket: &UnixStream) -> io::Result<Wake> {
    let stdin = io::stdin();
    let closed = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let when = |wanted, flag| if wanted { flag } else { PollFlags::empty() };
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(stdin.as_fd(), when(wait_for.keys, PollFlags::IN)),
            PollFd::from_borrowed_fd(
                line_socket.as_fd(),
                PollFlags::IN | when(wait_for.socket_room, PollFlags::OUT),
            ),
        ];
        match poll(&mut fds, wait_for.foreground.then_some(&FOREGROUND_CHECK)) {
            Ok(0) => return Ok(Wake::CheckForeground),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [terminal, socket] = fds.map(|fd| fd.revents());
        return Ok(if socket.intersects(closed) {
            Wake::ReaderGone
        } else if socket.contains(PollFlags::IN) {
            // Several bytes mean the same as one.
            match read(line_socket, &mut [0; 64]) {
                Ok(1..) => Wake::CheckForeground,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Ok(0) | Err(_) => Wake::ReaderGone,
            }
        } else if socket.contains(PollFlags::OUT) {
            Wake::SocketRoom
        } else if terminal.contains(PollFlags::IN) {
            Wake::Keys
        } else {
            Wake::HungUp
        });
    }
}

/// Whether more keys are there, or come at once.
pub(super) fn more_keys() -> io::Result<bool> {
    let stdin = io::stdin();
    match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&ESCAPE_DELAY)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads keys, possibly none. Returns None at the end of the terminal's input.
pub(super) fn read_keys(buffer: &mut [u8]) -> io::Result<Option<&[u8]>> {
    match read(io::stdin(), &mut *buffer) {
        Ok(0) => Ok(None),
        Ok(length) => Ok(Some(buffer.split_at(length).0)),
        Err(Errno::INTR | Errno::AGAIN) => Ok(Some(&[])),
        Err(error) => Err(error.into()),
    }
}

/// Sends as many bytes of `entered` as the line socket accepts, and removes them.
pub(super) fn send_entered(line_socket: &UnixStream, entered: &mut BytesMut) -> io::Result<()> {
    match write(line_socket, entered) {
        Ok(written) => entered.advance(written),
        Err(Errno::INTR | Errno::AGAIN) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
