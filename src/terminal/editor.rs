//! The editor: the state that the thread reading the keys shares with the threads that print.

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
    keys::KeyDecoder,
    line::{Line, Outcome},
    screen::Screen,
    tty::{
        CTRL_C, Tty, WaitFor, Wake, in_foreground, read_keys, send_entered, wait, window,
        write_to_terminal,
    },
    wrap::push_wrapped,
};

/// The editor reads no more keys, not even Ctrl-C, while this many bytes of entered lines wait for
/// their reader. Only a paste gets here. Signals still work.
const MAX_ENTERED: usize = 1024 * 1024;

/// Longer text is printed in chunks of whole lines of about this many bytes, so that keys are
/// handled in between: a slow connection may take a while for each.
const PRINT_CHUNK: usize = 16 * 1024;

/// Shown after a line that was never entered because of Ctrl-C or SIGINT, as shells do.
const INTERRUPT_MARK: &str = "^C";

/// Shown after a line that comes back when the program returns to the foreground.
const SUSPENDED_MARK: &str = "^Z";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    NotStarted,
    /// In the foreground: the prompt is shown and keys are read.
    Editing,
    /// The terminal belongs to the shell or to another job. The editor only prints.
    Background,
    Ended,
}

/// What the editor's thread does after a batch of keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KeyResult {
    Continue,
    /// The program was suspended, and is no longer in the foreground.
    Suspended,
    /// The input has ended. The lines entered so far count.
    EndOfInput,
    /// The user has pressed Ctrl-C.
    Interrupted,
}

#[derive(Debug)]
pub(super) struct Editor {
    tty: Tty,
    /// Locked before `state`, and only for that moment. This queues the threads, so that one that
    /// prints without a pause cannot keep the keys out.
    turn: Mutex<()>,
    state: Mutex<EditorState>,
    /// The editor's end of the socket that carries entered lines. Shutting it down ends the stream
    /// of lines and wakes the editor's thread.
    line_socket: Mutex<Option<Arc<UnixStream>>>,
    ended: AtomicBool,
    /// Whether Ctrl-C or SIGINT has ended the editing.
    interrupted: AtomicBool,
}

impl Editor {
    pub(super) fn new(tty: Tty, prompt: &'static str, dumb: bool) -> Self {
        let state = EditorState {
            prompt,
            dumb,
            mode: Mode::NotStarted,
            line: Line::new(),
            screen: Screen::default(),
            has_printed: false,
        };
        Self {
            tty,
            turn: Mutex::new(()),
            state: Mutex::new(state),
            line_socket: Mutex::new(None),
            ended: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
        }
    }

    pub(super) fn is_editing(&self) -> bool {
        self.state().mode == Mode::Editing
    }

    /// Never waits, unlike the methods that lock the state.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Has a half-typed line marked when the editor ends. Never waits.
    pub(super) fn mark_interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    pub(super) fn restore_modes(&self) {
        self.tty.restore();
    }

    fn state(&self) -> MutexGuard<'_, EditorState> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self, line_socket: Arc<UnixStream>) -> io::Result<()> {
        let mut state = self.state();
        if state.mode != Mode::NotStarted {
            return Err(io::Error::other("the line editor has been started before"));
        }
        *self.line_socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(line_socket);
        self.enter_foreground_or_background(&mut state)
    }

    /// In the foreground, takes the terminal over and shows the prompt.
    fn enter_foreground_or_background(&self, state: &mut EditorState) -> io::Result<()> {
        // Other programs may have written to the terminal, so the old prompt cannot be erased.
        state.screen = Screen::default();
        if !in_foreground() {
            state.mode = Mode::Background;
            return Ok(());
        }
        self.tty.take_over()?;
        state.mode = Mode::Editing;
        let mut out = b"\r".to_vec();
        state.show_prompt(&mut out);
        write_to_terminal(&out)
    }

    /// Checks whether the program is in the foreground, and returns whether the editor is editing.
    fn check_foreground(&self) -> io::Result<bool> {
        let mut state = self.state();
        if state.mode != Mode::Ended {
            self.enter_foreground_or_background(&mut state)?;
        }
        Ok(state.mode == Mode::Editing)
    }

    /// Reads keys, updates the screen, and sends entered lines until the input ends or the reader of
    /// the lines is gone. Returns whether the user has asked the program to stop: with Ctrl-C, or by
    /// closing the terminal. Entered lines that have not been sent stay in `entered`.
    pub(super) fn edit(
        &self,
        line_socket: &UnixStream,
        entered: &mut BytesMut,
    ) -> io::Result<bool> {
        let mut decoder = KeyDecoder::default();
        let mut buffer = [0; 4096];
        let mut editing = self.is_editing();
        loop {
            let wait_for = WaitFor {
                keys: editing && entered.len() < MAX_ENTERED,
                socket_room: !entered.is_empty(),
                foreground: !editing,
            };
            match wait(wait_for, line_socket)? {
                Wake::CheckForeground => editing = self.check_foreground()?,
                Wake::SocketRoom => send_entered(line_socket, entered)?,
                Wake::Keys => {
                    let Some(keys) = read_keys(&mut buffer)? else {
                        return Ok(true);
                    };
                    match self.handle_keys(keys, &mut decoder, entered)? {
                        KeyResult::Continue => {}
                        KeyResult::Suspended => editing = false,
                        KeyResult::EndOfInput => return Ok(false),
                        KeyResult::Interrupted => {
                            self.mark_interrupt();
                            return Ok(true);
                        }
                    }
                }
                Wake::HungUp => return Ok(true),
                Wake::ReaderGone => return Ok(false),
            }
        }
    }

    /// Applies keys to the line, updates the screen, and appends completed lines to `entered`.
    fn handle_keys(
        &self,
        keys: &[u8],
        decoder: &mut KeyDecoder,
        entered: &mut BytesMut,
    ) -> io::Result<KeyResult> {
        let mut state = self.state();
        if state.mode != Mode::Editing {
            return Ok(KeyResult::EndOfInput);
        }
        if state.dumb {
            return state.handle_kernel_line(keys, entered);
        }
        let mut out = Vec::new();
        for key in keys.iter().filter_map(|byte| decoder.push(*byte)) {
            match state.line.press(key) {
                Outcome::Edited | Outcome::Unchanged => {}
                Outcome::ClearScreen => {
                    state.screen = Screen::default();
                    out.extend_from_slice(b"\x1b[H\x1b[2J");
                }
                Outcome::Entered => {
                    state.leave_line("", &mut out);
                    entered.extend_from_slice(state.line.take().as_bytes());
                    entered.extend_from_slice(b"\n");
                }
                // The rest of `keys` is lost. The kernel, too, discards input at Ctrl-Z.
                Outcome::Suspend => return self.suspend(&mut state, out),
                Outcome::EndOfInput => {
                    return write_to_terminal(&out).map(|()| KeyResult::EndOfInput);
                }
                Outcome::Interrupted => {
                    return write_to_terminal(&out).map(|()| KeyResult::Interrupted);
                }
            }
        }
        state.show_prompt(&mut out);
        write_to_terminal(&out)?;
        Ok(KeyResult::Continue)
    }

    fn suspend(&self, state: &mut EditorState, mut out: Vec<u8>) -> io::Result<KeyResult> {
        state.leave_line(SUSPENDED_MARK, &mut out);
        write_to_terminal(&out)?;
        state.mode = Mode::Background;
        self.tty.suspend()?;
        Ok(KeyResult::Suspended)
    }

    /// Prints whole lines above the prompt. Blocks while the terminal accepts no output.
    pub(super) fn print(&self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let start = text.get(..PRINT_CHUNK).unwrap_or(text);
            let end = memchr::memrchr(b'\n', start).or_else(|| memchr::memchr(b'\n', text));
            let (chunk, rest) = text.split_at(end.map_or(text.len(), |end| end + 1));
            self.print_chunk(chunk)?;
            text = rest;
        }
        Ok(())
    }

    fn print_chunk(&self, text: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let mut out = Vec::with_capacity(text.len() + 256);
        if state.mode == Mode::Editing {
            state.erase_prompt(&mut out);
        }
        push_wrapped(window().columns, text, &mut out);
        state.has_printed = true;
        if state.mode == Mode::Editing {
            state.show_prompt(&mut out);
        }
        write_to_terminal(&out)
    }

    /// Ends the editor and restores the terminal's modes. With `erase_empty_prompt` a prompt without
    /// a half-typed line is erased; a half-typed line always stays on the screen.
    pub(super) fn end(&self, erase_empty_prompt: bool) {
        let mut state = self.state();
        if state.mode == Mode::Editing {
            let mut out = Vec::new();
            match state.line.is_empty() {
                true if erase_empty_prompt => state.erase_prompt(&mut out),
                true => state.leave_line("", &mut out),
                false if self.interrupted.load(Ordering::Acquire) => {
                    state.leave_line(INTERRUPT_MARK, &mut out);
                }
                false => state.leave_line("", &mut out),
            }
            // If the terminal has hung up, this fails and nobody sees the screen.
            let _ = write_to_terminal(&out);
            self.restore_modes();
        }
        state.mode = Mode::Ended;
        self.ended.store(true, Ordering::Release);
    }

    /// Ends the stream of entered lines.
    pub(super) fn close_line_socket(&self) {
        let socket = self.line_socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        // This fails if the reader has closed its end already, which is just as good.
        let _ = socket.map(|socket| socket.shutdown(Shutdown::Both));
    }
}

/// The part of the editor behind the mutex.
#[derive(Debug)]
struct EditorState {
    prompt: &'static str,
    dumb: bool,
    mode: Mode,
    line: Line,
    screen: Screen,
    /// Whether something has been printed. The prompt is not shown before.
    has_printed: bool,
}

impl EditorState {
    /// Shows the prompt and the line.
    fn show_prompt(&mut self, out: &mut Vec<u8>) {
        if !self.has_printed {
            return;
        }
        if self.dumb {
            out.extend_from_slice(self.prompt.as_bytes());
        } else {
            let line = self.line.around_cursor();
            self.screen.show(window(), self.prompt, line, out);
        }
    }

    /// Erases the prompt and the line. A dumb terminal cannot erase: output goes to the next row.
    fn erase_prompt(&mut self, out: &mut Vec<u8>) {
        if !self.dumb {
            self.screen.erase(window(), out);
        } else if self.has_printed {
            out.push(b'\n');
        }
    }

    /// Leaves the prompt and the line on the screen, followed by `mark`, and goes to the next row.
    fn leave_line(&mut self, mark: &str, out: &mut Vec<u8>) {
        if self.dumb {
            out.push(b'\n');
        } else {
            let (before, after) = self.line.around_cursor();
            let line = [before, after, mark].concat();
            self.screen.leave(window(), self.prompt, &line, out);
        }
    }

    /// Takes a line that the kernel has edited, or the part of one that Ctrl-C has cut off.
    fn handle_kernel_line(&mut self, line: &[u8], entered: &mut BytesMut) -> io::Result<KeyResult> {
        if line.ends_with(&[CTRL_C]) {
            return Ok(KeyResult::Interrupted);
        }
        entered.extend_from_slice(line);
        let mut out = Vec::new();
        self.show_prompt(&mut out);
        write_to_terminal(&out)?;
        Ok(KeyResult::Continue)
    }
}
