//! A question to the peer: its lines are sent, and the next lines that arrive are its answer, too.
//!
//! A line that had arrived before is nobody's answer, so the question is sent when everything that has
//! arrived has been read.

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use tokio::{task::yield_now, time::Instant};

use super::{Session, Stream};
use crate::{
    actors::messages::{Answer, Deliver, Outcome, Question},
    wire::lines::{BATCH, Lines},
};

/// How much a peer that never stops sending may send before a question is sent to it all the same.
const MAX_BEFORE: u64 = 4 * BATCH as u64;

/// The question under way.
pub(super) struct Asked {
    question: Box<Question>,
    /// Its lines, until they are sent or queued.
    unsent: Option<Deliver>,
    /// Whether the event loop has learned what had arrived before.
    is_due: bool,
    /// They are sent at the latest when this many bytes have been read.
    read_before: u64,
    /// When they have been written, `Outbox::written` is at least this.
    end: u64,
    /// When it was asked, or sent.
    since: Instant,
    is_sent: bool,
    /// The answer so far.
    text: Vec<u8>,
    lines: usize,
    timer: SpawnHandle,
}

impl<S: Stream> Session<S> {
    /// Asks a question. The Hub asks the next one when this one has its answer.
    pub(super) fn ask(
        &mut self,
        deliver: Deliver,
        question: Box<Question>,
        ctx: &mut Context<Self>,
    ) {
        if !self.accepts_output() || self.input_ended.is_some() {
            return;
        }
        let timer = ctx.run_later(question.expected.timeout, Self::check_time);
        self.asked = Some(Box::new(Asked {
            question,
            unsent: Some(deliver),
            is_due: false,
            read_before: self.reader.received() + MAX_BEFORE,
            end: 0,
            since: Instant::now(),
            is_sent: false,
            text: Vec::new(),
            lines: 0,
            timer,
        }));
        // A task that yields continues after the event loop has asked the kernel what has arrived. When
        // it has yielded twice, that has been read.
        ctx.spawn(yield_now().into_actor(self).map(|(), session, ctx| {
            if let Some(asked) = &mut session.asked {
                asked.is_due = true;
            }
            ctx.spawn(yield_now().into_actor(session));
        }));
    }

    /// Sends the question if everything that had arrived has been read.
    pub(super) fn send_question_if_due(&mut self, ctx: &mut Context<Self>) {
        if let Some(asked) = &self.asked
            && asked.unsent.is_some()
            && asked.is_due
            && (self.reader.is_drained() || self.reader.received() >= asked.read_before)
        {
            self.send_question(ctx);
        }
    }

    /// Sends the question now, if that has not been done.
    pub(super) fn send_question(&mut self, ctx: &mut Context<Self>) {
        let Some(deliver) = self.asked.as_mut().and_then(|asked| asked.unsent.take()) else {
            return;
        };
        self.deliver(deliver, ctx);
        let end = self.outbox.written() + self.queued() as u64;
        if let Some(asked) = &mut self.asked {
            asked.end = end;
        }
        self.note_if_sent();
    }

    /// Notes the time when the question has been written. From now on lines are answers.
    pub(super) fn note_if_sent(&mut self) {
        if let Some(asked) = &mut self.asked
            && !asked.is_sent
            && asked.unsent.is_none()
            && self.outbox.written() >= asked.end
        {
            asked.is_sent = true;
            asked.since = Instant::now();
        }
    }

    /// Takes lines for the answer, as the peer has sent them.
    pub(super) fn collect_answer(&mut self, lines: &Lines, ctx: &mut Context<Self>) {
        let Some(asked) = self.asked.as_mut().filter(|asked| asked.is_sent) else {
            return;
        };
        let expected = asked.question.expected.lines;
        for line in lines.iter().take(expected - asked.lines) {
            asked.lines += 1;
            asked.text.extend_from_slice(line);
            asked.text.push(b'\n');
        }
        if asked.lines >= expected {
            self.end_question(Outcome::Complete, ctx);
        }
    }

    /// Answers the question with what has come, if one is under way.
    pub(super) fn end_question(&mut self, outcome: Outcome, ctx: &mut Context<Self>) {
        if let Some(asked) = self.asked.take() {
            ctx.cancel_future(asked.timer);
            // The asker may be gone.
            let _ = asked.question.answer.send(Answer { outcome, text: asked.text });
        }
    }

    /// Ends the question if its time is up.
    fn check_time(&mut self, ctx: &mut Context<Self>) {
        // The event says that it was sent, so that is done in any case.
        self.send_question(ctx);
        let Some(asked) = &mut self.asked else { return };
        let remaining = asked.question.expected.timeout.saturating_sub(asked.since.elapsed());
        if remaining.is_zero() {
            return self.end_question(Outcome::TimedOut, ctx);
        }
        // It was sent some time after it was asked.
        asked.timer = ctx.run_later(remaining, Self::check_time);
    }
}
