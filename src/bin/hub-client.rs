//! `hub-client`: a client of the hub.

use std::{io, io::Write, process::ExitCode};

use linehub::{
    actors::console::{Console, Outputs},
    client::{Client, ClientError},
    shutdown::StopSignals,
    stdio::{self, Stdin},
    terminal::Terminal,
    transcript::{CLIENT_PROMPT, ClientTranscript, Json, Renderer},
};
use tokio_util::either::Either;

const PROGRAM: &str = "hub-client";

fn main() -> ExitCode {
    let mut json = false;
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = args.iter().position(|arg| arg == "--format") {
        json = args.remove(at + 1) == "json";
        args.remove(at);
    }
    let port = args.first().and_then(|port| port.parse().ok()).unwrap_or(4444);
    let host = args.get(1).cloned().unwrap_or("127.0.0.1".to_owned());
    let result = actix::System::new().block_on(converse(host, port, json));
    let status = match result {
        Ok(()) => 0,
        Err(ClientError::Refused) => 3,
        Err(error) => {
            // There is nowhere left to report that stderr is closed.
            let _ = writeln!(io::stderr(), "{PROGRAM}: {error}");
            1
        }
    };
    std::process::exit(status)
}

async fn converse(host: String, port: u16, json: bool) -> Result<(), ClientError> {
    let mut terminal = Terminal::open(CLIENT_PROMPT).map_err(ClientError::Input)?;
    let renderer: Box<dyn Renderer> = if json {
        Box::new(Json { program: PROGRAM })
    } else {
        Box::new(ClientTranscript::new(PROGRAM, terminal.is_some()))
    };
    let outputs = match &terminal {
        Some(terminal) => {
            Outputs { renderer, out: Box::new(terminal.printer()), err: terminal.err_printer() }
        }
        None => Outputs {
            renderer,
            out: Box::new(stdio::stdout().map_err(|_| ClientError::ConsoleGone)?),
            err: Box::new(io::stderr()),
        },
    };
    let console = Console::start(outputs).recipient();
    let mut signals = StopSignals::new().map_err(ClientError::Input)?;
    let client = Client { host, port, console };
    let stop = async move {
        signals.next().await;
    };
    let input = || match &mut terminal {
        Some(terminal) => Ok(Either::Left(terminal.start()?)),
        None => Stdin::open().map(Either::Right),
    };
    client.converse(input, stop).await
}
