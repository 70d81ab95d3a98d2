//! What one run returns: its figures, and how busy the load generators were.

use std::time::Duration;

/// The result of one run.
pub(crate) struct Sample {
    /// One value for each figure of the row.
    pub(crate) values: Vec<f64>,
    pub(crate) load: Load,
}

/// How busy the load generators were. If one of them is at 100 %, the run measured it and not the
/// server.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// The share of the run for which the thread that sends to the server used a CPU.
    pub(crate) sending: f64,
    /// The same for the thread that receives from the server.
    pub(crate) receiving: f64,
}

impl Load {
    /// Divides the CPU time of each thread by the length of the run.
    pub(crate) fn shares(elapsed: Duration, sending: Duration, receiving: Duration) -> Self {
        let share = |cpu: Duration| cpu.as_secs_f64() / elapsed.as_secs_f64();
        Self { sending: share(sending), receiving: share(receiving) }
    }
}
