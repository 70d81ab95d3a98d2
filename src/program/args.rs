//! The arguments of both programs, and what either says by itself: what it was asked for, and why it
//! fails.

use std::{
    env,
    ffi::OsString,
    fmt::Display,
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
    process,
};

use clap::{
    Arg, Command, Parser,
    builder::Resettable,
    error::{ContextValue, ErrorKind},
};

use crate::{
    config::{Format, Overrides, SESSIONS},
    events::wording::{one_line, os_error_text},
};

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
    #[arg(value_parser = address)]
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

fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address such as 0.0.0.0 or ::")
}

fn remote_port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|&port| port > 0);
    port.ok_or("expected a TCP port from 1 to 65535")
}

fn sessions(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|number| SESSIONS.contains(number));
    number.ok_or("expected a number of clients from 1 to 1000000")
}

/// The arguments of the program, and what the environment says where one is not given. A variable
/// that is empty counts as not set.
///
/// Without them the program ends: with status 2 if they are wrong, and with status 0 if the user asked
/// for a text like the help.
pub fn arguments<A: Parser>(program: &str) -> A {
    let is_empty =
        |arg: &Arg| arg.get_env().and_then(env::var_os).is_some_and(|set| set.is_empty());
    let command = unset(A::command(), is_empty);
    let args: Vec<OsString> = env::args_os().collect();
    let matches = command.clone().try_get_matches_from(&args);
    let error = match matches.and_then(|matches| A::from_arg_matches(&matches)) {
        Ok(parsed) => return parsed,
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        say(program, &error.to_string());
    }
    let (blamed, kind) = (blamed(&error, &command, &args), error.kind());
    let (sentence, hint) = sentence(error);
    match blamed {
        // clap speaks of "one or more arguments" here.
        Some(variable) if kind == ErrorKind::InvalidUtf8 => {
            report(program, &format_args!("{variable}: expected UTF-8"));
        }
        Some(variable) => report(program, &format_args!("{variable}: {sentence}")),
        None => report(program, &sentence),
    }
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr(), "{hint}");
    process::exit(2)
}

/// Prints the text that the user asked for, and ends the program: all is well, unless it cannot be
/// printed.
pub fn say(program: &str, text: &str) -> ! {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has gone has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(program, &format_args!("cannot write to stdout: {}", os_error_text(&error)), 1)
        }
        _ => process::exit(0),
    }
}

/// Says in one sentence why the program ends, and ends it.
pub fn fail(program: &str, why: &dyn Display, status: i32) -> ! {
    report(program, why);
    process::exit(status)
}

/// Says one sentence on stderr. It stays one line whatever names are in it.
pub fn report(program: &str, what: &dyn Display) {
    let sentence = one_line(&what.to_string());
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr(), "{program}: {sentence}");
}

/// clap's own words on one line, and its hint.
fn sentence(mut error: clap::Error) -> (String, String) {
    // What the user typed must not look like the layout of clap's text.
    let typed: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(one_line(text)))),
            _ => None,
        })
        .collect();
    for (kind, text) in typed {
        error.insert(kind, text);
    }
    let text = error.to_string();
    let (first, hints) = text.split_once("\n\n").unwrap_or((&text, ""));
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let words: Vec<&str> = first.split_whitespace().collect();
    let hint = hints.lines().rev().find(|line| !line.is_empty());
    (words.join(" "), hint.unwrap_or_default().to_owned())
}

/// The environment variable that is to blame: the first that gives the same error alone, if there is
/// none without the environment. (clap does not tell where a value came from.)
fn blamed(error: &clap::Error, command: &Command, args: &[OsString]) -> Option<String> {
    let said = error.to_string();
    let remains_without = |ignored: &dyn Fn(&Arg) -> bool| {
        let again = unset(command.clone(), ignored).try_get_matches_from(args);
        again.is_err_and(|error| error.to_string() == said)
    };
    if remains_without(&|_| true) {
        return None;
    }
    let mut variables = command.get_arguments().filter_map(Arg::get_env);
    let blamed = variables.find(|one| remains_without(&|arg| arg.get_env() != Some(one)));
    blamed.map(|variable| variable.to_string_lossy().into_owned())
}

/// The command without the environment variables of some arguments.
fn unset(mut command: Command, ignored: impl Fn(&Arg) -> bool) -> Command {
    let ignored = command.get_arguments().filter(|arg| ignored(arg));
    let ids: Vec<_> = ignored.map(|arg| arg.get_id().clone()).collect();
    for id in ids {
        command = command.mut_arg(id, |arg| arg.env(Resettable::Reset));
    }
    command
}
