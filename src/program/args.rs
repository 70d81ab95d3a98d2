//! The arguments of both programs, the environment variables that replace them, and what either
//! program prints by itself: the text it was asked for, or why it fails.

mod usage;
mod variables;

use std::{
    fmt::Display,
    io::{self, Write},
    net::SocketAddr,
    ops::RangeInclusive,
    path::PathBuf,
    process,
    time::Duration,
};

use clap::{Arg, CommandFactory, Parser, builder::ValueParser, error::ErrorKind};

use self::{
    usage::{HELP_HINT, sentence},
    variables::{admin_token, fill, variable},
};
use crate::{
    address::HostPort,
    config::{
        BindAddress, Color, Commands, Format, Overrides, SESSIONS, Token, choice,
        expected_sessions, file_name, socket_or_off,
    },
    events::wording::{one_line, os_error_text},
};

/// The range of a duration. A year is as good as no limit, and no sum of such times overflows.
const DURATIONS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 60 * 60);

/// Where the admin side is served, or nowhere. The alias keeps clap from reading more into it.
type AdminAddress = Option<SocketAddr>;

/// hub-server: a TCP line hub.
///
/// Clients send lines, the operator reads them live, and each line that the operator enters goes
/// to all of them. A flag overrides the environment, which overrides the file, which overrides the
/// default.
#[derive(Debug, Parser)]
#[command(name = "hub-server", version)]
pub struct ServerArgs {
    /// TCP port to listen on; 0 picks a free one and prints it [env: LINEHUB_PORT] [default: 4444]
    #[arg(value_parser = port)]
    port: Option<u16>,

    /// TOML file with the configuration [env: LINEHUB_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// IP address to listen on; `::` serves both IPv4 and IPv6 [env: LINEHUB_BIND]
    /// [default: 0.0.0.0]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    bind: Option<BindAddress>,

    #[arg(long, value_name = "N", value_parser = sessions, help = max_sessions_help())]
    max_sessions: Option<usize>,

    /// Format of stdout: a transcript, or JSON with one event per line [env: LINEHUB_FORMAT]
    /// [default: text]
    #[arg(long, value_name = "text|json", value_parser = choice::<Format>)]
    format: Option<Format>,

    /// Whether operator lines that start with `/` are commands; auto means if stdin is a terminal
    /// [env: LINEHUB_COMMANDS] [default: auto]
    #[arg(long, value_name = "auto|on|off", value_parser = choice::<Commands>)]
    commands: Option<Commands>,

    /// Whether the text format has colors; auto means at a terminal, unless NO_COLOR is set
    /// [default: auto]
    #[arg(long, value_name = "auto|always|never", value_parser = choice::<Color>)]
    color: Option<Color>,

    /// Also append every event, as JSON, to this file [env: LINEHUB_LOG]
    #[arg(long, value_name = "FILE", value_parser = file_name)]
    log: Option<PathBuf>,

    /// Serve the web console and the HTTP API at IP:PORT [env: LINEHUB_ADMIN] [default: off]; their
    /// token is random, or in a file, or in [env: LINEHUB_ADMIN_TOKEN]
    #[arg(long, value_name = "ADDR", value_parser = socket_or_off)]
    admin: Option<AdminAddress>,

    /// Set by LINEHUB_ADMIN_TOKEN. There is no flag: everybody can read the arguments of a program.
    #[arg(skip)]
    admin_token: Option<Token>,

    /// Show client lines as they were sent, not reversed [env: LINEHUB_REVERSE]
    #[arg(long)]
    no_reverse: bool,

    /// Start each line of the text format with its time [env: LINEHUB_TIMESTAMPS]
    #[arg(long)]
    timestamps: bool,

    /// Set by LINEHUB_TIMESTAMPS.
    #[arg(skip)]
    timestamps_variable: Option<bool>,

    /// Set by LINEHUB_REVERSE.
    #[arg(skip)]
    reverse: Option<bool>,

    /// Validate the configuration, print the effective one as TOML, and exit
    #[arg(long)]
    pub check: bool,
}

fn max_sessions_help() -> String {
    let (least, most) = (SESSIONS.start(), SESSIONS.end());
    format!(
        "Clients at once, {least} to {most}; further ones are refused [env: LINEHUB_MAX_SESSIONS] \
         [default: 4]"
    )
}

impl ServerArgs {
    /// What overrides the file.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            port: self.port,
            bind: self.bind.clone(),
            max_sessions: self.max_sessions,
            format: self.format,
            commands: self.commands,
            admin: self.admin,
            admin_token: self.admin_token.clone(),
            timestamps: if self.timestamps { Some(true) } else { self.timestamps_variable },
            log: self.log.clone(),
            color: self.color,
            reverse: if self.no_reverse { Some(false) } else { self.reverse },
        }
    }
}

/// hub-client: a client of hub-server.
///
/// Sends each line that is entered, up to the line `exit` or the end of the input, and prints each
/// line of the server in reverse. Exits with status 0 when the server has received every line, 1 when
/// the connection failed or the server closed it, 3 when the hub refused the client.
#[derive(Debug, Parser)]
#[command(name = "hub-client", version)]
pub struct ClientArgs {
    /// TCP port of the server, or HOST:PORT, such as scope.lab:4444 or [::1]:4444
    #[arg(index = 1, value_parser = remote)]
    port: Remote,

    /// IP address or host name of the server [default: 127.0.0.1]
    #[arg(index = 2)]
    address: Option<String>,

    /// Print only the responses, one per line, without prompts
    #[arg(long)]
    pub quiet: bool,

    /// Wait for a hub that cannot be reached, and connect again when the connection is lost or closed
    #[arg(long)]
    pub reconnect: bool,

    /// Keep receiving after the end of the input, until Ctrl-C or a stop signal
    #[arg(long)]
    pub stay: bool,

    /// How long it may take from the start until the server has greeted; with --reconnect, in each
    /// attempt
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub timeout: Duration,

    /// Format of stdout: a transcript, or JSON with one event per line [env: LINEHUB_FORMAT]
    /// [default: text]
    #[arg(long, value_name = "text|json", value_parser = choice::<Format>)]
    format: Option<Format>,

    /// Whether the text format has colors; auto means at a terminal, unless NO_COLOR is set
    /// [default: auto]
    #[arg(long, value_name = "auto|always|never", value_parser = choice::<Color>)]
    color: Option<Color>,

    /// Show the server's lines as they were sent, not reversed [env: LINEHUB_REVERSE]
    #[arg(long)]
    no_reverse: bool,

    /// Set by LINEHUB_REVERSE.
    #[arg(skip)]
    reverse: Option<bool>,
}

impl ClientArgs {
    /// Whether the text format has colors.
    pub fn color(&self) -> Color {
        self.color.unwrap_or_default()
    }

    /// The server's host as it was typed, and its port.
    pub fn server(&self) -> (&str, u16) {
        let default = self.address.as_deref().unwrap_or("127.0.0.1");
        (self.port.host.as_deref().unwrap_or(default), self.port.port)
    }

    /// The format of stdout.
    pub fn format(&self) -> Format {
        self.format.unwrap_or(Format::Text)
    }

    /// Whether the server's lines are reversed.
    pub fn reverse(&self) -> bool {
        !self.no_reverse && self.reverse.unwrap_or(true)
    }
}

/// A port, and the host if it stands before it.
#[derive(Clone, Debug)]
struct Remote {
    /// The host as it was typed.
    host: Option<String>,
    port: u16,
}

fn remote(text: &str) -> Result<Remote, &'static str> {
    if let Ok(server) = text.parse::<HostPort>() {
        let host = text.rsplit_once(':').map(|(host, _)| host.to_owned());
        return Ok(Remote { host, port: server.port });
    }
    Ok(Remote { host: None, port: remote_port(text)? })
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "expected a TCP port from 0 to 65535")
}

fn address(text: &str) -> Result<BindAddress, &'static str> {
    text.parse().map_err(|_| "expected an IP address such as 0.0.0.0, :: or fe80::1%eth0")
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "expected true or false")
}

fn remote_port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|&port| port > 0);
    port.ok_or("expected a TCP port from 1 to 65535")
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = humantime::parse_duration(text).ok().filter(|time| DURATIONS.contains(time));
    duration.ok_or("expected a duration up to a year such as 1500ms, 10s or 2m")
}

fn sessions(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| SESSIONS.contains(number));
    number.ok_or_else(|| format!("expected {}", expected_sessions()))
}

/// The arguments of a program. Some of them can come from the environment.
pub trait Arguments: Parser {
    /// Reads the variable of each argument that was not given.
    ///
    /// # Errors
    ///
    /// A sentence that starts with the variable's name.
    fn read_environment(&mut self) -> Result<(), String>;

    /// Checks what clap does not: which arguments exclude each other.
    ///
    /// # Errors
    ///
    /// One sentence.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// A hint for a mistake that clap does not know. It is asked for when the arguments are wrong.
    fn hint() -> Option<String> {
        None
    }
}

impl Arguments for ServerArgs {
    fn read_environment(&mut self) -> Result<(), String> {
        // A file's name need not be UTF-8.
        self.config = self.config.take().or_else(|| variable("LINEHUB_CONFIG").map(PathBuf::from));
        fill(&mut self.port, "LINEHUB_PORT", "[PORT]", port)?;
        fill(&mut self.bind, "LINEHUB_BIND", "--bind <ADDR>", address)?;
        fill(&mut self.max_sessions, "LINEHUB_MAX_SESSIONS", "--max-sessions <N>", sessions)?;
        fill(&mut self.format, "LINEHUB_FORMAT", "--format <text|json>", choice)?;
        fill(&mut self.commands, "LINEHUB_COMMANDS", "--commands <auto|on|off>", choice)?;
        fill(&mut self.admin, "LINEHUB_ADMIN", "--admin <ADDR>", socket_or_off)?;
        self.admin_token = admin_token()?;
        let timestamps = &mut self.timestamps_variable;
        fill(timestamps, "LINEHUB_TIMESTAMPS", "--timestamps", boolean)?;
        fill(&mut self.log, "LINEHUB_LOG", "--log <FILE>", file_name)?;
        fill(&mut self.reverse, "LINEHUB_REVERSE", "server.reverse", boolean)
    }
}

impl Arguments for ClientArgs {
    fn read_environment(&mut self) -> Result<(), String> {
        fill(&mut self.reverse, "LINEHUB_REVERSE", "--no-reverse", boolean)?;
        fill(&mut self.format, "LINEHUB_FORMAT", "--format <text|json>", choice)?;
        if self.quiet {
            // The flag overrides the variable. `check` has rejected the other flag.
            self.format = Some(Format::Text);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.port.host.is_some() && self.address.is_some() {
            return Err("HOST:PORT cannot be used with an ADDRESS after it".to_owned());
        }
        match self.format() {
            Format::Json if self.quiet => {
                Err("--quiet cannot be used with --format json".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Other tools take the address first.
    fn hint() -> Option<String> {
        // The same arguments, with any text for the port.
        let any = |port: Arg| port.value_parser(ValueParser::string());
        let matches = Self::command().mut_arg("port", any).try_get_matches().ok()?;
        let address: &String = matches.get_one("port")?;
        let port = remote_port(matches.get_one::<String>("address")?).ok()?;
        let is_number = address.parse::<i128>().is_ok();
        let address = one_line(address);
        let usage = "hub-client PORT [ADDRESS]";
        (!is_number).then(|| format!("{usage}: did you mean hub-client {port} {address}?"))
    }
}

/// The arguments of the program, completed from the environment.
///
/// If they are wrong, the program exits with status 2; if the user asked for a text such as the help,
/// it prints that and exits with status 0.
pub fn arguments<A: Arguments>(program: &str) -> A {
    let mut arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            say(program, &error.to_string())
        }
        Err(error) => {
            let (sentence, hint) = sentence(error);
            misused(program, &sentence, &A::hint().unwrap_or(hint))
        }
    };
    let checked = arguments.check().and_then(|()| arguments.read_environment());
    if let Err(sentence) = checked {
        misused(program, &sentence, HELP_HINT);
    }
    arguments
}

/// Reports wrong usage with a hint, and exits.
fn misused(program: &str, sentence: &str, hint: &str) -> ! {
    report(program, &sentence);
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr(), "{hint}");
    process::exit(2)
}

/// Prints the text that the user asked for and exits, with status 0 unless it cannot be printed.
pub fn say(program: &str, text: &str) -> ! {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that closed its end has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(program, &format_args!("cannot write to stdout: {}", os_error_text(&error)), 1)
        }
        _ => process::exit(0),
    }
}

/// Reports in one sentence why the program fails, and exits.
pub fn fail(program: &str, why: &dyn Display, status: i32) -> ! {
    report(program, why);
    process::exit(status)
}

/// Prints one sentence on stderr. It stays one line, whatever names it contains.
pub fn report(program: &str, what: &dyn Display) {
    let sentence = one_line(&what.to_string());
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr(), "{program}: {sentence}");
}
