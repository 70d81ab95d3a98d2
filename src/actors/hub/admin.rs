//! The Hub's side of the admin side: orders by HTTP, questions that take turns, and figures.

use std::collections::VecDeque;

use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, MessageResult, ResponseFuture, WrapFuture,
};
use tokio::sync::oneshot;

use super::{Hub, desk::row};
use crate::{
    actors::messages::{
        AdminBound, Answer, Ask, Broadcast, ByHttp, ConsoleGone, Deliver, DeskError, Figures,
        Inspect, Kick, ListAfter, Question, Receipt, SessionId, Tell,
    },
    desk::command::Who,
    events::ServerEvent,
};

/// The questions to one session. While there is one of these, a question is under way.
#[derive(Default)]
pub(super) struct Asking {
    /// Those that wait for their turn.
    waiting: VecDeque<Ask>,
}

impl Hub {
    /// Asks the session a question whose turn has come.
    fn start_question(&mut self, ask: Ask, ctx: &mut Context<Self>) {
        let Ask { id, lines, expected, mut answer } = ask;
        let Some(entry) = self.sessions.get(&id) else { return };
        let (to_hub, from_session) = oneshot::channel();
        let question = Box::new(Question { expected, answer: to_hub });
        // Nobody waits until the lines are accepted: the time for the answer runs.
        let (receipt, _accepted) = Receipt::new();
        let deliver = Deliver {
            count: lines.count(),
            lines: lines.clone(),
            question: Some(question),
            _receipt: receipt,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "if it is lost, so is the question's sender"
        )]
        entry.session.deliver.do_send(deliver);
        let session = entry.details.info.clone();
        if !lines.is_empty() {
            self.emit(ServerEvent::Told { session, lines, by_http: true }, ctx);
        }
        let answered = async move {
            tokio::select! {
                answered = from_session => {
                    // A Session that has panicked gives no answer.
                    let answered = answered.unwrap_or_else(|_| Answer::ended());
                    // The asker may be gone.
                    let _ = answer.send(answered);
                }
                () = answer.closed() => {}
            }
        };
        ctx.spawn(answered.into_actor(self).map(move |(), hub, ctx| hub.next_question(id, ctx)));
    }

    /// The next question has its turn, if there is one.
    fn next_question(&mut self, id: SessionId, ctx: &mut Context<Self>) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let asking = &mut entry.details.asking;
        let next = asking.as_mut().and_then(|asking| {
            // Nobody waits any longer for the others.
            std::iter::from_fn(|| asking.waiting.pop_front()).find(|ask| !ask.answer.is_closed())
        });
        match next {
            Some(ask) => self.start_question(ask, ctx),
            None => *asking = None,
        }
    }
}

impl Handler<ByHttp<Broadcast>> for Hub {
    type Result = ResponseFuture<Result<usize, ConsoleGone>>;

    fn handle(
        &mut self,
        ByHttp(Broadcast { lines, read }): ByHttp<Broadcast>,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        let sessions = self.sessions.len();
        let done = self.broadcast(lines, read, true, ctx);
        Box::pin(async move { done.await.map(|()| sessions) })
    }
}

impl Handler<ByHttp<Tell>> for Hub {
    type Result = ResponseFuture<Result<(), DeskError>>;

    fn handle(&mut self, ByHttp(tell): ByHttp<Tell>, ctx: &mut Context<Self>) -> Self::Result {
        self.tell(tell, true, ctx)
    }
}

impl Handler<ByHttp<Kick>> for Hub {
    type Result = Result<(), DeskError>;

    fn handle(&mut self, ByHttp(kick): ByHttp<Kick>, _: &mut Context<Self>) -> Self::Result {
        self.kick(&kick, true)
    }
}

impl Handler<Ask> for Hub {
    type Result = Result<(), DeskError>;

    fn handle(&mut self, ask: Ask, ctx: &mut Context<Self>) -> Self::Result {
        let entry = self.sessions.get_mut(&ask.id);
        let entry = entry.ok_or(DeskError::Unknown(Who::Number(ask.id.0)))?;
        match &mut entry.details.asking {
            Some(asking) => asking.waiting.push_back(ask),
            None => {
                entry.details.asking = Some(Box::default());
                self.start_question(ask, ctx);
            }
        }
        Ok(())
    }
}

impl Handler<ListAfter> for Hub {
    type Result = MessageResult<ListAfter>;

    fn handle(&mut self, list: ListAfter, _: &mut Context<Self>) -> Self::Result {
        let after = self.sessions.range(SessionId(list.after)..);
        let after = after.filter(|(id, _)| id.0 != list.after);
        MessageResult(after.take(list.most).map(|(_, entry)| row(entry)).collect())
    }
}

impl Handler<Inspect> for Hub {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Context<Self>) -> Self::Result {
        let mut figures = Figures {
            address: self.address,
            since: self.since,
            sessions: self.sessions.len(),
            clients: self.clients,
            max_clients: self.settings.max_clients,
            queued: 0,
            stalled: 0,
            tally: self.tally.clone(),
        };
        for entry in self.sessions.values() {
            let reading = entry.details.gauges.read();
            figures.tally.add(&reading);
            figures.queued += reading.queued;
            figures.stalled += usize::from(reading.stalled.is_some());
        }
        MessageResult(figures)
    }
}

impl Handler<AdminBound> for Hub {
    type Result = ();

    fn handle(&mut self, bound: AdminBound, ctx: &mut Context<Self>) {
        self.emit(ServerEvent::Admin { address: bound.address }, ctx);
    }
}
