//! The part of the editor behind its mutex: the line, what the prompt asks, and the screen.

use std::io;

use bytes::BytesMut;

use super::{
    complete::{Completion, completion},
    editor::{KeyResult, Mode, PRINT_CHUNK},
    keys::Key,
    line::{Line, Outcome},
    options::Completer,
    paste::Paste,
    screen::Screen,
    search::{Search, SearchResult},
    tty::{CTRL_C, Stream},
    wrap::push_wrapped,
};

/// What the keys are for.
#[derive(Debug)]
enum Question {
    /// The next line to send.
    Line,
    /// What to search for in the history.
    Search(Search),
    /// The rest of a paste, which the terminal is still sending.
    PasteEnd(Paste),
    /// Whether to send a paste of several lines.
    SendPaste(Paste),
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub(super) struct EditorState {
    pub(super) stream: Stream,
    pub(super) dumb: bool,
    pub(super) mode: Mode,
    pub(super) line: Line,
    /// Whether something has been printed. The prompt is not shown before.
    pub(super) has_printed: bool,
    prompt: &'static str,
    /// The row to show above the first prompt, if it has not been shown.
    help: Option<&'static str>,
    completer: Option<Completer>,
    question: Question,
    screen: Screen,
}

impl EditorState {
    pub(super) fn new(
        stream: Stream,
        dumb: bool,
        prompt: &'static str,
        help: &'static str,
        completer: Option<Completer>,
    ) -> Self {
        Self {
            stream,
            dumb,
            mode: Mode::NotStarted,
            line: Line::new(),
            has_printed: false,
            prompt,
            help: Some(help),
            completer,
            question: Question::Line,
            screen: Screen::default(),
        }
    }

    /// Whether Esc means something by itself.
    pub(super) fn awaits_escape(&self) -> bool {
        matches!(self.question, Question::Search(_) | Question::SendPaste(_))
    }

    /// Applies a key to the line, or to what the prompt asks instead of a line.
    pub(super) fn press(
        &mut self,
        key: Key,
        out: &mut Vec<u8>,
        entered: &mut BytesMut,
    ) -> io::Result<Outcome> {
        match std::mem::replace(&mut self.question, Question::Line) {
            Question::Line => Ok(self.press_in_line(key, out)),
            Question::Search(search) => Ok(self.press_in_search(search, key, out)),
            Question::PasteEnd(paste) => Ok(self.press_in_paste(paste, key, out)),
            Question::SendPaste(paste) => {
                if key == Key::Char('y') {
                    self.send_paste(&paste, out, entered)?;
                }
                if key == Key::PasteStart {
                    self.question = Question::PasteEnd(Paste::default());
                }
                Ok(Outcome::Edited)
            }
        }
    }

    fn press_in_line(&mut self, key: Key, out: &mut Vec<u8>) -> Outcome {
        match key {
            Key::Search => self.question = Question::Search(Search::default()),
            Key::PasteStart => self.question = Question::PasteEnd(Paste::default()),
            Key::Tab => self.complete(out),
            _ => return self.line.press(key),
        }
        Outcome::Edited
    }

    fn press_in_search(&mut self, mut search: Search, key: Key, out: &mut Vec<u8>) -> Outcome {
        match search.press(key, &self.line.history) {
            SearchResult::Continue => {
                self.question = Question::Search(search);
                Outcome::Edited
            }
            SearchResult::Cancel => self.line.press(key),
            SearchResult::Accept => {
                if let Some((position, at)) = search.found() {
                    self.line.recall_found(position, at);
                }
                self.press_in_line(key, out)
            }
        }
    }

    fn press_in_paste(&mut self, mut paste: Paste, key: Key, out: &mut Vec<u8>) -> Outcome {
        match key {
            // A terminal that loses the end of a paste must not keep Ctrl-C from stopping the program.
            Key::Interrupt => return Outcome::Interrupted,
            Key::PasteEnd if paste.is_too_long() => {
                self.print_row(
                    "The pasted text is longer than 4 MiB: nothing of it is sent.\n",
                    out,
                );
            }
            Key::PasteEnd => match paste.single_line() {
                Some((line, ended)) => {
                    self.line.insert(line);
                    return if ended { Outcome::Entered } else { Outcome::Edited };
                }
                None => self.question = Question::SendPaste(paste),
            },
            _ => {
                paste.push(key);
                self.question = Question::PasteEnd(paste);
            }
        }
        Outcome::Edited
    }

    /// Enters each line of a paste. The first one follows what was typed before the cursor.
    fn send_paste(
        &mut self,
        paste: &Paste,
        out: &mut Vec<u8>,
        entered: &mut BytesMut,
    ) -> io::Result<()> {
        for line in paste.lines() {
            self.line.insert(line);
            self.enter(out, entered);
            if out.len() > PRINT_CHUNK {
                self.stream.write(out)?;
                out.clear();
            }
        }
        Ok(())
    }

    /// Appends the line to `entered`, and leaves it on the screen.
    pub(super) fn enter(&mut self, out: &mut Vec<u8>, entered: &mut BytesMut) {
        self.leave_line("", out);
        entered.extend_from_slice(self.line.take().as_bytes());
        entered.extend_from_slice(b"\n");
    }

    /// Completes the command before the cursor. In a line that is no command, inserts a tab.
    fn complete(&mut self, out: &mut Vec<u8>) {
        let (before, after) = self.line.around_cursor();
        let is_command = before.starts_with('/') && !before.starts_with("//");
        let Some(completer) = self.completer.as_ref().filter(|_| is_command) else {
            self.line.insert("\t");
            return;
        };
        match completion(before, after, &completer.complete(before)) {
            Completion::Insert(text) => self.line.insert(&text),
            Completion::List(row) => self.print_row(&row, out),
            Completion::Nothing => {}
        }
    }

    /// Prints a row of the editor's own above the prompt.
    fn print_row(&mut self, row: &str, out: &mut Vec<u8>) {
        self.erase_prompt(out);
        push_wrapped(self.stream.window().columns, row.as_bytes(), out);
    }

    /// Appends lines of the transcript. The row with help follows the first one.
    pub(super) fn push_transcript(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let columns = self.stream.window().columns;
        let mut rest = text;
        if self.mode == Mode::Editing && self.help.is_some() && !self.has_printed {
            let end = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
            let (first, others) = text.split_at(end);
            push_wrapped(columns, first, out);
            self.push_help(out);
            rest = others;
        }
        push_wrapped(columns, rest, out);
    }

    fn push_help(&mut self, out: &mut Vec<u8>) {
        if let Some(help) = self.help.take() {
            push_wrapped(self.stream.window().columns, format!("{help}\n").as_bytes(), out);
        }
    }

    /// Shows the prompt and the line.
    pub(super) fn show_prompt(&mut self, out: &mut Vec<u8>) {
        if !self.has_printed {
            return;
        }
        self.push_help(out);
        if self.dumb {
            out.extend_from_slice(self.prompt.as_bytes());
            return;
        }
        let window = self.stream.window();
        match &self.question {
            Question::Line | Question::PasteEnd(_) => {
                self.screen.show(window, self.prompt, self.line.around_cursor(), out);
            }
            Question::Search(search) => {
                let found = search.found().and_then(|(position, at)| {
                    self.line.history.get(position)?.split_at_checked(at)
                });
                let text = found.unwrap_or_else(|| self.line.around_cursor());
                self.screen.show(window, &search.prompt(self.prompt), text, out);
            }
            Question::SendPaste(paste) => {
                self.screen.show(window, &paste.question(self.prompt), ("", ""), out);
            }
        }
    }

    /// Erases the prompt and the line. A dumb terminal cannot erase: output goes to the next row.
    pub(super) fn erase_prompt(&mut self, out: &mut Vec<u8>) {
        if !self.dumb {
            self.screen.erase(self.stream.window(), out);
        } else if self.has_printed {
            out.push(b'\n');
        }
    }

    /// Leaves the prompt and the line on the screen, followed by `mark`, and goes to the next row.
    pub(super) fn leave_line(&mut self, mark: &str, out: &mut Vec<u8>) {
        self.abandon_question();
        if self.dumb {
            out.push(b'\n');
        } else {
            let (before, after) = self.line.around_cursor();
            let line = [before, after, mark].concat();
            self.screen.leave(self.stream.window(), self.prompt, &line, out);
        }
    }

    /// Ends a search, and discards a paste.
    pub(super) fn abandon_question(&mut self) {
        self.question = Question::Line;
    }

    /// The prompt is no longer on the screen, or cannot be erased.
    pub(super) fn forget_screen(&mut self) {
        self.screen = Screen::default();
    }

    /// Takes a line that the kernel has edited, or the part of one that Ctrl-C has cut off.
    pub(super) fn handle_kernel_line(
        &mut self,
        line: &[u8],
        entered: &mut BytesMut,
    ) -> io::Result<KeyResult> {
        if line.ends_with(&[CTRL_C]) {
            return Ok(KeyResult::Interrupted);
        }
        entered.extend_from_slice(line);
        let mut out = Vec::new();
        self.show_prompt(&mut out);
        self.stream.write(&out)?;
        Ok(KeyResult::Continue)
    }
}
