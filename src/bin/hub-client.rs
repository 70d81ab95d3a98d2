//! `hub-client`: a client of the hub.

use std::{env, ffi::OsStr, process};

use linehub::{
    actors::console::{Console, Outputs},
    client::{Client, ClientError},
    config::Format,
    events::transcript::{CLIENT_PROMPT, ClientTranscript, Json, Renderer},
    program::{
        args::{self, ClientArgs},
        descriptors, signals,
        stdio::{self, Stdin},
    },
    terminal::Terminal,
};
use tokio_util::either::Either;

const PROGRAM: &str = "hub-client";

fn main() {
    signals::report_panics(PROGRAM);
    let args: ClientArgs = args::arguments(PROGRAM);
    // Its own, and the Writer's.
    if let Err(sentence) = descriptors::check_available(2) {
        args::fail(PROGRAM, &sentence, 1);
    }
    let system = actix_rt::System::new();
    let term = env::var_os("TERM");
    match system.block_on(converse(args, term.as_deref())) {
        // Not by returning: that would wait for a host name that is still being looked up.
        Ok(()) => process::exit(0),
        // The transcript has told the user.
        Err(ClientError::Refused) => process::exit(3),
        // Whatever was the reason has been told.
        Err(ClientError::ConsoleGone) => process::exit(1),
        Err(error) => args::fail(PROGRAM, &error, 1),
    }
}

/// Sends what is entered and prints what comes, until either side has had enough.
async fn converse(args: ClientArgs, term: Option<&OsStr>) -> Result<(), ClientError> {
    let mut terminal = Terminal::open(CLIENT_PROMPT, term).map_err(ClientError::Input)?;
    let renderer: Box<dyn Renderer> = match args.format {
        Format::Text => Box::new(ClientTranscript::new(PROGRAM, terminal.is_some())),
        Format::Json => Box::new(Json { program: PROGRAM }),
    };
    let (out, out_file, err) =
        stdio::stdout_and_stderr(terminal.as_ref()).map_err(ClientError::Start)?;
    let console =
        Console::start(Outputs { renderer, out, out_file, err }).map_err(ClientError::Start)?;
    let console = console.recipient();
    let stop = signals::stop_signals(terminal.as_ref()).map_err(ClientError::Input)?;
    let input = || match &mut terminal {
        Some(terminal) => terminal.start().map(Either::Left),
        None => Stdin::open().map(Either::Right),
    };
    let client = Client { host: args.address, port: args.port, console };
    client.converse(input, stop).await
}
