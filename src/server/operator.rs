//! The operator: the input whose lines the server broadcasts, and whether its end stops the server.

use actix::{Actor, Addr};
use tokio::io::AsyncRead;

use crate::{
    actors::{
        hub::Hub,
        stdin_reader::{self, DeskHandle, Ending, StdinReader},
    },
    config::{Commands, Config},
};

pub(super) type Input = Box<dyn AsyncRead + Unpin>;

pub(super) struct Operator {
    pub(super) input: Input,
    /// Whether the server stops when the input ends.
    pub(super) until_eof: bool,
}

impl Operator {
    pub(super) fn start(self, config: &Config, hub: &Addr<Hub>) -> RunningOperator {
        let settings = stdin_reader::Settings {
            max_line: config.limits.max_line,
            outbox: config.limits.outbox,
            commands: match config.console.commands {
                Commands::Auto => self.until_eof,
                Commands::On => true,
                Commands::Off => false,
            },
        };
        let (reader, ending) = StdinReader::new(self.input, settings, DeskHandle::new(hub));
        RunningOperator { reader: reader.start(), ending, until_eof: self.until_eof }
    }
}

/// An operator whose lines are being read.
pub(super) struct RunningOperator {
    pub(super) reader: Addr<StdinReader<Input>>,
    ending: Ending,
    pub(super) until_eof: bool,
}

impl RunningOperator {
    /// Ready when the operator stops the server, by a command or by the end of the input.
    pub(super) async fn stops_server(operator: Option<&Self>) {
        match operator {
            Some(Self { ending, until_eof: true, .. }) => ending.ended.cancelled().await,
            Some(Self { ending, .. }) => ending.quit.cancelled().await,
            None => std::future::pending().await,
        }
    }
}
