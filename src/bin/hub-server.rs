//! `hub-server`: serves the hub.

use std::{
    env,
    io::{self, IsTerminal},
    process,
};

use linehub::{
    Config, Server, ServerError, ServerEvent,
    config::{Commands, ConsoleConfig, Format, Token},
    events::{Json, Render, SERVER_PROMPT, ServerTranscript},
    program::{
        Completer, Roster, Terminal, TerminalOptions,
        args::{self, ServerArgs},
        descriptors, environment, panics, signals,
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
    let roster = Roster::default();
    let options = terminal_options(&config, &roster);
    match actix_rt::System::new().block_on(serve(config, options, roster)) {
        Ok(()) => {}
        // The Console has reported the reason.
        Err(ServerError::ConsoleGone) => process::exit(1),
        Err(error) => args::fail(PROGRAM, &error, 1),
    }
}

/// The options of the line editor, which completes the names in the roster.
fn terminal_options(config: &Config, roster: &Roster) -> TerminalOptions {
    let roster = roster.clone();
    let commands = config.console.commands != Commands::Off;
    TerminalOptions {
        program: PROGRAM,
        prompt: SERVER_PROMPT,
        help: match commands {
            true => "/help lists the commands, Ctrl-D stops the server",
            false => "Ctrl-D stops the server",
        },
        term: env::var_os("TERM"),
        no_color: environment::no_color(),
        json: config.console.format == Format::Json,
        completer: commands.then(|| Completer::new(move |line| roster.complete_command(line))),
        history: environment::history_file("server"),
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
async fn serve(
    config: Config,
    options: TerminalOptions,
    roster: Roster,
) -> Result<(), ServerError> {
    let ConsoleConfig { format, color, timestamps, .. } = config.console;
    let mut server = Server::bind(config)?.roster(roster);
    let mut terminal = Terminal::open(options).map_err(ServerError::Stdio)?;
    let at_terminal = terminal.is_some();
    let colors = stdio::colors(color, terminal.as_ref());
    let token = show_token(server.admin_token(), format);
    let renderer: Box<dyn Render<ServerEvent>> = match format {
        Format::Text => {
            let transcript = ServerTranscript::new(PROGRAM, at_terminal);
            Box::new(ServerTranscript { timestamps, colors, token, ..transcript })
        }
        Format::Json => Box::new(Json { program: PROGRAM }),
    };
    let outputs = stdio::outputs(renderer, terminal.as_ref()).map_err(ServerError::Stdio)?;
    server = server.console(outputs);
    // At a terminal, SIGHUP means that the terminal is gone.
    let reload = server.reload_handle();
    let on_hangup = (!io::stdin().is_terminal()).then_some(move || reload.reload());
    let stop = signals::stop_signals(terminal.as_ref(), on_hangup).map_err(ServerError::Stdio)?;
    server = match &mut terminal {
        Some(terminal) => server.operator_until_eof(terminal.start().map_err(ServerError::Stdio)?),
        None => {
            let stdin = Stdin::open().map_err(ServerError::Stdio)?;
            // A person can stop the server with Ctrl-D, also without the line editor.
            match io::stdin().is_terminal() {
                true => server.operator_until_eof(stdin),
                false => server.operator(stdin.follow_fifo()),
            }
        }
    };
    server.run(stop).await
}
