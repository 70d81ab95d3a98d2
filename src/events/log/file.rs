//! The log's file: opened for appending, rotated by size, and left without partial lines.
//!
//! The crates for rotated files do not fit: their writers do not return how much of a failed write
//! has reached the file, which is needed to count the missing events.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Seek},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use memchr::{memchr, memrchr};
use rustix::fs::OFlags;

use crate::blocking;

/// The owner may write the log, its group may read it, and others may not.
const MODE: u32 = 0o640;

/// What the log is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Its file.
    pub(crate) file: PathBuf,
    /// The size in bytes at which the file is renamed, if it ever is.
    pub(crate) rotate: Option<u64>,
    /// How many renamed files are kept.
    pub(crate) keep: u32,
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub(crate) struct LogFile {
    settings: Settings,
    file: File,
    /// Whether it is a regular file, which can be renamed and truncated.
    is_regular: bool,
    size: u64,
    /// The size at which it is rotated.
    rotate_at: Option<u64>,
    /// Whether its last line has no end.
    has_partial_line: bool,
    /// Why it could not be rotated, until that is reported.
    rotation_error: Option<io::Error>,
}

impl LogFile {
    /// Opens the file for appending, and creates it if necessary.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub(crate) fn open(settings: Settings) -> io::Result<Self> {
        let file = open(&settings.file)?;
        let found = file.metadata()?;
        let is_regular = found.is_file();
        let mut log = Self {
            has_partial_line: is_regular && !ends_with_line_end(&settings.file, &found),
            rotate_at: settings.rotate.filter(|_| is_regular),
            settings,
            file,
            is_regular,
            size: found.len(),
            rotation_error: None,
        };
        log.rotate_if_due();
        Ok(log)
    }

    /// Opens the file with this name again, which may be another one now. If that fails, the log goes on
    /// with the one it has.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.settings.clone())?;
        Ok(())
    }

    /// The name of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.settings.file
    }

    /// Why the file could not be rotated, once for each attempt.
    pub(crate) fn rotation_error(&mut self) -> Option<io::Error> {
        self.rotation_error.take()
    }

    /// Writes whole lines. Blocks as long as that takes, but gives up if the file accepts nothing and
    /// `go_on` returns false.
    ///
    /// Returns the length of the lines that were written, also if it fails. The error is `Interrupted`
    /// if it gave up.
    pub(crate) fn write(
        &mut self,
        lines: &[u8],
        go_on: &dyn Fn() -> bool,
    ) -> (usize, io::Result<()>) {
        if self.has_partial_line {
            match blocking::write_while(&self.file, b"\n", go_on) {
                (_, Ok(())) => self.has_partial_line = false,
                (_, error) => return (0, error),
            }
            self.size += 1;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(self.len_before_rotation(rest));
            let (written, result) = blocking::write_while(&self.file, chunk, go_on);
            self.size += written as u64;
            if result.is_err() {
                let whole = chunk.get(..written).and_then(|part| memrchr(b'\n', part));
                let whole = whole.map_or(0, |end| end + 1);
                self.discard_partial_line((written - whole) as u64);
                return (lines.len() - rest.len() + whole, result);
            }
            rest = after;
            self.rotate_if_due();
        }
        (lines.len(), Ok(()))
    }

    /// How much of the lines may be written before the file is rotated: whole lines, at least one.
    fn len_before_rotation(&self, lines: &[u8]) -> usize {
        let Some(rotate_at) = self.rotate_at else {
            return lines.len();
        };
        let room = usize::try_from(rotate_at.saturating_sub(self.size)).unwrap_or(usize::MAX);
        let last = room.saturating_sub(1);
        let end = lines.get(last..).and_then(|rest| memchr(b'\n', rest));
        end.map_or(lines.len(), |end| last + end + 1)
    }

    /// Removes a partial line from the end of the file, or remembers that it is there.
    fn discard_partial_line(&mut self, len: u64) {
        if len == 0 {
            return;
        }
        let truncate = || {
            let end = self.file.metadata()?.len();
            // Another program may have appended to the file.
            if !self.is_regular || (&self.file).stream_position()? != end || end < len {
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.file.set_len(end - len)
        };
        match truncate() {
            Ok(()) => self.size = self.size.saturating_sub(len),
            Err(_) => self.has_partial_line = true,
        }
    }

    fn rotate_if_due(&mut self) {
        if self.rotate_at.is_some_and(|rotate_at| self.size >= rotate_at)
            && let Err(error) = self.rotate()
        {
            // Once more after as many bytes: not for every line.
            self.rotate_at = self.settings.rotate.map(|rotate| self.size.saturating_add(rotate));
            self.rotation_error = Some(error);
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.has_its_name()? {
            let (file, keep) = (&self.settings.file, self.settings.keep);
            for number in numbers_of_older(file)? {
                if number < keep {
                    fs::rename(numbered(file, number), numbered(file, number + 1))?;
                } else {
                    fs::remove_file(numbered(file, number))?;
                }
            }
            if keep == 0 {
                fs::remove_file(file)?;
            } else {
                fs::rename(file, numbered(file, 1))?;
            }
        }
        let fresh = open(&self.settings.file)?;
        self.size = fresh.metadata()?.len();
        self.file = fresh;
        self.rotate_at = self.settings.rotate;
        Ok(())
    }

    /// Whether the file still has its name. If another program has moved it, this one must not move
    /// what has the name now.
    fn has_its_name(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match fs::metadata(&self.settings.file) {
            Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Opens without waiting, whatever the file is.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).mode(MODE).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let is_fifo = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    match options.clone().create(true).open(path) {
        // A FIFO without a reader. With a read end of our own it can be opened, and holds what is
        // written until another program reads it.
        Err(_) if is_fifo => options.read(true).open(path),
        opened => opened,
    }
}

/// Whether a file that is about to be appended to ends with a whole line. It counts as one if the file
/// cannot be read.
fn ends_with_line_end(path: &Path, found: &Metadata) -> bool {
    let Some(last) = found.len().checked_sub(1) else {
        return true;
    };
    let mut byte = [b'\n'];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_err() || byte == *b"\n"
}

/// `FILE.1` and so on.
fn numbered(file: &Path, number: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The numbers of the older files, highest first.
fn numbers_of_older(file: &Path) -> io::Result<Vec<u32>> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let found = entry?.file_name();
        let suffix = found.as_encoded_bytes().strip_prefix(name);
        let number = suffix
            .and_then(|suffix| std::str::from_utf8(suffix.strip_prefix(b".")?).ok())
            .and_then(|digits| digits.parse().ok().filter(|n: &u32| n.to_string() == digits));
        numbers.extend(number.filter(|&number| number > 0));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

#[cfg(test)]
mod tests;
