//! `hub-server`: serves the hub.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal},
    process,
};

use linehub::{
    Config, Server, ServerError, ServerEvent,
    config::{Format, Token},
    events::{Json, Render, SERVER_PROMPT, ServerTranscript},
    program::{
        Terminal,
        args::{self, ServerArgs},
        descriptors, panics, signals,
        stdio::{self, Stdin},
    },
};

const PROGRAM: &str = "hub-server";

fn main() {
    panics::report_panics(PROGRAM);
    signals::survive_failed_writes();
    let args: ServerArgs = args::arguments(PROGRAM);
    let config = match Config::load(args.config.as_deref(), &args.overrides()) {
        Ok(config) => config,
        Err(error) => args::fail(PROGRAM, &error, 2),
    };
    if args.check {
        match config.to_toml() {
            Ok(text) => args::say(PROGRAM, &text),
            Err(error) => args::fail(PROGRAM, &error, 2),
        }
    }
    let room = descriptors::make_room_for(config.server.max_sessions);
    if let Err(sentence) = descriptors::check_available(Server::event_loops(&config)) {
        args::fail(PROGRAM, &sentence, 1);
    }
    if let Err(sentence) = room {
        args::report(PROGRAM, &sentence);
    }
    let term = env::var_os("TERM");
    match actix_rt::System::new().block_on(serve(config, term.as_deref())) {
        Ok(()) => {}
        // The Console has reported the reason.
        Err(ServerError::ConsoleGone) => process::exit(1),
        Err(error) => args::fail(PROGRAM, &error, 1),
    }
}

/// Shows the random token of the web console on stderr, unless it is printed with the address on a
/// terminal: then it returns it.
fn show_token(token: Option<&Token>, format: Format) -> Option<String> {
    let token = token?.reveal();
    if format == Format::Text && io::stdout().is_terminal() {
        return Some(token.to_owned());
    }
    args::report(PROGRAM, &format_args!("the token of the web console is {token}"));
    None
}

/// Serves until a signal or the operator at a terminal stops the server.
async fn serve(config: Config, term: Option<&OsStr>) -> Result<(), ServerError> {
    let (format, timestamps) = (config.console.format, config.console.timestamps);
    let mut server = Server::bind(config)?;
    let mut terminal = Terminal::open(SERVER_PROMPT, term).map_err(ServerError::Stdio)?;
    let at_terminal = terminal.is_some();
    let token = show_token(server.admin_token(), format);
    let renderer: Box<dyn Render<ServerEvent>> = match format {
        Format::Text => {
            Box::new(ServerTranscript { program: PROGRAM, at_terminal, timestamps, token })
        }
        Format::Json => Box::new(Json { program: PROGRAM }),
    };
    let outputs = stdio::outputs(renderer, terminal.as_ref()).map_err(ServerError::Stdio)?;
    server = server.console(outputs);
    let stop = signals::stop_signals(terminal.as_ref()).map_err(ServerError::Stdio)?;
    server = match &mut terminal {
        Some(terminal) => server.operator_until_eof(terminal.start().map_err(ServerError::Stdio)?),
        None => server.operator(Stdin::open().map_err(ServerError::Stdio)?.follow_fifo()),
    };
    server.run(stop).await
}
