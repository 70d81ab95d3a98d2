//! The editor: the state that the keys and the arriving text take turns at.

use std::{
    io::{self, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    keys::Keys,
    line::{Line, Outcome},
    screen::Screen,
    tty::{Tty, put, read_keys, wait_for_keys, window},
};

/// What is printed at once, in bytes; more is cut between lines. The keys have their turn in
/// between, and on a slow connection this much can take a while.
const TURN: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Opened,
    Editing,
    Ended,
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
        if !state.dumb {
            self.tty.take_over()?;
        }
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        state.phase = Phase::Editing;
        let mut out = Vec::new();
        state.prompt(&mut out);
        put(&out)
    }

    /// Reads keys, shows what they do, and hands on the lines.
    pub(super) fn edit(&self, mut lines: &UnixStream) -> io::Result<()> {
        let mut keys = Keys::default();
        let mut buffer = [0; 4096];
        while wait_for_keys(lines)? {
            let Some(typed) = read_keys(&mut buffer)? else {
                break;
            };
            let (entered, ended) = self.typed(typed, &mut keys)?;
            lines.write_all(&entered)?;
            if ended {
                break;
            }
        }
        Ok(())
    }

    /// Shows what has been typed. Returns the lines that it completes, and whether that was all.
    fn typed(&self, typed: &[u8], keys: &mut Keys) -> io::Result<(Vec<u8>, bool)> {
        let (mut out, mut entered) = (Vec::new(), Vec::new());
        let mut state = self.state();
        if state.phase != Phase::Editing {
            return Ok((entered, true));
        }
        if state.dumb {
            state.prompt(&mut out);
            put(&out)?;
            return Ok((typed.to_vec(), false));
        }
        for key in typed.iter().filter_map(|byte| keys.push(*byte)) {
            match state.line.press(key) {
                Outcome::Edited | Outcome::Nothing => {}
                Outcome::Clear => {
                    state.screen = Screen::default();
                    out.extend_from_slice(b"\x1b[H\x1b[2J");
                }
                Outcome::Entered => {
                    state.leave(&mut out);
                    entered.extend_from_slice(state.line.take().as_bytes());
                    entered.push(b'\n');
                }
                Outcome::Suspend => {
                    state.leave(&mut out);
                    put(&std::mem::take(&mut out))?;
                    self.tty.suspend()?;
                }
                Outcome::Ended => {
                    put(&out)?;
                    return Ok((entered, true));
                }
            }
        }
        state.prompt(&mut out);
        put(&out)?;
        Ok((entered, false))
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
            if tidy && state.line.is_empty() {
                state.make_way(&mut out);
            } else {
                state.leave(&mut out);
            }
            // A terminal that has hung up needs no tidying.
            let _ = put(&out);
            self.restore();
        }
        state.phase = Phase::Ended;
        self.ended.store(true, Ordering::Release);
        drop(state);
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

    /// Leaves the prompt and the line on the screen and goes to a fresh row.
    fn leave(&mut self, out: &mut Vec<u8>) {
        if self.dumb {
            out.push(b'\n');
        } else {
            self.line.move_end();
            self.prompt(out);
            self.screen.leave(window(), out);
        }
    }
}
