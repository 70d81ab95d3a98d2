//! Turns the operator's lines into messages to the Hub.

use std::collections::VecDeque;

use actix::{
    Actor, Addr, Handler, MailboxError, Message, Recipient,
    dev::{RecipientRequest, ToEnvelope},
};

use tokio::time::Instant;

use super::Ack;
use crate::{
    actors::messages::{Broadcast, ConsoleGone, DeskError, Kick, List, Rename, Report, Show, Tell},
    desk::{
        command::{self, Command, Who},
        names::Name,
        table,
    },
    wire::lines::Lines,
};

/// How the StdinReader reaches the Hub, whatever its type.
#[derive(Clone)]
pub(crate) struct DeskHandle {
    /// Sends lines to all sessions.
    pub(crate) broadcast: Recipient<Broadcast>,
    /// Sends lines to one session.
    pub(crate) tell: Recipient<Tell>,
    /// Ends a session.
    pub(crate) kick: Recipient<Kick>,
    /// Names a session.
    pub(crate) rename: Recipient<Rename>,
    /// Lists the sessions.
    pub(crate) list: Recipient<List>,
    /// Prints the answer to a command.
    pub(crate) show: Recipient<Show>,
    /// Reports problems.
    pub(crate) report: Recipient<Report>,
}

/// One thing that the operator asks for.
pub(super) enum Order {
    Broadcast(Lines),
    Tell { who: Who, lines: Lines },
    Kick { who: Who },
    Rename { who: Who, name: Option<Name> },
    List,
    Help,
    Quit,
    Report(String),
}

/// Appends the orders in these lines. Consecutive lines to all clients stay one batch.
pub(super) fn push(lines: Lines, orders: &mut VecDeque<Order>) {
    if !lines.iter().any(|line| line.starts_with(b"/")) {
        return orders.push_back(Order::Broadcast(lines));
    }
    let mut for_all = String::new();
    for line in lines.iter() {
        // The lines are UTF-8: the decoder has made them so.
        let line = String::from_utf8_lossy(line);
        let order = match command::parse(&line) {
            Ok(Command::Broadcast(text)) => {
                for_all.push_str(text);
                for_all.push('\n');
                continue;
            }
            Ok(Command::Tell { who, text }) => Order::Tell { who, lines: Lines::one(text) },
            Ok(Command::Kick { who }) => Order::Kick { who },
            Ok(Command::Name { who, name }) => Order::Rename { who, name },
            Ok(Command::Who) => Order::List,
            Ok(Command::Help) => Order::Help,
            Ok(Command::Quit) => Order::Quit,
            Err(mistake) => Order::Report(mistake),
        };
        push_broadcast(&mut for_all, orders);
        orders.push_back(order);
    }
    push_broadcast(&mut for_all, orders);
}

/// Appends a broadcast of the lines that have been collected, if there are any.
fn push_broadcast(lines: &mut String, orders: &mut VecDeque<Order>) {
    if lines.pop().is_some() {
        orders.push_back(Order::Broadcast(Lines::one(lines)));
        lines.clear();
    }
}

impl DeskHandle {
    /// The handle of any actor that handles the messages of the desk.
    pub(crate) fn new<A>(hub: &Addr<A>) -> Self
    where
        A: Actor
            + Handler<Broadcast>
            + Handler<Tell>
            + Handler<Kick>
            + Handler<Rename>
            + Handler<List>
            + Handler<Show>
            + Handler<Report>,
        A::Context: ToEnvelope<A, Broadcast>
            + ToEnvelope<A, Tell>
            + ToEnvelope<A, Kick>
            + ToEnvelope<A, Rename>
            + ToEnvelope<A, List>
            + ToEnvelope<A, Show>
            + ToEnvelope<A, Report>,
    {
        Self {
            broadcast: hub.clone().recipient(),
            tell: hub.clone().recipient(),
            kick: hub.clone().recipient(),
            rename: hub.clone().recipient(),
            list: hub.clone().recipient(),
            show: hub.clone().recipient(),
            report: hub.clone().recipient(),
        }
    }

    /// Sends the order, which was read at that time. Resolves when it has been carried out, or when the mistake in it is reported.
    pub(super) fn send(&self, order: Order, read: Instant) -> Ack {
        match order {
            Order::Broadcast(lines) => answered(self.broadcast.send(Broadcast { lines, read })),
            Order::Report(sentence) => answered(self.report.send(Report(sentence))),
            Order::Help => answered(self.show.send(Show(help()))),
            Order::Tell { who, lines } => self.ask(self.tell.send(Tell { who, lines })),
            Order::Kick { who } => self.ask(self.kick.send(Kick { who })),
            Order::Rename { who, name } => self.ask(self.rename.send(Rename { who, name })),
            Order::List => {
                let (list, show) = (self.list.send(List), self.show.clone());
                Box::pin(async move {
                    let rows = list.await.map_err(gone)?;
                    show.send(Show(table::who(&rows))).await.unwrap_or(Err(ConsoleGone))
                })
            }
            // The reader does this itself.
            Order::Quit => Box::pin(async { Ok(()) }),
        }
    }

    /// Resolves when the Hub has done it, or when the reason why it has not is reported.
    fn ask<M>(&self, request: RecipientRequest<M>) -> Ack
    where
        M: Message<Result = Result<(), DeskError>> + Send + 'static,
    {
        let report = self.report.clone();
        Box::pin(async move {
            match request.await.map_err(gone)? {
                Ok(()) => Ok(()),
                Err(DeskError::ConsoleGone(gone)) => Err(gone),
                Err(mistake) => {
                    let sentence = format!("nothing was done: {mistake}");
                    report.send(Report(sentence)).await.unwrap_or(Err(ConsoleGone))
                }
            }
        })
    }
}

fn answered<M>(request: RecipientRequest<M>) -> Ack
where
    M: Message<Result = Result<(), ConsoleGone>> + Send + 'static,
{
    Box::pin(async { request.await.unwrap_or(Err(ConsoleGone)) })
}

fn gone(_: MailboxError) -> ConsoleGone {
    ConsoleGone
}

/// The commands, one per line.
fn help() -> String {
    let line = |(usage, does): &(&str, &str)| format!("> {usage:<16}  {does}\n");
    command::HELP.iter().map(line).collect()
}
