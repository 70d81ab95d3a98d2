//! File descriptors: every session needs one, and the system allows only so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the server needs beside those of its sessions: its own, and those of peers
/// that are being admitted or refused.
const RESERVE: u64 = 512;

/// Descriptors without which it could not even serve all its sessions.
const LEAST_RESERVE: u64 = 16;

/// Raises the process's soft limit of open files to what `sessions` sessions need, as far as the
/// hard limit allows.
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
    if current < sessions + LEAST_RESERVE {
        return Err(format!(
            "{sessions} sessions do not fit into the limit of {current} open files: raise it \
             (ulimit -Hn) or lower server.max_sessions"
        ));
    }
    Ok(())
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
