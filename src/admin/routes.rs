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
use tokio::time::timeout;
use tower_service::Service as _;

use super::{
    Admin, Underway,
    answers::{self, Failure, json},
    body,
    connections::Activity,
    lines, metrics, pages, stream,
};
use crate::{
    actors::messages::{ByHttp, Inspect, Kick, ListAfter, Rename, SessionId},
    address::Zoned,
    desk::{
        command::Who,
        names::{Name, NotAName},
        table::Row,
    },
    events::time::rfc3339_micros,
};

pub(super) type Shared = State<Arc<Admin>>;
pub(super) type Connection = Extension<Arc<Activity>>;
pub(super) type Answered = Result<Response, Failure>;

/// Rows in one list of sessions.
const ROWS: usize = 1000;

/// How long the Hub may take to answer before it is not healthy.
const HEALTHY: Duration = Duration::from_secs(1);

/// All requests of docs/http.md.
pub(super) fn router(admin: Arc<Admin>) -> Router {
    let session = Router::new()
        .route("/api/v1/sessions/{id}", delete(kick))
        .route("/api/v1/sessions/{id}/name", put(rename))
        .route("/api/v1/sessions/{id}/lines", post(lines::tell))
        .route("/api/v1/sessions/{id}/ask", post(lines::ask))
        .method_not_allowed_fallback(no_method)
        // A session that is not there comes before a method that is not allowed.
        .route_layer(from_fn_with_state(Arc::clone(&admin), find_session));
    Router::new()
        .route("/", get(pages::index))
        .route("/app.js", get(pages::script))
        .route("/style.css", get(pages::style))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/server", get(server))
        .route("/api/v1/sessions", get(sessions))
        .route("/api/v1/broadcast", post(lines::broadcast))
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
pub(super) fn session(id: &str) -> Result<SessionId, Failure> {
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

/// Carries out what must be carried out whole, also if whoever asked for it is gone.
pub(super) async fn whole<T: Send + 'static>(
    underway: Underway,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let task = tokio::spawn(async move {
        let _underway = underway;
        work.await
    });
    task.await.unwrap_or_else(|_| Err(Failure::gone()))
}

async fn health(State(admin): Shared) -> Answered {
    // It costs the Hub nothing.
    let asked = admin.desk.list.send(ListAfter { after: u64::MAX, most: 0 });
    match timeout(HEALTHY, asked).await {
        Ok(Ok(_)) => Ok(answers::text("ok\n")),
        _ => Err(Failure::gone()),
    }
}

async fn ready(State(admin): Shared) -> Answered {
    if admin.draining.is_cancelled() {
        return Err(Failure::stopping());
    }
    Ok(answers::text("ok\n"))
}

/// The answer to `GET /api/v1/server`.
#[derive(Serialize)]
struct ServerFigures {
    version: &'static str,
    address: Option<Zoned>,
    since: String,
    sessions: usize,
    max_sessions: usize,
    reverse: bool,
    cluster: Option<&'static str>,
    lines_in: u64,
    lines_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    connections: u64,
    refused: u64,
    discarded: u64,
}

async fn server(State(admin): Shared, Extension(activity): Connection, uri: Uri) -> Answered {
    parameters(&uri, [])?;
    let _underway = admin.begin(&admin.others, &activity)?;
    let figures = admin.desk.inspect.send(Inspect).await?;
    let tally = figures.tally;
    Ok(json(&ServerFigures {
        version: env!("CARGO_PKG_VERSION"),
        address: figures.address.map(Zoned),
        since: rfc3339_micros(figures.since),
        sessions: figures.sessions,
        max_sessions: figures.max_clients,
        reverse: admin.reverse,
        cluster: None,
        lines_in: tally.lines_in,
        lines_out: tally.lines_out,
        bytes_in: tally.bytes_in,
        bytes_out: tally.bytes_out,
        connections: tally.admitted,
        refused: tally.full,
        discarded: tally.discarded,
    }))
}

/// A row of `GET /api/v1/sessions`.
#[derive(Serialize)]
struct SessionFigures {
    id: u64,
    name: Option<String>,
    peer: Zoned,
    since: String,
    lines_in: u64,
    bytes_in: u64,
    lines_out: u64,
    bytes_out: u64,
    queued: u64,
    state: &'static str,
    tls: bool,
    certificate: Option<String>,
}

impl From<Row> for SessionFigures {
    fn from(row: Row) -> Self {
        let Row { session, since, reading } = row;
        Self {
            id: session.id,
            name: session.name.as_deref().map(str::to_owned),
            peer: Zoned(session.peer),
            since: rfc3339_micros(since),
            lines_in: reading.lines_in,
            bytes_in: reading.bytes_in,
            lines_out: reading.lines_out,
            bytes_out: reading.bytes_out,
            queued: reading.queued,
            state: match reading.stalled {
                Some(_) => "stalled",
                None if reading.queued > 0 => "waiting",
                None => "ok",
            },
            tls: false,
            certificate: None,
        }
    }
}

async fn sessions(State(admin): Shared, Extension(activity): Connection, uri: Uri) -> Answered {
    let [after] = parameters(&uri, ["after"])?;
    let after = match after {
        None => 0,
        Some(text) => number(&text).ok_or_else(|| bad_parameter("after", "a number"))?,
    };
    let _underway = admin.begin(&admin.others, &activity)?;
    let rows = admin.desk.list.send(ListAfter { after, most: ROWS }).await?;
    let rows: Vec<SessionFigures> = rows.into_iter().map(Into::into).collect();
    Ok(json(&rows))
}

async fn rename(
    State(admin): Shared,
    Extension(activity): Connection,
    Path(id): Path<String>,
    request: Request,
) -> Answered {
    let uri = request.uri().clone();
    let body = body::read(request).await?;
    // Whoever pipes a name into curl also sends the end of its line.
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
