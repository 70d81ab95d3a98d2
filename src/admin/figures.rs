//! The requests that only read: health, the server's figures and the list of sessions.

use std::time::Duration;

use axum::{Extension, extract::State, http::Uri};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    answers::{self, Failure, json},
    routes::{Answered, Connection, Shared, bad_parameter, number, parameters},
};
use crate::{
    actors::messages::{Inspect, ListAfter},
    address::Zoned,
    desk::table::Row,
    events::time::rfc3339_micros,
};

/// Rows in one list of sessions.
const ROWS: usize = 1000;

/// How long the Hub may take to answer before it is not healthy.
const HEALTHY: Duration = Duration::from_secs(1);

pub(super) async fn health(State(admin): Shared) -> Answered {
    // It costs the Hub nothing.
    let asked = admin.desk.list.send(ListAfter { after: u64::MAX, most: 0 });
    match timeout(HEALTHY, asked).await {
        Ok(Ok(_)) => Ok(answers::text("ok\n")),
        _ => Err(Failure::gone()),
    }
}

pub(super) async fn ready(State(admin): Shared) -> Answered {
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

pub(super) async fn server(
    State(admin): Shared,
    Extension(activity): Connection,
    uri: Uri,
) -> Answered {
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

pub(super) async fn sessions(
    State(admin): Shared,
    Extension(activity): Connection,
    uri: Uri,
) -> Answered {
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
