//! A program on a pseudo-terminal, with a virtual screen that shows what a user would see.

use std::{
    cell::Cell,
    fs,
    io::{self, Read, Write},
    num::NonZeroU16,
    os::fd::AsFd,
    process::ExitStatus,
    sync::{Arc, Condvar, Mutex, MutexGuard, mpsc},
    thread,
    time::Duration,
};

use pty_process::{
    Size,
    blocking::{Command, Pts, Pty},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, kill_process},
    termios::tcgetattr,
};

use crate::support::linehub_variables;

/// The time limit of each wait, generous because the machine may be busy.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A window of the usual size.
pub(crate) const WINDOW: (u16, u16) = (24, 80);

/// A running program. Dropping it kills the program.
pub(crate) struct OnPty {
    pty: Arc<Pty>,
    /// Keeps the terminal open after the program has ended, so that the tests can read its modes.
    pts: Option<Pts>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    pid: Pid,
    exit: mpsc::Receiver<io::Result<ExitStatus>>,
    exited: Cell<bool>,
    threads: Vec<thread::JoinHandle<()>>,
    /// The reading thread ends when this is closed.
    keep_reading: Option<io::PipeWriter>,
    modes_before: String,
}

struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

impl OnPty {
    /// Starts a program on a new terminal with this many rows and columns, without a history.
    pub(crate) fn start(program: &str, args: &[&str], term: &str, window: (u16, u16)) -> Self {
        Self::start_in(&[], program, args, term, window)
    }

    /// Starts it with these environment variables, too.
    pub(crate) fn start_in(
        environment: &[(&str, &str)],
        program: &str,
        args: &[&str],
        term: &str,
        (rows, columns): (u16, u16),
    ) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let modes_before = modes(&pty);
        // Under nohup the tests ignore SIGHUP, and so would the program.
        let mut command = match is_ignored(Signal::HUP) {
            true => Command::new("env").arg("--default-signal=HUP").arg(program),
            false => Command::new(program),
        };
        command = command.args(args).env("TERM", term);
        for name in linehub_variables() {
            command = command.env_remove(name);
        }
        command = command.env("LINEHUB_HISTORY", "off").env_remove("NO_COLOR");
        command = command.envs(environment.iter().copied());
        let mut child = command.spawn_borrowed(&pts).unwrap();
        let pid = Pid::from_child(&child);

        let (exit_sender, exit) = mpsc::channel();
        let waiting = thread::spawn(move || {
            let _ = exit_sender.send(child.wait());
        });
        let (rows, columns) = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        let seen = Seen { screen: vt100::Parser::new(rows, columns, 0), bytes: Vec::new() };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let pty = Arc::new(pty);
        let (source, sink) = (Arc::clone(&pty), Arc::clone(&seen));
        let (stop, keep_reading) = io::pipe().unwrap();
        let reading = thread::spawn(move || read(&source, &sink, &stop));
        Self {
            pty,
            pts: Some(pts),
            seen,
            pid,
            exit,
            exited: Cell::new(false),
            threads: vec![waiting, reading],
            keep_reading: Some(keep_reading),
            modes_before,
        }
    }

    /// Presses keys.
    pub(crate) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// The same for a program that may have ended already.
    pub(crate) fn signal_if_running(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Stops reading the terminal's output until the guard is dropped.
    pub(crate) fn freeze(&self) -> impl Drop {
        self.seen()
    }

    /// Waits until the cursor is in this row and this column.
    pub(crate) fn cursor_comes_to(&self, row: u16, column: u16) {
        self.wait_until(|seen| seen.screen.screen().cursor_position() == (row, column));
    }

    /// Everything that the program has written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// Waits until the screen fulfills a condition, and returns it.
    pub(crate) fn wait_for(&self, condition: impl Fn(&str) -> bool) -> String {
        self.wait_until(|seen| condition(&rows(seen)))
    }

    fn wait_until(&self, condition: impl Fn(&Seen) -> bool) -> String {
        let (guard, wait) = self
            .seen
            .1
            .wait_timeout_while(self.seen(), WAIT_LIMIT, |seen| !condition(seen))
            .unwrap();
        let (rows, cursor) = (rows(&guard), guard.screen.screen().cursor_position());
        drop(guard);
        assert!(!wait.timed_out(), "the cursor stays at {cursor:?} in:\n{rows}");
        rows
    }

    /// Waits until the screen shows exactly these rows.
    pub(crate) fn shows(&self, rows: &str) {
        self.wait_for(|screen| screen == rows);
    }

    /// Waits until the last row is this.
    pub(crate) fn last_row(&self, row: &str) -> String {
        self.wait_for(|screen| screen.lines().last() == Some(row))
    }

    /// Waits for the program's end and returns its status.
    pub(crate) fn exit_status(&self) -> Option<i32> {
        let status = self.exit.recv_timeout(WAIT_LIMIT);
        let status = status.unwrap_or_else(|_| panic!("the program still runs"));
        self.exited.set(true);
        status.unwrap().code()
    }

    /// Whether the terminal has the modes that it had before the program started.
    pub(crate) fn has_its_original_modes(&self) -> bool {
        self.has_its_original_kernel_modes() && !self.seen().screen.screen().bracketed_paste()
    }

    /// The same for the modes of the kernel alone. Those of the screen cannot be restored while the
    /// terminal accepts no output.
    pub(crate) fn has_its_original_kernel_modes(&self) -> bool {
        modes(&self.pty) == self.modes_before
    }

    /// Closes the terminal, and waits until the program has ended.
    pub(crate) fn hang_up(mut self) {
        // The reading thread holds the master side, too.
        self.keep_reading = None;
        self.threads.pop().unwrap().join().unwrap();
        self.pts = None;
        self.pty = Arc::new(pty_process::blocking::open().unwrap().0);
        self.exit_status();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap()
    }
}

impl Drop for OnPty {
    fn drop(&mut self) {
        if !self.exited.get() {
            // A shell has jobs, which hold the terminal open, too.
            for process in processes_of_session(self.pid) {
                let _ = kill_process(process, Signal::KILL);
            }
        }
        // The reading thread ends when no process holds the terminal open.
        self.pts = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The processes of the session that `leader` leads.
fn processes_of_session(leader: Pid) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = fs::read_to_string(entry.unwrap().path().join("stat")).ok()?;
        // After the name come state, parent, process group and session (proc(5)).
        let session = stat.rsplit_once(')')?.1.split_whitespace().nth(3)?.parse().ok()?;
        let process = stat.split_once(' ')?.0.parse().ok()?;
        (Pid::from_raw(session) == Some(leader)).then(|| Pid::from_raw(process)).flatten()
    });
    processes.collect()
}

/// Whether this process ignores the signal (proc(5), `SigIgn`).
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

/// Reads until the terminal hangs up or the other end of `stop` is closed.
fn read(mut pty: &Pty, seen: &(Mutex<Seen>, Condvar), stop: &io::PipeReader) {
    let mut buffer = [0; 4096];
    loop {
        let mut fds = [PollFd::new(pty, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
        if !fds[1].revents().is_empty() {
            return;
        }
        let Ok(length @ 1..) = pty.read(&mut buffer) else {
            return;
        };
        let mut guard = seen.0.lock().unwrap();
        guard.screen.process(&buffer[..length]);
        guard.bytes.extend_from_slice(&buffer[..length]);
        drop(guard);
        seen.1.notify_all();
    }
}

fn rows(seen: &Seen) -> String {
    let screen = seen.screen.screen();
    let rows = screen.rows(0, screen.size().1.get());
    let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}

/// The modes of the terminal, which its master side reports.
fn modes(pty: impl AsFd) -> String {
    format!("{:?}", tcgetattr(pty).unwrap())
}
