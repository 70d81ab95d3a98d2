//! The editor: the state that the keys and the arriving text take turns at.

use std::{
    io,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::BytesMut;

use super::{
    keys::Keys,
    line::{Line, Outcome},
    screen::Screen,
    tty::{Awaited, CTRL_C, Happened, Tty, hand_on, in_foreground, put, read_keys, wait, window},
};

/// Lines that wait for somebody to take them, in bytes: more than anybody types. With more, as of a
/// paste, the keys wait in the terminal, Ctrl-C too; signals do not.
const MAX_ENTERED: usize = 1024 * 1024;

/// What is printed at once, in bytes; more is cut between lines. The keys have their turn in
/// between, and on a slow connection this much can take a while.
const TURN: usize = 16 * 1024;

/// Stands behind a line that was never entered, as in a shell, whatever has ended it.
const UNSENT: &str = "^C";

/// Stands behind a line that is kept until the program is in the foreground again.
const SUSPENDED: &str = "^Z";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Opened,
    /// In the foreground: keys are read, and a prompt stands.
    Editing,
    /// The terminal is the shell's, or another job's: it is only printed to.
    Background,
    Ended,
}

/// What the keys have come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// More keys.
    More,
    /// The program is no longer in the foreground.
    Suspended,
    /// Nothing follows; what has been entered counts.
    Ended,
    /// The user wants no more.
    Left,
}

#[derive(Debug)]
pub(super) struct Editor {
    tty: Tty,
    /// Whose turn it is next. Taken before the state, so that a flood of arriving text cannot keep
    /// the keys away from it.
    turn: Mutex<()>,
    state: Mutex<State>,
    /// Our end of what is typed. Shutting it down ends the stream and wakes our thread.
    lines: Mutex<Option<Arc<UnixStream>>>,
    ended: AtomicBool,
}

impl Editor {
    pub(super) fn new(tty: Tty, prompt: &'static str, dumb: bool) -> Self {
        let state = State {
            prompt,
            dumb,
            phase: Phase::Opened,
            line: Line::new(),
            screen: Screen::default(),
        };
        Self {
            tty,
            turn: Mutex::new(()),
            state: Mutex::new(state),
            lines: Mutex::new(None),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn is_editing(&self) -> bool {
        self.state().phase == Phase::Editing
    }

    /// Unlike all else this never waits.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn restore(&self) {
        self.tty.restore();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self, lines: Arc<UnixStream>) -> io::Result<()> {
        let mut state = self.state();
        if state.phase != Phase::Opened {
            return Err(io::Error::other("the line editor has been started before"));
        }
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        self.take_place(&mut state)
    }

    /// Takes the terminal over and shows the prompt, or does neither in the background.
    fn take_place(&self, state: &mut State) -> io::Result<()> {
        // Others have been writing: whatever stood there is not where it was.
        state.screen = Screen::default();
        if !in_foreground() {
            state.phase = Phase::Background;
            return Ok(());
        }
        self.tty.take_over()?;
        state.phase = Phase::Editing;
        let mut out = b"\r".to_vec();
        state.prompt(&mut out);
        put(&out)
    }

    /// The program may be in the foreground now, or no longer. Returns whether it is.
    fn moved(&self) -> io::Result<bool> {
        let mut state = self.state();
        if state.phase != Phase::Ended {
            self.take_place(&mut state)?;
        }
        Ok(state.phase == Phase::Editing)
    }

    /// Reads keys, shows what they do, and hands on the lines until there are no more, or until
    /// nobody wants them. Returns whether the user wants no more; what has not been handed on is
    /// left in `entered`.
    pub(super) fn edit(&self, lines: &UnixStream, entered: &mut BytesMut) -> io::Result<bool> {
        let mut keys = Keys::default();
        let mut buffer = [0; 4096];
        let mut editing = self.is_editing();
        loop {
            let awaited = Awaited {
                keys: editing && entered.len() < MAX_ENTERED,
                room: !entered.is_empty(),
                foreground: !editing,
            };
            match wait(awaited, lines)? {
                Happened::Moved => editing = self.moved()?,
                Happened::Room => hand_on(lines, entered)?,
                Happened::Keys => {
                    let Some(typed) = read_keys(&mut buffer)? else {
                        return Ok(true);
                    };
                    match self.typed(typed, &mut keys, entered)? {
                        Then::More => {}
                        Then::Suspended => editing = false,
                        then => return Ok(then == Then::Left),
                    }
                }
                Happened::HungUp => return Ok(true),
                Happened::Unwanted => return Ok(false),
            }
        }
    }

    /// Shows what has been typed, and adds the lines that it completes to `entered`.
    fn typed(&self, typed: &[u8], keys: &mut Keys, entered: &mut BytesMut) -> io::Result<Then> {
        let mut out = Vec::new();
        let mut state = self.state();
        if state.phase != Phase::Editing {
            return Ok(Then::Ended);
        }
        if state.dumb {
            if typed.ends_with(&[CTRL_C]) {
                return Ok(Then::Left);
            }
            entered.extend_from_slice(typed);
            state.prompt(&mut out);
            put(&out)?;
            return Ok(Then::More);
        }
        for key in typed.iter().filter_map(|byte| keys.push(*byte)) {
            match state.line.press(key) {
                Outcome::Edited | Outcome::Nothing => {}
                Outcome::Clear => {
                    state.screen = Screen::default();
                    out.extend_from_slice(b"\x1b[H\x1b[2J");
                }
                Outcome::Entered => {
                    state.leave("", &mut out);
                    entered.extend_from_slice(state.line.take().as_bytes());
                    entered.extend_from_slice(b"\n");
                }
                // Keys behind it are lost, as most are that the kernel takes for its own.
                Outcome::Suspend => {
                    state.leave(SUSPENDED, &mut out);
                    put(&out)?;
                    state.phase = Phase::Background;
                    self.tty.suspend()?;
                    return Ok(Then::Suspended);
                }
                Outcome::Ended => return put(&out).map(|()| Then::Ended),
                Outcome::Left => return put(&out).map(|()| Then::Left),
            }
        }
        state.prompt(&mut out);
        put(&out)?;
        Ok(Then::More)
    }

    /// Prints whole lines above the prompt.
    pub(super) fn print(&self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let some = text.get(..TURN).unwrap_or(text);
            let end = memchr::memrchr(b'\n', some).or_else(|| memchr::memchr(b'\n', text));
            let (turn, rest) = text.split_at(end.map_or(text.len(), |end| end + 1));
            self.print_at_once(turn)?;
            text = rest;
        }
        Ok(())
    }

    fn print_at_once(&self, text: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if state.phase != Phase::Editing {
            return put(text);
        }
        let mut out = Vec::with_capacity(text.len() + 256);
        state.make_way(&mut out);
        out.extend_from_slice(text);
        state.prompt(&mut out);
        put(&out)
    }

    /// Ends the editor. `tidy`: a prompt with nothing behind it is not left on the screen.
    pub(super) fn end(&self, tidy: bool) {
        let mut state = self.state();
        if state.phase == Phase::Editing {
            let mut out = Vec::new();
            match state.line.is_empty() {
                true if tidy => state.make_way(&mut out),
                true => state.leave("", &mut out),
                false => state.leave(UNSENT, &mut out),
            }
            // A terminal that has hung up needs no tidying.
            let _ = put(&out);
            self.restore();
        }
        state.phase = Phase::Ended;
        self.ended.store(true, Ordering::Release);
    }

    /// Ends the stream of what is typed.
    pub(super) fn close(&self) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It fails when the other end is gone, which is all that is wanted.
        let _ = lines.map(|lines| lines.shutdown(Shutdown::Both));
    }
}

#[derive(Debug)]
struct State {
    prompt: &'static str,
    dumb: bool,
    phase: Phase,
    line: Line,
    screen: Screen,
}

impl State {
    /// Shows the prompt and the line.
    fn prompt(&mut self, out: &mut Vec<u8>) {
        if self.dumb {
            out.extend_from_slice(self.prompt.as_bytes());
        } else {
            let line = self.line.around_cursor();
            self.screen.show(window(), self.prompt, line, out);
        }
    }

    /// Makes way for what is to stand above the prompt.
    fn make_way(&mut self, out: &mut Vec<u8>) {
        if self.dumb {
            out.push(b'\n');
        } else {
            self.screen.erase(window(), out);
        }
    }

    /// Leaves the prompt and the line on the screen, with `mark` behind it, and goes to a fresh row.
    fn leave(&mut self, mark: &str, out: &mut Vec<u8>) {
        if self.dumb {
            out.push(b'\n');
        } else {
            let (before, after) = self.line.around_cursor();
            let line = [before, after, mark].concat();
            self.screen.leave(window(), self.prompt, &line, out);
        }
    }
}
