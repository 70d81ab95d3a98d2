//! The arguments of both programs, and what is said when they are wrong.

use std::{env, ffi::OsString, fmt::Write, net::IpAddr, path::PathBuf};

use clap::{
    Arg, Command, Parser,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::config::{Format, Overrides, SESSIONS};

/// hub-server: a TCP line hub.
///
/// Clients send lines, the operator reads them live, and each line that the operator enters goes
/// to all of them. A flag beats the environment, which beats the file, which beats the default.
#[derive(Debug, Parser)]
#[command(name = "hub-server", version)]
pub struct ServerArgs {
    /// TCP port to listen at; 0 takes a free one and prints which [default: 4444]
    #[arg(env = "HUB_PORT", hide_env_values = true, value_parser = port)]
    port: Option<u16>,

    /// TOML file with the configuration
    #[arg(long, value_name = "FILE", env = "HUB_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// IP address to listen at; `::` serves IPv4 and IPv6 both [default: 0.0.0.0]
    #[arg(long, value_name = "ADDR", env = "HUB_BIND", hide_env_values = true)]
    bind: Option<IpAddr>,

    /// Clients at once, 1 to 1000000; more are refused [default: 4]
    #[arg(long, value_name = "N", env = "HUB_MAX_SESSIONS", hide_env_values = true)]
    #[arg(value_parser = sessions)]
    max_sessions: Option<usize>,

    /// What stdout says: a transcript, or JSON, one event a line [default: text]
    #[arg(long, value_name = "text|json", env = "HUB_FORMAT", hide_env_values = true)]
    format: Option<Format>,

    /// Validate the configuration, print what is in force as TOML, and exit
    #[arg(long)]
    pub check: bool,
}

impl ServerArgs {
    /// What beats the file.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            port: self.port,
            bind: self.bind,
            max_sessions: self.max_sessions,
            format: self.format,
        }
    }
}

/// hub-client: a client of hub-server.
///
/// Sends each line that is entered, up to the line `exit` or the end of the input, and prints each
/// line of the server in reverse. Ends with status 0 when the server has taken every line, 1 when
/// the connection failed, 3 when the hub is full.
#[derive(Debug, Parser)]
#[command(name = "hub-client", version)]
pub struct ClientArgs {
    /// TCP port of the server
    #[arg(value_parser = remote_port)]
    pub port: u16,

    /// IP address or host name of the server
    #[arg(default_value = "127.0.0.1")]
    pub address: String,

    /// What stdout says: a transcript, or JSON, one event a line
    #[arg(long, value_name = "text|json", env = "HUB_FORMAT", hide_env_values = true)]
    #[arg(default_value_t = Format::Text)]
    pub format: Format,
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "expected a TCP port from 0 to 65535")
}

fn remote_port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|&port| port > 0);
    port.ok_or("expected a TCP port from 1 to 65535")
}

fn sessions(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|number| SESSIONS.contains(number));
    number.ok_or("expected a number of clients from 1 to 1000000")
}

/// Why a program does not run.
#[derive(Debug)]
pub enum Instead {
    /// The user asked for this text: it goes to stdout, and all is well.
    Say(String),
    /// The arguments are wrong: one plain sentence, and perhaps a hint.
    Refuse(String),
}

/// Parses a program's arguments, and the environment where an argument is not given. A variable
/// that is empty counts as not set.
///
/// # Errors
///
/// [`Instead`], of running.
pub fn parse<A: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<A, Instead> {
    let mut command = unset_empty(A::command());
    command.build();
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = command.clone().try_get_matches_from(&args);
    let parsed = parsed.and_then(|matches| A::from_arg_matches(&matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Instead::Say(error.to_string()),
        _ => Instead::Refuse(sentence(&error, &command, &args)),
    })
}

fn unset_empty(mut command: Command) -> Command {
    let empty = |arg: &&Arg| arg.get_env().and_then(env::var_os).is_some_and(|set| set.is_empty());
    let unset: Vec<_> =
        command.get_arguments().filter(empty).map(|arg| arg.get_id().clone()).collect();
    for id in unset {
        command = command.mut_arg(id, |arg| arg.env(Resettable::Reset));
    }
    command
}

/// clap's own words on one line, with the environment variable that is to blame, if one is.
fn sentence(error: &clap::Error, command: &Command, args: &[OsString]) -> String {
    let text = error.to_string();
    let (first, hint) = text.split_once("\n\n").unwrap_or((&text, ""));
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let words: Vec<&str> = first.split_whitespace().collect();
    let mut sentence = match variable(error, command, args) {
        Some(variable) => format!("{variable}: {}", words.join(" ")),
        None => words.join(" "),
    };
    if let Some(hint) = hint.lines().rev().find(|line| !line.is_empty()) {
        // Writing to memory does not fail.
        let _ = write!(sentence, "\n{hint}");
    }
    sentence
}

/// The environment variable that a wrong value came from: the one of that argument, if it has this
/// value and no argument does.
fn variable(error: &clap::Error, command: &Command, args: &[OsString]) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let named = context(ContextKind::InvalidArg)?;
    let arg = command.get_arguments().find(|arg| arg.to_string() == named)?;
    let variable = arg.get_env()?;
    let value = env::var_os(variable)?;
    if context(ContextKind::InvalidValue)? != value.to_string_lossy() {
        return None;
    }
    let given = |arg: &OsString| {
        let (arg, value) = (arg.to_string_lossy(), value.to_string_lossy());
        arg == value || arg.ends_with(&format!("={value}"))
    };
    (!args.iter().skip(1).any(given)).then(|| variable.to_string_lossy().into_owned())
}
