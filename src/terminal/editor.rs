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
    keys::{Key, KeyDecoder},
    line::Outcome,
    state::EditorState,
    tty::{Stream, Tty, WaitFor, Wake, in_foreground, more_keys, read_keys, send_entered, wait},
    wrap::push_wrapped,
};

/// The editor reads no more keys, not even Ctrl-C, while this many bytes of entered lines wait for
/// their reader. Only a paste gets here. Signals still work.
const MAX_ENTERED: usize = 1024 * 1024;

/// Longer text is printed in chunks of whole lines of about this many bytes, so that keys are
/// handled in between: a slow connection may take a while for each.
pub(super) const PRINT_CHUNK: usize = 16 * 1024;

/// Shown after a line that was never entered because of Ctrl-C or SIGINT, as shells do.
const INTERRUPT_MARK: &str = "^C";

/// Shown after a line that comes back when the program returns to the foreground.
const SUSPENDED_MARK: &str = "^Z";

/// Has the terminal mark pasted text, so that a paste of several lines can be distinguished from typing.
const PASTE_MARKS_ON: &[u8] = b"\x1b[?2004h";
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

/// What is printed above the prompt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Printed {
    /// Lines of the transcript.
    Transcript,
    /// Events for stdout, while the editor uses stderr. They are not divided into rows, because a
    /// program may read them.
    Json,
    /// Reports of problems.
    Report,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    NotStarted,
    /// In the foreground: the prompt is shown and keys are read.
    Editing,
    /// The terminal belongs to the shell or to another job. The editor only prints.
    Background,
    Ended,
}

/// What the editor's thread does after a batch of keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyResult {
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
    pub(super) fn new(tty: Tty, state: EditorState) -> Self {
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

    pub(super) fn state(&self) -> MutexGuard<'_, EditorState> {
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
        state.forget_screen();
        if !in_foreground() {
            state.mode = Mode::Background;
            return Ok(());
        }
        self.tty.take_over()?;
        state.mode = Mode::Editing;
        let mut out = b"\r".to_vec();
        if !state.dumb {
            out.extend_from_slice(PASTE_MARKS_ON);
        }
        state.show_prompt(&mut out);
        state.stream.write(&out)
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
                // These keys are for the program in the foreground.
                Wake::Keys if !in_foreground() => editing = self.check_foreground()?,
                Wake::Keys => {
                    let Some(keys) = read_keys(&mut buffer)? else {
                        return Ok(true);
                    };
                    match self.handle_input(keys, &mut decoder, entered)? {
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

    /// Applies what was read from the terminal.
    fn handle_input(
        &self,
        input: &[u8],
        decoder: &mut KeyDecoder,
        entered: &mut BytesMut,
    ) -> io::Result<KeyResult> {
        let mut state = self.state();
        match state.mode {
            Mode::Editing => {}
            Mode::Background => return Ok(KeyResult::Suspended),
            Mode::NotStarted | Mode::Ended => return Ok(KeyResult::EndOfInput),
        }
        if state.dumb {
            return state.handle_kernel_line(input, entered);
        }
        let keys: Vec<Key> = input.iter().filter_map(|byte| decoder.push(*byte)).collect();
        let mut result = self.handle_keys(&mut state, &keys, entered)?;
        // The key Esc sends the byte that the sequences of other keys begin with.
        if result == KeyResult::Continue && decoder.is_at_escape() && state.awaits_escape() {
            drop(state);
            if !more_keys()? {
                *decoder = KeyDecoder::default();
                result = self.handle_keys(&mut self.state(), &[Key::Escape], entered)?;
            }
        }
        Ok(result)
    }

    /// Applies keys to the line, updates the screen, and appends completed lines to `entered`.
    fn handle_keys(
        &self,
        state: &mut EditorState,
        keys: &[Key],
        entered: &mut BytesMut,
    ) -> io::Result<KeyResult> {
        let mut out = Vec::new();
        for key in keys {
            match state.press(*key, &mut out, entered)? {
                Outcome::Edited | Outcome::Unchanged => {}
                Outcome::ClearScreen => {
                    state.forget_screen();
                    out.extend_from_slice(b"\x1b[H\x1b[2J");
                }
                Outcome::Entered => state.enter(&mut out, entered),
                // The rest of `keys` is lost. The kernel, too, discards input at Ctrl-Z.
                Outcome::Suspend => return self.suspend(state, out),
                Outcome::EndOfInput => {
                    return state.stream.write(&out).map(|()| KeyResult::EndOfInput);
                }
                Outcome::Interrupted => {
                    return state.stream.write(&out).map(|()| KeyResult::Interrupted);
                }
            }
        }
        state.show_prompt(&mut out);
        state.stream.write(&out)?;
        Ok(KeyResult::Continue)
    }

    fn suspend(&self, state: &mut EditorState, mut out: Vec<u8>) -> io::Result<KeyResult> {
        state.leave_line(SUSPENDED_MARK, &mut out);
        out.extend_from_slice(PASTE_MARKS_OFF);
        state.stream.write(&out)?;
        state.mode = Mode::Background;
        self.tty.suspend()?;
        Ok(KeyResult::Suspended)
    }

    /// Prints whole lines above the prompt. Blocks while the terminal accepts no output.
    pub(super) fn print(&self, printed: Printed, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let start = text.get(..PRINT_CHUNK).unwrap_or(text);
            let end = memchr::memrchr(b'\n', start).or_else(|| memchr::memchr(b'\n', text));
            let (chunk, rest) = text.split_at(end.map_or(text.len(), |end| end + 1));
            self.print_chunk(printed, chunk)?;
            text = rest;
        }
        Ok(())
    }

    fn print_chunk(&self, printed: Printed, text: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let mut out = Vec::with_capacity(text.len() + 256);
        if state.mode == Mode::Editing && !in_foreground() {
            // A signal from outside has stopped the program, and `bg` has continued it. SIGCONT, which
            // tells the editor's thread, may take a while to get there.
            state.mode = Mode::Background;
            state.forget_screen();
        }
        if state.mode == Mode::Editing {
            state.erase_prompt(&mut out);
        }
        match printed {
            Printed::Json => {
                state.stream.write(&out)?;
                out.clear();
                Stream::Stdout.write(text)?;
            }
            Printed::Transcript => state.push_transcript(text, &mut out),
            Printed::Report => push_wrapped(state.stream.window().columns, text, &mut out),
        }
        state.has_printed |= printed != Printed::Report;
        if state.mode == Mode::Editing {
            state.show_prompt(&mut out);
        }
        state.stream.write(&out)
    }

    /// Ends the editor and restores the terminal's modes. With `erase_empty_prompt` a prompt without
    /// a half-typed line is erased; a half-typed line always stays on the screen.
    pub(super) fn end(&self, erase_empty_prompt: bool) {
        let mut state = self.state();
        if state.mode == Mode::Editing {
            let mut out = Vec::new();
            state.abandon_question();
            match state.line.is_empty() {
                true if erase_empty_prompt => state.erase_prompt(&mut out),
                true => state.leave_line("", &mut out),
                false if self.interrupted.load(Ordering::Acquire) => {
                    state.leave_line(INTERRUPT_MARK, &mut out);
                }
                false => state.leave_line("", &mut out),
            }
            if !state.dumb {
                out.extend_from_slice(PASTE_MARKS_OFF);
            }
            // If the terminal has hung up, this fails and nobody sees the screen.
            let _ = state.stream.write(&out);
            self.restore_modes();
        }
        state.mode = Mode::Ended;
        state.line.history.close();
        self.ended.store(true, Ordering::Release);
    }

    /// Ends the stream of entered lines.
    pub(super) fn close_line_socket(&self) {
        let socket = self.line_socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        // This fails if the reader has closed its end already, which is just as good.
        let _ = socket.map(|socket| socket.shutdown(Shutdown::Both));
    }
}
