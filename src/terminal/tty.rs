//! The terminal itself: its modes, its window, reading and writing.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
    process::{Signal, getpgrp, kill_current_process_group},
    termios::{
        InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
        tcgetwinsize, tcsetattr,
    },
};

use super::screen::Window;
use crate::blocking;

/// How long the suspended program may take to notice.
const SUSPENDING: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A terminal's window, where it does not tell.
const WINDOW: Window = Window { columns: 80, rows: 24 };

/// stdin and stdout, a terminal.
#[derive(Debug)]
pub(super) struct Tty {
    /// As it was found.
    modes: Termios,
}

impl Tty {
    pub(super) fn open() -> io::Result<Self> {
        let modes = tcgetattr(io::stdin())?;
        Ok(Self { modes })
    }

    /// Keys are to come one by one, unechoed, and to mean nothing to the kernel.
    pub(super) fn take_over(&self) -> io::Result<()> {
        let mut modes = self.modes.clone();
        modes.input_modes -= InputModes::BRKINT
            | InputModes::ICRNL
            | InputModes::INPCK
            | InputModes::ISTRIP
            | InputModes::IXON;
        modes.local_modes -=
            LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &modes)?)
    }

    pub(super) fn restore(&self) {
        // In the background this would stop the program; the shell has its own modes there.
        if tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground != getpgrp()) {
            return;
        }
        // At once, as a terminal that takes nothing would be waited for otherwise. It fails when
        // the terminal has hung up.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.modes);
    }

    /// Ctrl-Z. The signal reaches any thread, but stops all: this one has to wait for it.
    pub(super) fn suspend(&self) -> io::Result<()> {
        self.restore();
        kill_current_process_group(Signal::TSTP)?;
        let _ = poll(&mut [], Some(&SUSPENDING));
        self.take_over()
    }
}

pub(super) fn window() -> Window {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 1 && size.ws_row > 1 => {
            Window { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => WINDOW,
    }
}

/// Waits until there are keys to be read: false when nobody wants them any more.
pub(super) fn wait_for_keys(lines: &UnixStream) -> io::Result<bool> {
    let stdin = io::stdin();
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(lines.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [keys, lines] = fds;
        return Ok(lines.revents().is_empty() && !keys.revents().is_empty());
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
