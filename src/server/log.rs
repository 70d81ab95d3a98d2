//! The server's log: opened before the server reports that it is bound, written while it runs, and
//! finished at its end.

use std::{io, sync::Arc, time::Duration};

use actix::Addr;
use tokio::{sync::Notify, sync::mpsc, task::JoinSet, time::Instant};

use super::reporter;
use crate::{
    actors::hub::Hub,
    config::LogConfig,
    events::{
        ServerEvent,
        log::{Log, LogFile, Settings},
    },
};

/// Asks a running server to reload. Today this only opens the log's file again, because another
/// program may have renamed it.
#[derive(Clone, Debug, Default)]
pub struct ReloadHandle {
    requested: Arc<Notify>,
}

impl ReloadHandle {
    /// Requests a reload. Requests that arrive before the server has handled the first count as one.
    pub fn reload(&self) {
        self.requested.notify_one();
    }
}

/// Opens the log, if there is to be one.
pub(super) fn open(config: &LogConfig) -> io::Result<Option<LogFile>> {
    let LogConfig { file, rotate, keep } = config.clone();
    file.map(|file| LogFile::open(Settings { file, rotate, keep })).transpose()
}

/// A log that is being written.
pub(super) struct RunningLog {
    pub(super) log: Log<ServerEvent>,
    problems: mpsc::Receiver<String>,
}

impl RunningLog {
    pub(super) fn start(file: LogFile, stall: Duration) -> io::Result<Self> {
        let (log, problems) = Log::start(file, stall)?;
        Ok(Self { log, problems })
    }

    /// Reports the log's problems, and has it opened again on request, until the returned tasks are
    /// dropped.
    pub(super) fn attend(self, hub: &Addr<Hub>, reload: ReloadHandle) -> JoinSet<()> {
        let Self { log, mut problems } = self;
        let report = reporter(hub);
        let mut tasks = JoinSet::new();
        tasks.spawn_local(async move {
            while let Some(problem) = problems.recv().await {
                report(problem);
            }
        });
        tasks.spawn_local(async move {
            loop {
                reload.requested.notified().await;
                log.reopen();
            }
        });
        tasks
    }
}

/// Waits until everything is in the log, for at most `stall`; if the log has been given up, only
/// until `soon`.
pub(super) async fn finish(
    log: Option<Log<ServerEvent>>,
    stall: Duration,
    soon: Duration,
    deadline: Instant,
) {
    if let Some(log) = log {
        let now = Instant::now();
        log.finish(now + soon, deadline.min(now + stall)).await;
    }
}
