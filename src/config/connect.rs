//! `[[connect]]`: the devices that the hub connects to.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{HostPort, LineEnd, Name, SendEnd, values};
use crate::wire::framing::Framing;

/// A device that the hub connects to, and connects to again after each end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// The device's address, `HOST:PORT`.
    #[serde(with = "values::host_port")]
    pub address: HostPort,
    /// The session's name. Default: the one that `[names]` gives its address, if any.
    #[serde(default, with = "values::name", skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What ends its lines. Default: `lines.end`.
    #[serde(default, with = "values::optional_choice", skip_serializing_if = "Option::is_none")]
    pub end: Option<LineEnd>,
    /// What the hub sends after each line. Default: `lines.send_end`.
    #[serde(default, with = "values::optional_choice", skip_serializing_if = "Option::is_none")]
    pub send_end: Option<SendEnd>,
    /// A pause that also ends its lines, or `Some(None)` for none. Default: `lines.gap`.
    #[serde(default, with = "values::optional_pause", skip_serializing_if = "Option::is_none")]
    pub gap: Option<Option<Duration>>,
    /// The first pause before it connects again. It doubles after each attempt, up to `retry_max`.
    /// Default: 1 s.
    #[serde(default = "Connect::default_retry", with = "values::duration")]
    pub retry: Duration,
    /// The longest pause. Default: 30 s.
    #[serde(default = "Connect::default_retry_max", with = "values::duration")]
    pub retry_max: Duration,
}

impl Connect {
    /// A device with the default pauses.
    pub fn new(address: HostPort) -> Self {
        let (retry, retry_max) = (Self::default_retry(), Self::default_retry_max());
        Self { address, name: None, end: None, send_end: None, gap: None, retry, retry_max }
    }

    /// How its lines are divided, if `lines` is how those of clients are.
    pub(crate) fn framing(&self, lines: Framing) -> Framing {
        Framing {
            end: self.end.unwrap_or(lines.end),
            send_end: self.send_end.unwrap_or(lines.send_end),
            gap: self.gap.unwrap_or(lines.gap),
            ..lines
        }
    }

    fn default_retry() -> Duration {
        Duration::from_secs(1)
    }

    fn default_retry_max() -> Duration {
        Duration::from_secs(30)
    }
}

/// The device as reports name it.
impl Display for Connect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.name {
            None => self.address.fmt(f),
            Some(name) => write!(f, "{name} at {}", self.address),
        }
    }
}
