use std::{
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
};

use tempfile::TempDir;

use super::*;

fn settings(folder: &TempDir, rotate: u64, keep: u32) -> Settings {
    Settings { file: folder.path().join("log"), rotate: Some(rotate), keep }
}

fn text(folder: &TempDir, name: &str) -> Option<String> {
    fs::read_to_string(folder.path().join(name)).ok()
}

fn write(log: &mut LogFile, lines: &str) {
    let (written, result) = log.write(lines.as_bytes(), &|| true);
    result.unwrap();
    assert_eq!(written, lines.len());
    assert!(log.rotation_error().is_none());
}

#[test]
fn a_new_file_is_readable_by_its_group_only() {
    let folder = TempDir::new().unwrap();
    let log = LogFile::open(settings(&folder, 100, 7)).unwrap();
    let mode = fs::metadata(log.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    assert_eq!(mode & 0o600, 0o600, "{mode:o}");
}

#[test]
fn a_file_that_has_reached_its_size_gets_number_1_and_the_oldest_is_deleted() {
    let folder = TempDir::new().unwrap();
    let mut log = LogFile::open(settings(&folder, 10, 2)).unwrap();
    // One write of many lines is divided where the size is reached, at the end of a line.
    write(&mut log, "aaaa\nbbbb\ncccc\ndddddddd\neeee\n");
    assert_eq!(text(&folder, "log").unwrap(), "eeee\n");
    assert_eq!(text(&folder, "log.1").unwrap(), "cccc\ndddddddd\n");
    assert_eq!(text(&folder, "log.2").unwrap(), "aaaa\nbbbb\n");
    write(&mut log, "ffff\n");
    assert_eq!(text(&folder, "log").unwrap(), "");
    assert_eq!(text(&folder, "log.1").unwrap(), "eeee\nffff\n");
    assert_eq!(text(&folder, "log.2").unwrap(), "cccc\ndddddddd\n");
    assert_eq!(text(&folder, "log.3"), None);
}

#[test]
fn rotation_deletes_every_file_beyond_those_to_keep_and_no_other() {
    let folder = TempDir::new().unwrap();
    for name in ["log.1", "log.5", "log.9", "log.x", "log.01", "log.0", "log.1.gz", "other.9"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let mut log = LogFile::open(settings(&folder, 1, 5)).unwrap();
    write(&mut log, "new\n");
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["log", "log.0", "log.01", "log.1", "log.1.gz", "log.2", "log.x", "other.9"]);
    assert_eq!(text(&folder, "log.2").unwrap(), "log.1");
}

#[test]
fn keeps_no_file_if_none_is_to_be_kept() {
    let folder = TempDir::new().unwrap();
    let mut log = LogFile::open(settings(&folder, 5, 0)).unwrap();
    write(&mut log, "aaaa\nbb\n");
    assert_eq!(text(&folder, "log").unwrap(), "bb\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_old_file_that_is_large_enough_is_rotated_at_the_start() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("log"), "0123456789\n").unwrap();
    LogFile::open(settings(&folder, 10, 7)).unwrap();
    assert_eq!(text(&folder, "log.1").unwrap(), "0123456789\n");
    assert_eq!(text(&folder, "log").unwrap(), "");
}

#[test]
fn rotation_does_not_move_a_file_that_another_program_has_put_there() {
    let folder = TempDir::new().unwrap();
    let mut log = LogFile::open(settings(&folder, 12, 7)).unwrap();
    write(&mut log, "aaaa\n");
    fs::rename(log.path(), folder.path().join("moved")).unwrap();
    fs::write(log.path(), "other\n").unwrap();
    write(&mut log, "bbbb\ncccc\ndddd\n");
    assert_eq!(text(&folder, "moved").unwrap(), "aaaa\nbbbb\ncccc\n");
    assert_eq!(text(&folder, "log").unwrap(), "other\ndddd\n");
    assert_eq!(text(&folder, "log.1"), None);
}

#[test]
fn a_file_that_cannot_be_rotated_is_still_written() {
    let folder = TempDir::new().unwrap();
    let mut log = LogFile::open(settings(&folder, 5, 1)).unwrap();
    // Deleting a folder like a file fails, whoever does it.
    fs::create_dir(folder.path().join("log.1")).unwrap();
    let (written, result) = log.write(b"aaaa\nbbbb\n", &|| true);
    assert!(result.is_ok());
    assert_eq!(written, 10);
    assert!(log.rotation_error().is_some());
    assert_eq!(text(&folder, "log").unwrap(), "aaaa\nbbbb\n");
}

#[test]
fn a_partial_line_of_an_earlier_run_is_ended_first() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("log"), "whole\npart").unwrap();
    let mut log = LogFile::open(settings(&folder, 100, 7)).unwrap();
    write(&mut log, "next\n");
    assert_eq!(text(&folder, "log").unwrap(), "whole\npart\nnext\n");
}

#[test]
fn a_partial_line_is_removed_after_a_failed_write() {
    let folder = TempDir::new().unwrap();
    let mut log = LogFile::open(settings(&folder, 100, 7)).unwrap();
    write(&mut log, "whole\n");
    // What a full disk leaves.
    (&log.file).write_all(b"par").unwrap();
    log.size += 3;
    log.discard_partial_line(3);
    write(&mut log, "next\n");
    assert_eq!(text(&folder, "log").unwrap(), "whole\nnext\n");
    assert_eq!(log.size, 11);
}

#[test]
fn a_write_to_a_full_device_fails_at_once() {
    let folder = TempDir::new().unwrap();
    symlink("/dev/full", folder.path().join("log")).unwrap();
    let mut log = LogFile::open(settings(&folder, 1, 7)).unwrap();
    let (written, result) = log.write(b"line\n", &|| panic!("there is nothing to wait for"));
    assert_eq!(written, 0);
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_fifo_without_a_reader_is_opened_and_written_until_it_is_full() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    make_fifo(&path);
    let mut log = LogFile::open(settings(&folder, 1, 7)).unwrap();
    write(&mut log, "first\n");
    let line = format!("{}\n", "x".repeat(999));
    let (written, result) = log.write(line.repeat(100).as_bytes(), &|| false);
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Interrupted);
    assert_eq!(written % line.len(), 0);
    let mut reader = OpenOptions::new().read(true).open(&path).unwrap();
    let mut text = vec![0; 6 + written];
    reader.read_exact(&mut text).unwrap();
    assert!(text.ends_with(line.as_bytes()));
    // The partial line that the FIFO has is ended first.
    write(&mut log, "next\n");
    drop(log);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("x\nnext\n") || rest == "next\n", "{rest}");
}

/// Makes a FIFO. The standard library cannot.
fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}
