//! The history of entered lines, in memory and in a file.
//!
//! A thread of its own reads and writes the file, so that neither a slow disk nor another program that
//! has locked the file delays the editor. rustyline's `FileHistory` merges what several programs write.

use std::{
    fmt::{self, Debug, Display, Formatter},
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
    time::Duration,
};

use rustyline::{
    Config,
    error::ReadlineError,
    history::{FileHistory, History as _, MemHistory, SearchDirection},
};

use crate::events::wording::{one_line, os_error_text};

/// How many lines are kept.
const MAX_LINES: usize = 1000;

/// The history keeps no line longer than this, in bytes.
pub(super) const MAX_HISTORY_LINE: usize = 16 * 1024;

/// The largest file that is read, in bytes. A larger one is not a history.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// How long reading the file may delay the start, and writing it the end.
pub(super) const FILE_TIMEOUT: Duration = Duration::from_secs(1);

/// See the [module's documentation](self).
pub(super) struct History {
    lines: MemHistory,
    /// Sends lines to the thread that writes the file. None without a file.
    writer: Option<SyncSender<String>>,
}

impl Default for History {
    fn default() -> Self {
        Self { lines: MemHistory::with_config(&config()), writer: None }
    }
}

impl Debug for History {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

fn config() -> Config {
    // These are rustyline's defaults, except for the number of lines.
    let builder = Config::builder().max_history_size(MAX_LINES);
    builder.map_or_else(|_| Config::default(), |builder| builder.build())
}

impl History {
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn get(&self, position: usize) -> Option<&str> {
        match self.lines.get(position, SearchDirection::Forward).ok()??.entry {
            std::borrow::Cow::Borrowed(line) => Some(line),
            // The history in memory owns its lines and lends them.
            std::borrow::Cow::Owned(_) => None,
        }
    }

    /// Adds a line, unless it is empty, too long, begins with a space or repeats the one before it.
    pub(super) fn add(&mut self, line: &str) {
        if line.len() > MAX_HISTORY_LINE || line.starts_with(' ') {
            return;
        }
        // The history in memory never fails.
        if self.lines.add(line).unwrap_or(false)
            && let Some(writer) = &self.writer
        {
            // If the file accepts no lines for long, those beyond the bound of the queue are not kept.
            let _ = writer.try_send(line.to_owned());
        }
    }

    /// The nearest line from `start` on that contains `text`: its position, and where the text begins.
    pub(super) fn search(
        &self,
        text: &str,
        start: usize,
        direction: SearchDirection,
    ) -> Option<(usize, usize)> {
        let found = self.lines.search(text, start, direction).ok()??;
        Some((found.idx, found.pos))
    }

    /// Ends the thread that writes the file once it has written everything.
    pub(super) fn close(&mut self) {
        self.writer = None;
    }
}

/// Waits for the thread that writes the history's file.
#[derive(Debug)]
pub(super) struct Writing(Receiver<()>);

impl Writing {
    /// Waits until everything has been written, but not for long.
    pub(super) fn wait(&self) {
        // The thread sends nothing, and closes the channel when it ends.
        let _ = self.0.recv_timeout(FILE_TIMEOUT);
    }
}

/// Opens the history in this file. `report` is called with a sentence if the file cannot be used, once at
/// most.
///
/// # Errors
///
/// The operating system's error, if it cannot start a thread.
pub(super) fn open(
    path: PathBuf,
    report: impl Fn(&str) + Clone + Send + 'static,
) -> io::Result<(History, Option<Writing>)> {
    let (old_lines, loaded) = mpsc::sync_channel(1);
    let (writer, lines) = mpsc::sync_channel(MAX_LINES);
    let (done, is_done) = mpsc::channel();
    let name = one_line(&path.to_string_lossy());
    let cannot = move |what, why: &dyn Display| report(&format!("cannot {what} {name}: {why}"));
    let cannot_here = cannot.clone();
    let keep = move || {
        let _done: mpsc::Sender<()> = done;
        let mut file = FileHistory::with_config(&config());
        if let Err(error) = load(&mut file, &path) {
            return cannot("read the history", &error);
        }
        let old = file.iter().filter(|line| is_line(line)).cloned().collect::<Vec<_>>();
        // This fails if the editor has stopped waiting.
        if old_lines.send(old).is_ok()
            && let Err(error) = write(&mut file, &path, &lines)
        {
            cannot("write the history", &error);
        }
    };
    thread::Builder::new().name("history".to_owned()).spawn(keep)?;
    let mut history = History::default();
    match loaded.recv_timeout(FILE_TIMEOUT) {
        Ok(old) => {
            old.iter().for_each(|line| history.add(line));
            history.writer = Some(writer);
            return Ok((history, Some(Writing(is_done))));
        }
        Err(RecvTimeoutError::Timeout) => cannot_here("read the history", &"it takes too long"),
        // The thread has reported why.
        Err(RecvTimeoutError::Disconnected) => {}
    }
    Ok((history, None))
}

/// Why the history's file cannot be used.
#[derive(Debug)]
struct Failure(String);

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(os_error_text(&error))
    }
}

impl From<ReadlineError> for Failure {
    fn from(error: ReadlineError) -> Self {
        match error {
            ReadlineError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self("it is not a text file".to_owned())
            }
            ReadlineError::Io(error) => error.into(),
            other => Self(one_line(&other.to_string())),
        }
    }
}

/// Reads the file, if there is one.
fn load(file: &mut FileHistory, path: &Path) -> Result<(), Failure> {
    match path.metadata() {
        // Reading a FIFO would wait for its writer.
        Ok(found) if !found.is_file() => Err(Failure("it is not a regular file".to_owned())),
        Ok(found) if found.len() > MAX_FILE => Err(Failure("it is too large".to_owned())),
        Ok(_) => Ok(file.load(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a line of the file can have been typed here.
fn is_line(line: &str) -> bool {
    line.len() <= MAX_HISTORY_LINE && !line.chars().any(|c| c.is_control() && c != '\t')
}

/// Writes the lines as they come, until the history is closed.
fn write(file: &mut FileHistory, path: &Path, lines: &Receiver<String>) -> Result<(), Failure> {
    while let Ok(line) = lines.recv() {
        file.add_owned(line)?;
        for line in lines.try_iter() {
            file.add_owned(line)?;
        }
        create(path)?;
        file.append(path)?;
    }
    Ok(())
}

/// Creates the file, which only its owner may read, if it does not exist.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // rustyline would set the process's umask for a moment, which other threads would notice.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// A history in this file, and the reports about it.
    fn opened(path: &Path) -> (History, Option<Writing>, Arc<Mutex<Vec<String>>>) {
        let reports = Arc::default();
        let sink: Arc<Mutex<Vec<String>>> = Arc::clone(&reports);
        let report = move |sentence: &str| sink.lock().unwrap().push(sentence.to_owned());
        let (history, writing) = open(path.to_owned(), report).unwrap();
        (history, writing, reports)
    }

    fn lines(history: &History) -> Vec<&str> {
        (0..history.len()).filter_map(|at| history.get(at)).collect()
    }

    #[test]
    fn keeps_lines_across_runs_in_a_file_that_only_its_owner_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folders/server");
        for run in 0..2 {
            let (mut history, writing, reports) = opened(&path);
            assert_eq!(history.len(), 3 * run);
            for line in ["one", " secret", "two", "two", "", r"back\slash"] {
                history.add(line);
            }
            history.close();
            writing.unwrap().wait();
            assert!(reports.lock().unwrap().is_empty());
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (history, ..) = opened(&path);
        assert_eq!(lines(&history), ["one", "two", r"back\slash"].repeat(2));
    }

    #[test]
    fn keeps_the_last_thousand_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        let (mut history, writing, _) = opened(&path);
        for n in 0..1500 {
            history.add(&n.to_string());
            // The queue has room for a thousand lines.
            if n % 500 == 499 {
                let last = format!("\n{n}\n");
                while !fs::read_to_string(&path).is_ok_and(|text| text.ends_with(&last)) {
                    thread::yield_now();
                }
            }
        }
        history.close();
        writing.unwrap().wait();
        let (history, ..) = opened(&path);
        assert_eq!(history.len(), 1000);
        assert_eq!([history.get(0), history.get(999)], [Some("500"), Some("1499")]);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_reported_once_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("binary");
        fs::write(&binary, b"\xff\xfe\n").unwrap();
        let within_a_file = binary.join("server");
        for (path, why) in [
            (folder.path(), "it is not a regular file"),
            (&binary, "it is not a text file"),
            (&within_a_file, "Not a directory"),
            (Path::new("/dev/full"), "it is not a regular file"),
        ] {
            let (mut history, writing, reports) = opened(path);
            history.add("one");
            history.add("two");
            assert_eq!(history.len(), 2);
            assert!(writing.is_none());
            let reports = reports.lock().unwrap();
            assert_eq!(reports.len(), 1, "{reports:?}");
            assert!(reports[0].contains(why), "{reports:?}");
        }
        assert_eq!(fs::read(&binary).unwrap(), b"\xff\xfe\n");
    }
}
