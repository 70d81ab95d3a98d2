//! A thin wrapper around epoll for the floor and the load generators.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::Result;

const EVENTS_PER_WAIT: usize = 1024;

pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_PER_WAIT) })
    }

    /// Makes `wait` return `token` whenever the descriptor is ready.
    pub(crate) fn add(&self, source: impl AsFd, token: usize, ready: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, source, EventData::new_u64(token as u64), ready)?;
        Ok(())
    }

    pub(crate) fn remove(&self, source: impl AsFd) -> Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Waits until a descriptor is ready, at most for `limit`, and returns the tokens of all that are.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> Result<impl Iterator<Item = usize>> {
        let limit = limit.map(Timespec::try_from).transpose()?;
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), limit.as_ref()) {
            // A signal interrupted the wait. All callers wait in a loop.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.drain(..).map(|event| event.data.u64() as usize))
    }
}
