//! File descriptors: every session needs one, and the system limits how many a process may have.

use std::{io, os::fd::AsFd};

use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::events::wording::os_error_text;

/// Descriptors that the server can use in addition to those of its sessions: 2,048 for pending
/// connections, 1,024 for refused ones that linger, and the rest for itself.
const RESERVE: u64 = 2048 + 1024 + 128;

/// The fewest additional descriptors with which the server can serve all its sessions. With fewer than
/// [`RESERVE`], connections in excess wait in the kernel's backlog, which delays no session.
const MIN_RESERVE: u64 = 16;

/// Descriptors that one event loop uses.
const EVENT_LOOP: usize = 4;

/// Descriptors that either program opens in addition while it starts: 9 when measured, plus a margin.
const START: usize = 12;

/// Raises the soft limit of open files to what `sessions` sessions need, as far as the hard limit
/// allows, and makes the kernel allocate its table of open files for that many. Call it while the
/// process has one thread.
///
/// # Errors
///
/// One sentence for the user if the limit is too low for so many sessions. The server can run all the
/// same, and reports it when it runs out of descriptors.
pub fn make_room_for(sessions: usize) -> Result<(), String> {
    let sessions = sessions as u64;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    if current < sessions + RESERVE {
        let current = Some(maximum.min(sessions + RESERVE).max(current));
        // If this fails, the limit stays as it is, and the check below reports it.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    allocate_table_for(current.min(sessions + RESERVE));
    if current < sessions + MIN_RESERVE {
        return Err(format!(
            "{sessions} sessions do not fit into the limit of {current} open files: raise it \
             (ulimit -Hn) or lower server.max_sessions"
        ));
    }
    Ok(())
}

/// Makes the kernel allocate the process's table of open files for this many, at 8 bytes each.
///
/// The table also grows by itself, but in a process with several threads every growth blocks the
/// thread that opens a file for tens of milliseconds: the kernel waits until no CPU can still read
/// the old table (`expand_fdtable`, `synchronize_rcu`). That dominated a rush of connections.
fn allocate_table_for(descriptors: u64) {
    if let Ok(highest) = i32::try_from(descriptors.saturating_sub(1)) {
        // The table stays this large after the duplicate is closed. A failure only costs speed.
        let _ = fcntl_dupfd_cloexec(io::stderr(), highest);
    }
}

/// Checks that a program with this many event loops has enough descriptors to start. Call it before
/// the first event loop: one that cannot open its descriptors panics.
///
/// # Errors
///
/// One sentence for the user.
pub fn check_available(event_loops: usize) -> Result<(), String> {
    let stderr = io::stderr();
    let open_one = |_| stderr.as_fd().try_clone_to_owned();
    // The only way to know is to open them all. They are closed again at once.
    let all: io::Result<Vec<_>> = (0..START + EVENT_LOOP * event_loops).map(open_one).collect();
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

    fn soft_limit() -> u64 {
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }

    fn hard_limit() -> u64 {
        getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
    }

    #[test]
    fn a_few_sessions_always_fit() {
        assert_eq!(make_room_for(1), Ok(()));
        assert!(soft_limit() >= hard_limit().min(1 + RESERVE));
    }

    #[test]
    fn raises_the_soft_limit_for_more_sessions_than_it_allows() {
        // The other tests may raise the limit at the same time, so it may be even higher then.
        let needed = soft_limit() + 1;
        let sessions = needed.saturating_sub(RESERVE).max(1);
        assert_eq!(make_room_for(sessions as usize), Ok(()));
        assert!(soft_limit() >= hard_limit().min(needed));
    }

    #[test]
    fn reports_the_limit_when_it_is_too_low_for_the_sessions() {
        let hard = hard_limit();
        let sentence = make_room_for(hard as usize).unwrap_err();
        assert!(sentence.contains(&format!("the limit of {hard} open files")), "{sentence}");
    }
}
