//! `hub-client`: a client of the hub.

use std::{
    env,
    io::{self, IsTerminal},
    process,
};

use linehub::{
    Client, ClientError,
    config::Format,
    events::{CLIENT_PROMPT, ClientEvent, ClientTranscript, Json, Progress, Render, Responses},
    program::{
        Terminal, TerminalOptions,
        args::{self, ClientArgs},
        descriptors, environment, panics, signals,
        stdio::{self, Stdin},
    },
};
use tokio_util::either::Either;

const PROGRAM: &str = "hub-client";

fn main() {
    panics::report_panics(PROGRAM);
    signals::survive_failed_writes();
    let args: ClientArgs = args::arguments(PROGRAM);
    if let Err(sentence) = descriptors::check_available(Client::EVENT_LOOPS) {
        args::fail(PROGRAM, &sentence, 1);
    }
    let system = actix_rt::System::new();
    let options = terminal_options(&args);
    // Returning would wait for a host name lookup that is still under way.
    match system.block_on(converse(args, options)) {
        Ok(()) => process::exit(0),
        Err(ClientError::Refused { .. }) => process::exit(3),
        Err(error) if error.is_reported() => process::exit(1),
        Err(error) => args::fail(PROGRAM, &error, 1),
    }
}

fn terminal_options(args: &ClientArgs) -> TerminalOptions {
    TerminalOptions {
        program: PROGRAM,
        prompt: CLIENT_PROMPT,
        help: match args.stay {
            true => "The line exit or Ctrl-C ends the client",
            false => "The line exit or Ctrl-D ends the client",
        },
        term: env::var_os("TERM"),
        no_color: environment::no_color(),
        json: args.format() == Format::Json,
        completer: None,
        history: environment::history_file("client"),
    }
}

/// Sends what is entered and prints what the server sends, until either side ends the conversation.
async fn converse(args: ClientArgs, options: TerminalOptions) -> Result<(), ClientError> {
    // The editor shows a prompt, and a quiet client has none.
    let mut terminal = match args.quiet {
        true => None,
        false => Terminal::open(options).map_err(ClientError::Start)?,
    };
    let renderer = renderer(&args, terminal.as_ref());
    let outputs = stdio::outputs(renderer, terminal.as_ref()).map_err(ClientError::Start)?;
    let stop =
        signals::stop_signals(terminal.as_ref(), None::<fn()>).map_err(ClientError::Start)?;
    let input = || match &mut terminal {
        Some(terminal) => terminal.start().map(Either::Left),
        None => Stdin::open().map(Either::Right),
    };
    let (host, port) = args.server();
    Client::new(host, port)
        .timeout(args.timeout)
        .stay(args.stay)
        .reconnect(args.reconnect)
        .reverse(args.reverse())
        .console(outputs)
        .converse(input, stop)
        .await
}

/// The form of the output. Where only stderr is a terminal, it shows the progress.
fn renderer(args: &ClientArgs, terminal: Option<&Terminal>) -> Box<dyn Render<ClientEvent>> {
    let (host, port) = args.server();
    let renderer: Box<dyn Render<ClientEvent>> = match args.format() {
        Format::Text if args.quiet => Box::new(Responses::new(PROGRAM, host, port)),
        Format::Text => {
            let colors = stdio::colors(args.color(), terminal);
            Box::new(ClientTranscript::new(PROGRAM, terminal.is_some()).colors(colors))
        }
        Format::Json => Box::new(Json { program: PROGRAM }),
    };
    let (stdin, stdout) = (io::stdin().is_terminal(), io::stdout().is_terminal());
    match !stdin && !stdout && io::stderr().is_terminal() {
        true => Box::new(Progress::new(PROGRAM, renderer)),
        false => renderer,
    }
}
