//! The default of every key, and the words that the enumerated values are written as.

use std::{net::Ipv4Addr, time::Duration};

use super::{
    Color, Commands, Format, Limits, LineEnd, Listen, LogConfig, SendEnd, Timeouts, values::Choice,
};

impl Default for Listen {
    fn default() -> Self {
        Self {
            port: 4444,
            bind: Ipv4Addr::UNSPECIFIED.into(),
            max_sessions: 4,
            workers: 1,
            reverse: true,
            greeting: true,
            telnet: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_line: 64 << 10, outbox: 1 << 20 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { file: None, rotate: None, keep: 7 }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            slot: Some(Duration::from_millis(250)),
            stall: Duration::from_secs(10),
            idle: None,
            keepalive: Some(Duration::from_secs(60)),
            drain: Duration::from_secs(5),
        }
    }
}

impl Choice for Commands {
    const ALL: &'static [Self] = &[Self::Auto, Self::On, Self::Off];

    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

impl Choice for Format {
    const ALL: &'static [Self] = &[Self::Text, Self::Json];

    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Choice for LineEnd {
    const ALL: &'static [Self] = &[Self::Lf, Self::Cr, Self::Nul, Self::Any];

    fn word(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::Cr => "cr",
            Self::Nul => "nul",
            Self::Any => "any",
        }
    }
}

impl Choice for SendEnd {
    const ALL: &'static [Self] = &[Self::Lf, Self::CrLf, Self::Cr];

    fn word(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::CrLf => "crlf",
            Self::Cr => "cr",
        }
    }
}

impl Choice for Color {
    const ALL: &'static [Self] = &[Self::Auto, Self::Always, Self::Never];

    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}
