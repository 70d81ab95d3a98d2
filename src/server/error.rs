//! Why a server does not start, or does not continue.

use std::{io, net::SocketAddr, path::PathBuf};

use thiserror::Error;

use crate::{
    address::{BindAddress, Zoned},
    config::ConfigError,
    events::wording::os_error_text,
};

/// Why the server could not start, or could not continue.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address is in use, or is not an address of this host.
    #[error("cannot listen on {}: {}", Zoned(*.address), os_error_text(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The address has a zone that does not exist.
    #[error("cannot listen on {address}: {}", os_error_text(.source))]
    Zone {
        /// The address.
        address: BindAddress,
        /// The system's error.
        source: io::Error,
    },
    /// The file of the log cannot be opened.
    #[error("cannot open the log {}: {}", .file.display(), os_error_text(.source))]
    Log {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The terminal, stdin or stdout cannot be used.
    #[error("cannot use the terminal, stdin or stdout: {}", os_error_text(.0))]
    Stdio(io::Error),
    /// The system has run out of threads or descriptors.
    #[error("cannot start: {}", os_error_text(.0))]
    Start(io::Error),
    /// The server was run outside an Actix system.
    #[error("the server needs an Actix system: run it in #[actix_rt::main] or actix_rt::System")]
    NoSystem,
    /// Events can no longer be printed: stdout is closed, or an actor has died.
    #[error("cannot continue: stdout is closed")]
    ConsoleGone,
}
