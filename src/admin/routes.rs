//! The requests, and what each does.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Path, Query, Request, State},
    http::{StatusCode, Uri},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};
use tower_service::Service as _;

use super::{
    Admin, Underway,
    answers::{self, Failure, json},
    body,
    connections::Activity,
    figures, metrics, pages, stream,
};
use crate::{
    actors::messages::{
        Answer, Ask, Broadcast, ByHttp, Expected, Inspect, Kick, ListAfter, Outcome, Rename,
        SessionId, Tell,
    },
    desk::{
        command::Who,
        names::{Name, NotAName},
    },
    wire::{
        lines::{BATCH, Lines},
        outbox::BATCH_OVERHEAD,
    },
};

pub(super) type Shared = State<Arc<Admin>>;
pub(super) type Connection = Extension<Arc<Activity>>;
pub(super) type Answered = Result<Response, Failure>;

/// The longest time to wait for an answer, and the usual one.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(2);

/// The most lines of an answer.
const MAX_ANSWER: usize = 100;

/// All requests of docs/http.md.
pub(super) fn router(admin: Arc<Admin>) -> Router {
    let session = Router::new()
        .route("/api/v1/sessions/{id}", delete(kick))
        .route("/api/v1/sessions/{id}/name", put(rename))
        .route("/api/v1/sessions/{id}/lines", post(tell))
        .route("/api/v1/sessions/{id}/ask", post(ask))
        .method_not_allowed_fallback(no_method)
        // A session that is not there comes before a method that is not allowed.
        .route_layer(from_fn_with_state(Arc::clone(&admin), find_session));
    Router::new()
        .route("/", get(pages::index))
        .route("/app.js", get(pages::script))
        .route("/style.css", get(pages::style))
        .route("/healthz", get(figures::health))
        .route("/readyz", get(figures::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/server", get(figures::server))
        .route("/api/v1/sessions", get(figures::sessions))
        .route("/api/v1/broadcast", post(broadcast))
        .route("/api/v1/events", get(stream::events))
        .merge(session)
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::clone(&admin), check))
        .with_state(admin)
}

async fn no_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not have this method")
}

/// Answers one request of a connection.
pub(super) async fn answer(
    mut request: Request,
    peer: IpAddr,
    activity: Arc<Activity>,
    mut router: Router,
) -> Response {
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(activity);
    let Ok(mut response) = router.call(request).await;
    answers::secure(&mut response);
    response
}

/// Checks who asks before anything else.
async fn check(
    State(admin): Shared,
    Extension(peer): Extension<IpAddr>,
    request: Request,
    next: Next,
) -> Answered {
    let (parts, body) = request.into_parts();
    admin.checks.check(&parts, peer)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Checks that the session in the path is there.
async fn find_session(
    State(admin): Shared,
    Path(id): Path<String>,
    request: Request,
    next: Next,
) -> Answered {
    let id = number(&id).ok_or_else(Failure::no_session)?;
    let after = id.checked_sub(1).ok_or_else(Failure::no_session)?;
    let rows = admin.desk.list.send(ListAfter { after, most: 1 }).await?;
    if rows.first().is_none_or(|row| row.session.id != id) {
        return Err(Failure::no_session());
    }
    Ok(next.run(request).await)
}

/// A number in its usual form.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The session in the path. It has been found before.
fn session(id: &str) -> Result<SessionId, Failure> {
    number(id).map(SessionId).ok_or_else(Failure::no_session)
}

/// The parameters of a request: each at most once, and only these.
pub(super) fn parameters<const N: usize>(
    uri: &Uri,
    names: [&str; N],
) -> Result<[Option<String>; N], Failure> {
    let bad = |why: String| Failure::new(StatusCode::BAD_REQUEST, why);
    let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| bad("the parameters cannot be read".to_owned()))?;
    let mut values = [const { None }; N];
    for (name, value) in given {
        let place = names.iter().zip(&mut values).find(|(known, _)| **known == name);
        match place {
            Some((_, place @ None)) => *place = Some(value),
            Some(_) => return Err(bad(format!("the parameter {name:?} is there twice"))),
            None => return Err(bad(format!("there is no parameter {name:?} here"))),
        }
    }
    Ok(values)
}

pub(super) fn bad_parameter(name: &str, expected: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, format!("{name}: expected {expected}"))
}

/// Carries out what must be carried out whole, also if the peer that asked for it is gone.
async fn whole<T: Send + 'static>(
    underway: Underway,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let task = tokio::spawn(async move {
        let _underway = underway;
        work.await
    });
    task.await.unwrap_or_else(|_| Err(Failure::gone()))
}

/// The lines of a body, in batches that an outbox can hold.
async fn batches(admin: &Admin, request: Request) -> Result<Vec<Lines>, Failure> {
    let body = body::read(request).await?;
    let max_batch = BATCH.min(admin.outbox.saturating_sub(BATCH_OVERHEAD));
    body::lines(&body, admin.max_line, max_batch)
}

fn count(batches: &[Lines]) -> usize {
    batches.iter().map(Lines::count).sum()
}

async fn broadcast(
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

async fn tell(
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

async fn ask(
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

async fn rename(
    State(admin): Shared,
    Extension(activity): Connection,
    Path(id): Path<String>,
    request: Request,
) -> Answered {
    let uri = request.uri().clone();
    let body = body::read(request).await?;
    // A name that is piped into curl comes with the end of its line.
    let text = body::utf8(&body)?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    let name = match text {
        "" => None,
        text => Some(text.parse::<Name>().map_err(|_| {
            let why = format!("expected {NotAName}");
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, why)
        })?),
    };
    parameters(&uri, [])?;
    let SessionId(id) = session(&id)?;
    let underway = admin.begin(&admin.others, &activity)?;
    whole(underway, async move {
        Ok(admin.desk.rename.send(Rename { who: Who::Number(id), name }).await??)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn kick(
    State(admin): Shared,
    Extension(activity): Connection,
    Path(id): Path<String>,
    uri: Uri,
) -> Answered {
    parameters(&uri, [])?;
    let SessionId(id) = session(&id)?;
    let underway = admin.begin(&admin.others, &activity)?;
    whole(underway, async move {
        Ok(admin.desk.kick.send(ByHttp(Kick { who: Who::Number(id) })).await??)
    })
    .await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
