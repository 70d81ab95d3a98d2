//! The requests that send lines: to all, to one session, and as a question.

use std::time::Duration;

use axum::{
    Extension,
    extract::{Path, Request, State},
    http::{StatusCode, Uri},
};
use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Admin,
    answers::{self, Failure, json},
    body,
    routes::{Answered, Connection, Shared, bad_parameter, number, parameters, session, whole},
};
use crate::{
    actors::messages::{
        Answer, Ask, Broadcast, ByHttp, Expected, Inspect, Outcome, SessionId, Tell,
    },
    desk::command::Who,
    wire::{
        lines::{BATCH, Lines},
        outbox::BATCH_OVERHEAD,
    },
};

/// The longest time to wait for an answer, and the usual one.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(2);

/// The most lines of an answer.
const MAX_ANSWER: usize = 100;

/// The lines of a body, in batches that an outbox can hold.
async fn batches(admin: &Admin, request: Request) -> Result<Vec<Lines>, Failure> {
    let body = body::read(request).await?;
    let max_batch = BATCH.min(admin.outbox.saturating_sub(BATCH_OVERHEAD));
    body::lines(&body, admin.max_line, max_batch)
}

fn count(batches: &[Lines]) -> usize {
    batches.iter().map(Lines::count).sum()
}

pub(super) async fn broadcast(
    State(admin): Shared,
    Extension(activity): Connection,
    request: Request,
) -> Answered {
    #[derive(Serialize)]
    struct Sent {
        lines: usize,
        sessions: usize,
    }
    let uri = request.uri().clone();
    let batches = batches(&admin, request).await?;
    let read = Instant::now();
    parameters(&uri, [])?;
    let underway = admin.begin(&admin.others, &activity)?;
    let lines = count(&batches);
    let sessions = whole(underway, async move {
        if batches.is_empty() {
            return Ok(admin.desk.inspect.send(Inspect).await?.sessions);
        }
        let mut sessions = 0;
        for lines in batches {
            let broadcast = ByHttp(Broadcast { lines, read });
            sessions = admin.desk.broadcast.send(broadcast).await??;
        }
        Ok(sessions)
    });
    Ok(json(&Sent { lines, sessions: sessions.await? }))
}

pub(super) async fn tell(
    State(admin): Shared,
    Extension(activity): Connection,
    Path(id): Path<String>,
    request: Request,
) -> Answered {
    #[derive(Serialize)]
    struct Sent {
        lines: usize,
    }
    let uri = request.uri().clone();
    let batches = batches(&admin, request).await?;
    parameters(&uri, [])?;
    let SessionId(id) = session(&id)?;
    let underway = admin.begin(&admin.others, &activity)?;
    let lines = count(&batches);
    whole(underway, async move {
        for lines in batches {
            let tell = Tell { who: Who::Number(id), lines };
            admin.desk.tell.send(ByHttp(tell)).await??;
        }
        Ok(())
    })
    .await?;
    Ok(json(&Sent { lines }))
}

pub(super) async fn ask(
    State(admin): Shared,
    Extension(activity): Connection,
    Path(id): Path<String>,
    request: Request,
) -> Answered {
    let uri = request.uri().clone();
    let body = body::read(request).await?;
    // A question is one batch: an outbox that is empty accepts one of any size.
    let lines = body::lines(&body, admin.max_line, usize::MAX)?.pop().unwrap_or_else(Lines::none);
    let expected = expected(&uri)?;
    let _underway = admin.begin(&admin.questions, &activity)?;
    let (answer, answered) = oneshot::channel();
    admin.desk.ask.send(Ask { id: session(&id)?, lines, expected, answer }).await??;
    // It is dropped if the session ends before the question's turn.
    let Answer { outcome, text } = answered.await.unwrap_or_else(|_| Answer::ended());
    let mut response = answers::text(text);
    *response.status_mut() = match outcome {
        Outcome::Complete => StatusCode::OK,
        Outcome::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Outcome::Ended => StatusCode::BAD_GATEWAY,
    };
    Ok(response)
}

/// What the parameters of a question say.
fn expected(uri: &Uri) -> Result<Expected, Failure> {
    let [time, lines] = parameters(uri, ["timeout", "lines"])?;
    let timeout = match time {
        None => TIMEOUT,
        Some(text) => humantime::parse_duration(&text)
            .ok()
            .filter(|time| !time.is_zero() && *time <= MAX_TIMEOUT)
            .ok_or_else(|| bad_parameter("timeout", "a duration up to 60s such as 500ms or 2s"))?,
    };
    let lines = match lines {
        None => 1,
        Some(text) => number(&text)
            .and_then(|lines| usize::try_from(lines).ok())
            .filter(|lines| (1..=MAX_ANSWER).contains(lines))
            .ok_or_else(|| bad_parameter("lines", "a number from 1 to 100"))?,
    };
    Ok(Expected { lines, timeout })
}
