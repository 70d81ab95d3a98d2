//! placeholder
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
#[derive(Clone, Debug, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Config {
    pub server: Listen,
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub console: ConsoleConfig,
}
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Listen {
    pub port: u16,
    pub bind: IpAddr,
    pub max_sessions: usize,
    pub workers: usize,
}
impl Default for Listen {
    fn default() -> Self {
        Self { port: 4444, bind: Ipv4Addr::UNSPECIFIED.into(), max_sessions: 4, workers: 1 }
    }
}
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Limits {
    pub max_line: usize,
    pub outbox: usize,
}
impl Default for Limits {
    fn default() -> Self {
        Self { max_line: 65536, outbox: 1 << 20 }
    }
}
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Timeouts {
    pub stall: Duration,
    pub idle: Option<Duration>,
    pub keepalive: Option<Duration>,
    pub drain: Duration,
}
impl Default for Timeouts {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(10),
            idle: None,
            keepalive: Some(Duration::from_secs(60)),
            drain: Duration::from_secs(5),
        }
    }
}
#[derive(Clone, Debug, PartialEq, Default)]
#[allow(missing_docs)]
pub struct ConsoleConfig {
    pub format: Format,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Format {
    #[default]
    Text,
    Json,
}
