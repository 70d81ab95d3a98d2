//! `hub-server`: serves the hub.

use std::{env, ffi::OsStr, process};

use linehub::{
    actors::console::Outputs,
    config::{Config, Format},
    events::transcript::{Json, Renderer, SERVER_PROMPT, ServerTranscript},
    program::{
        args::{self, ServerArgs},
        descriptors, signals,
        stdio::{self, Stdin},
    },
    server::{Server, ServerError},
    terminal::Terminal,
};

const PROGRAM: &str = "hub-server";

fn main() {
    signals::report_panics(PROGRAM);
    let args: ServerArgs = args::arguments(PROGRAM);
    let config = match Config::load(args.config.as_deref(), &args.overrides()) {
        Ok(config) => config,
        Err(error) => args::fail(PROGRAM, &error, 2),
    };
    if args.check {
        args::say(PROGRAM, &config.to_toml());
    }
    let room = descriptors::make_room_for(config.server.max_sessions);
    // Those of the sessions, and the Writer's.
    if let Err(sentence) = descriptors::check_available(config.server.workers + 1) {
        args::fail(PROGRAM, &sentence, 1);
    }
    if let Err(sentence) = room {
        args::report(PROGRAM, &sentence);
    }
    let term = env::var_os("TERM");
    match actix_rt::System::new().block_on(serve(config, term.as_deref())) {
        Ok(()) => {}
        // Whatever was the reason has been told.
        Err(ServerError::ConsoleGone) => process::exit(1),
        Err(error) => args::fail(PROGRAM, &error, 1),
    }
}

/// Serves until a signal, or the operator at a terminal, says stop.
async fn serve(config: Config, term: Option<&OsStr>) -> Result<(), ServerError> {
    let format = config.console.format;
    let mut server = Server::bind(config)?;
    let mut terminal = Terminal::open(SERVER_PROMPT, term).map_err(ServerError::Stdio)?;
    let at_terminal = terminal.is_some();
    let renderer: Box<dyn Renderer> = match format {
        Format::Text => Box::new(ServerTranscript { program: PROGRAM, at_terminal }),
        Format::Json => Box::new(Json { program: PROGRAM }),
    };
    let (out, out_file, err) =
        stdio::stdout_and_stderr(terminal.as_ref()).map_err(ServerError::Stdio)?;
    server = server.console(Outputs { renderer, out, out_file, err });
    let stop = signals::stop_signals(terminal.as_ref()).map_err(ServerError::Stdio)?;
    server = match &mut terminal {
        Some(terminal) => server.operator_until_eof(terminal.start().map_err(ServerError::Stdio)?),
        None => server.operator(Stdin::open().map_err(ServerError::Stdio)?),
    };
    server.run(stop).await
}
