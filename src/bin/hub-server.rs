//! `hub-server`: serves the hub.

use std::{
    env,
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use linehub::{
    actors::console::Outputs,
    cli::{self, Instead, ServerArgs},
    config::{Config, Format},
    descriptors,
    server::{Server, ServerError},
    shutdown,
    stdio::{self, Stdin},
    terminal::Terminal,
    transcript::{Json, Renderer, SERVER_PROMPT, ServerTranscript},
};

const PROGRAM: &str = "hub-server";

fn main() -> ExitCode {
    shutdown::report_panics(PROGRAM);
    let args: ServerArgs = match cli::parse(env::args_os()) {
        Ok(args) => args,
        Err(Instead::Say(text)) => return say(&text),
        Err(Instead::Refuse(sentence)) => return fail(&sentence, 2),
    };
    let config = match Config::load(args.config.as_deref(), &args.overrides()) {
        Ok(config) => config,
        Err(error) => return fail(&error, 2),
    };
    if args.check {
        return say(&config.to_toml());
    }
    if let Err(sentence) = descriptors::make_room_for(config.server.max_sessions) {
        fail(&sentence, 0);
    }
    match actix_rt::System::new().block_on(serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whatever was the reason has been told.
        Err(ServerError::ConsoleGone) => ExitCode::from(1),
        Err(error) => fail(&error, 1),
    }
}

/// Serves until a signal, or the operator at a terminal, says stop.
async fn serve(config: Config) -> Result<(), ServerError> {
    let format = config.console.format;
    let mut server = Server::bind(config)?;
    let mut terminal = Terminal::open(SERVER_PROMPT).map_err(ServerError::Stdio)?;
    let at_terminal = terminal.is_some();
    let renderer: Box<dyn Renderer> = match format {
        Format::Text => Box::new(ServerTranscript { program: PROGRAM, at_terminal }),
        Format::Json => Box::new(Json { program: PROGRAM }),
    };
    let (out, err) = stdio::outputs(terminal.as_ref()).map_err(ServerError::Stdio)?;
    server = server.console(Outputs { renderer, out, err });
    let stop = shutdown::stop_signals(terminal.as_ref()).map_err(ServerError::Stdio)?;
    server = match &mut terminal {
        Some(terminal) => {
            server.operator_who_stops_it(terminal.start().map_err(ServerError::Stdio)?)
        }
        None => server.operator(Stdin::open().map_err(ServerError::Stdio)?),
    };
    server.run(stop).await
}

/// Prints what was asked for.
fn say(text: &str) -> ExitCode {
    // A reader that has gone has seen enough.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Says why in one sentence.
fn fail(why: &dyn Display, status: u8) -> ExitCode {
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr(), "{PROGRAM}: {why}");
    ExitCode::from(status)
}
