//! `hub-server`: serves the hub.

use std::{io, io::Write, process::ExitCode};

use linehub::{
    actors::console::Outputs,
    config::{Config, Format},
    server::{Server, ServerError},
    shutdown::StopSignals,
    stdio::{self, Stdin},
    terminal::Terminal,
    transcript::{Json, Renderer, SERVER_PROMPT, ServerTranscript},
};

const PROGRAM: &str = "hub-server";

fn main() -> ExitCode {
    let mut config = Config::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match &arg[..] {
            "--bind" => {
                config.server.bind =
                    args.next().unwrap_or_default().parse().unwrap_or(config.server.bind)
            }
            "--max-sessions" => {
                config.server.max_sessions = args.next().unwrap_or_default().parse().unwrap_or(4)
            }
            "--format" => {
                config.console.format =
                    if args.next().as_deref() == Some("json") { Format::Json } else { Format::Text }
            }
            port => config.server.port = port.parse().unwrap_or(4444),
        }
    }
    serve(config)
}

/// Serves until it is stopped.
fn serve(config: Config) -> ExitCode {
    match actix::System::new().block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

async fn run(config: Config) -> Result<(), ServerError> {
    let mut terminal = Terminal::open(SERVER_PROMPT).map_err(|_| ServerError::ConsoleGone)?;
    let renderer: Box<dyn Renderer> = match config.console.format {
        Format::Text => {
            Box::new(ServerTranscript { program: PROGRAM, at_terminal: terminal.is_some() })
        }
        Format::Json => Box::new(Json { program: PROGRAM }),
    };
    let signals = StopSignals::new();
    let server = Server::bind(config)?;
    let (out, err): (Box<dyn Write + Send>, Box<dyn Write + Send>) = match &terminal {
        Some(terminal) => (Box::new(terminal.printer()), terminal.err_printer()),
        None => {
            let out = stdio::stdout().map_err(|_| ServerError::ConsoleGone)?;
            (Box::new(out), Box::new(io::stderr()))
        }
    };
    let server = server.console(Outputs { renderer, out, err });
    let server = match &mut terminal {
        Some(terminal) => {
            let input = terminal.start().map_err(|_| ServerError::ConsoleGone)?;
            server.operator_who_stops_it(input)
        }
        None => match Stdin::open() {
            Ok(stdin) => server.operator(stdin),
            Err(_) => server,
        },
    };
    let Ok(mut signals) = signals else {
        return Err(ServerError::ConsoleGone);
    };
    let terminal = std::rc::Rc::new(terminal);
    let at_once = std::rc::Rc::clone(&terminal);
    let result = server
        .run(async move {
            signals.next().await;
            actix::spawn(async move {
                signals.next().await;
                at_once.as_ref().as_ref().map(Terminal::end);
                std::process::exit(1);
            });
        })
        .await;
    // Before anything goes to stderr.
    drop(terminal);
    result
}

fn fail(error: &dyn std::error::Error, status: u8) -> ExitCode {
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr(), "{PROGRAM}: {error}");
    ExitCode::from(status)
}
