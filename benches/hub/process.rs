//! The CPU time, memory and limits of a process.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};
use rustix::time::ClockId;

use crate::Result;

/// The CPU time of all threads of a process, in user and kernel mode.
///
/// `/proc` counts it in ticks of usually 10 ms, which is 1 % of a busy second.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name is in parentheses and may contain anything. In proc(5) the field after it has
    // number 3; user and system time have 14 and 15.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The proportional set size of a process in bytes. It does not count a page twice that two processes
/// share.
pub(crate) fn memory(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no Pss for this process")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// The CPU time of the calling thread. The load generators measure themselves with it.
pub(crate) fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The soft limit of open descriptors that this process inherited, as text for `launch`.
static INHERITED_LIMIT: OnceLock<String> = OnceLock::new();

/// More descriptors than any run needs.
const DESCRIPTORS: i32 = 16 * 1024;

/// Raises the soft limit of open descriptors to the hard one. Also makes the kernel allocate the
/// descriptor table at once, so that no connection has to wait while the table grows.
pub(crate) fn raise_descriptor_limit() -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    INHERITED_LIMIT.get_or_init(|| limit.current.map_or_else(String::new, |soft| soft.to_string()));
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    // If the limit is lower, this fails, and so does any run that needs more descriptors.
    let _ = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), DESCRIPTORS - 1);
    Ok(())
}

/// The soft limit of open descriptors before it was raised; an empty string means no limit.
pub(crate) fn inherited_descriptor_limit() -> &'static str {
    INHERITED_LIMIT.get().map_or("", String::as_str)
}

/// Replaces this process with `command`, whose soft limit of descriptors is `soft`, the inherited one: a
/// server that needs more raises it itself. The kernel kills the command when the benchmark ends.
///
/// A process can set both only for itself, and a parent would need unsafe code to do it between fork
/// and exec. So the benchmark starts itself with `--launch`, which calls this. It returns only if it
/// fails.
pub(crate) fn launch(soft: &str, command: &[String]) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: soft.parse().ok(), ..limit })?;
    let (program, arguments) = command.split_first().ok_or("nothing to launch")?;
    Err(Command::new(program).args(arguments).exec().into())
}
