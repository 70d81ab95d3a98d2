//! File descriptors: every session needs one, and the system allows only so many.

use std::{io, os::fd::AsFd};

use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::events::wording::os_error_text;

/// Descriptors that the server needs beside those of its sessions: its own, and those of peers
/// that are being admitted or refused.
const RESERVE: u64 = 512;

/// Descriptors without which it could not even serve all its sessions.
const LEAST_RESERVE: u64 = 16;

/// Descriptors that an event loop takes.
const EVENT_LOOP: usize = 4;

/// Descriptors that either program takes beside those until it is up: 9 as measured, and a few to
/// spare.
const START: usize = 12;

/// Raises the process's soft limit of open files to what `sessions` sessions need, as far as the
/// hard limit allows, and has the table made for so many. Must be called while there is one thread.
///
/// # Errors
///
/// One plain sentence when the hard limit is too low for so many sessions. The server can run
/// all the same; it will say so when it is out of descriptors.
pub fn make_room_for(sessions: usize) -> Result<(), String> {
    let sessions = sessions as u64;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    if current < sessions + RESERVE {
        let current = Some(maximum.min(sessions + RESERVE).max(current));
        // Where even this is forbidden the limit stays, and is checked below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    make_table_for(current.min(sessions + RESERVE));
    if current < sessions + LEAST_RESERVE {
        return Err(format!(
            "{sessions} sessions do not fit into the limit of {current} open files: raise it \
             (ulimit -Hn) or lower server.max_sessions"
        ));
    }
    Ok(())
}

/// Has the kernel make the process's table of open files large enough for so many, 8 bytes each.
///
/// It would double by itself. But while threads share a table, each time it grows holds up whoever
/// opens a file for tens of milliseconds: the kernel waits until no CPU can be reading the old one
/// (`expand_fdtable`, `synchronize_rcu`). Under a rush of connections that was most of the time.
fn make_table_for(descriptors: u64) {
    if let Ok(highest) = i32::try_from(descriptors.saturating_sub(1)) {
        // It is enough to have had one there. Without it everything works, more slowly.
        let _ = fcntl_dupfd_cloexec(io::stderr(), highest);
    }
}

/// Sees that there are enough descriptors for a program with so many event loops to start. Must be
/// called before there is one: an event loop that cannot have its descriptors panics.
///
/// # Errors
///
/// One plain sentence.
pub fn check_available(event_loops: usize) -> Result<(), String> {
    let stderr = io::stderr();
    let one = |_| stderr.as_fd().try_clone_to_owned();
    // Having them all at a time is the only way to know; they are given back at once.
    let all: io::Result<Vec<_>> = (0..START + EVENT_LOOP * event_loops).map(one).collect();
    match all {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "cannot start: too few file descriptors are allowed ({})",
            os_error_text(&error)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_sessions_always_fit() {
        assert_eq!(make_room_for(1), Ok(()));
    }

    #[test]
    fn more_sessions_than_the_hard_limit_allows_are_reported_with_the_limit() {
        let Some(hard) = getrlimit(Resource::Nofile).maximum else {
            return;
        };
        let sentence = make_room_for(hard as usize).unwrap_err();
        assert!(sentence.contains(&format!("the limit of {hard} open files")), "{sentence}");
    }
}
