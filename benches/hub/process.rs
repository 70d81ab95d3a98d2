//! What the operating system knows about a process: its CPU time, its memory, its limits.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};
use rustix::time::ClockId;

use crate::Result;

/// The CPU time that all threads of a process have used, in the kernel and outside.
///
/// `/proc` counts it in ticks, 10 ms as a rule: 1 % of a busy second.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name stands in parentheses and may hold anything; proc(5) numbers what follows
    // it from 3, and user and system time are 14 and 15.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The memory that a process holds, in bytes: its proportional set size, so that pages of a program
/// that runs twice are not counted twice.
pub(crate) fn memory(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no Pss for this process")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// The CPU time of the calling thread: what the load generators say about themselves.
pub(crate) fn own_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The soft limit of open descriptors that this process was started with, as text for `launch`.
static SHELLS_LIMIT: OnceLock<String> = OnceLock::new();

/// Descriptors that no run needs more of.
const DESCRIPTORS: i32 = 16 * 1024;

/// Raises the soft limit of open descriptors to the hard one, and has the table of them made, so that
/// a generator of connections need not wait while it grows (see `src/descriptors.rs`).
pub(crate) fn raise_descriptor_limit() -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    SHELLS_LIMIT.get_or_init(|| limit.current.map_or_else(String::new, |soft| soft.to_string()));
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    // Where there cannot be so many, none of the runs needs them, or it says so.
    let _ = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), DESCRIPTORS - 1);
    Ok(())
}

/// The soft limit of open descriptors before it was raised; empty is no limit.
pub(crate) fn descriptor_limit_of_the_shell() -> &'static str {
    SHELLS_LIMIT.get().map_or("", String::as_str)
}

/// Becomes the program `command`, which ends when the benchmark does and whose soft limit of
/// descriptors is `soft` again, the shell's: a server that wants more raises it itself.
///
/// Only a process can do this to itself, and between fork and exec only unsafe code could; so
/// the benchmark starts itself with `--launch`, which calls this. It returns only if it fails.
pub(crate) fn launch(soft: &str, command: &[String]) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: soft.parse().ok(), ..limit })?;
    let (program, arguments) = command.split_first().ok_or("nothing to launch")?;
    Err(Command::new(program).args(arguments).exec().into())
}
