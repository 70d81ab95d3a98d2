//! Events as Server-Sent Events. Each reader has a task that fetches events and renders them while the
//! reader takes them, so a reader that does not read costs nothing but one chunk.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Admin, Underway,
    answers::{Failure, with_type},
    connections::Activity,
    routes::parameters,
};
use crate::{
    actors::feed::{Fetch, Kept, KeptRange, Position},
    events::{
        ServerEvent,
        json::{each_server_record, feed_gap},
    },
};

/// How often an idle stream gets a comment.
const COMMENT: Duration = Duration::from_secs(15);

/// About how many bytes a chunk of the stream has.
const CHUNK: usize = 32 * 1024;

/// How much is rendered for all readers within a window, so that the clients get their turn.
const RENDERED: usize = 1 << 20;
const WINDOW: Duration = Duration::from_millis(50);

/// The kinds of events that may be asked for, also those of later versions of this one.
const KINDS: [&str; 14] = [
    "bound",
    "admin",
    "connected",
    "rejected",
    "message",
    "discarded",
    "broadcast",
    "told",
    "disconnected",
    "problem",
    "stopped",
    "reloaded",
    "gap",
    "cluster",
];

/// What all readers share.
pub(super) struct Streams {
    /// Names this run of the hub in the ids of its events.
    run: String,
    readers: Arc<Semaphore>,
    throttle: Throttle,
    /// The events that readers have missed.
    lost: AtomicU64,
}

impl Streams {
    pub(super) fn new(readers: Arc<Semaphore>, throttle: Throttle) -> io::Result<Self> {
        let run = format!("{:016x}", getrandom::u64().map_err(io::Error::other)?);
        Ok(Self { run, readers, throttle, lost: AtomicU64::new(0) })
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

/// Limits how much is rendered.
#[derive(Default)]
pub(super) struct Throttle(Mutex<Option<(Instant, usize)>>);

impl Throttle {
    /// Waits if too much has been rendered.
    async fn spend(&self, bytes: usize) {
        let wait = {
            let now = Instant::now();
            let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (start, spent) =
                window.filter(|(start, _)| now < *start + WINDOW).unwrap_or((now, 0));
            *window = Some((start, spent + bytes));
            (spent + bytes > RENDERED).then(|| start + WINDOW)
        };
        if let Some(end) = wait {
            sleep_until(end).await;
        }
    }
}

/// Which events a reader wants.
struct Filter {
    kinds: Option<Vec<String>>,
    session: Option<u64>,
}

impl Filter {
    fn wants(&self, kind: &str, session: Option<u64>) -> bool {
        let is_kind = |kinds: &Vec<String>| kinds.iter().any(|wanted| wanted == kind);
        self.kinds.as_ref().is_none_or(is_kind) && self.session.is_none_or(|id| session == Some(id))
    }
}

/// Where a stream starts.
struct Start {
    /// The number of the first event.
    next: u64,
    /// Whether an unknown number of events before that is missing.
    is_gap: bool,
}

/// `GET /api/v1/events`
pub(super) async fn events(
    State(admin): State<Arc<Admin>>,
    Extension(activity): Extension<Arc<Activity>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failure> {
    let [since, kinds, session] = parameters(&uri, ["since", "kinds", "session"])?;
    let filter = Filter { kinds: kinds.map(parse_kinds).transpose()?, session: id(session)? };
    let since = match headers.get("last-event-id") {
        Some(id) => Some(id.to_str().map_err(|_| bad_since())?.to_owned()),
        None => since,
    };
    let range = admin.desk.position.send(Position).await?;
    let start = start(since.as_deref(), &admin.streams.run, range)?;
    let underway = admin.begin(&admin.streams.readers, &activity)?;
    let (sender, chunks) = mpsc::channel(1);
    let chunks = Chunks { chunks, _underway: underway };
    tokio::spawn(
        Reader { admin, filter, next: start.next, text: String::new(), sender }.run(start),
    );
    Ok(with_type("text/event-stream", Body::new(chunks)))
}

fn parse_kinds(text: String) -> Result<Vec<String>, Failure> {
    let kinds: Vec<String> = text.split(',').map(str::to_owned).collect();
    match kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        None => Ok(kinds),
        Some(kind) => {
            let why = format!("kinds: there is no event {kind:?}: expected {}", KINDS.join(","));
            Err(Failure::new(StatusCode::BAD_REQUEST, why))
        }
    }
}

fn id(text: Option<String>) -> Result<Option<u64>, Failure> {
    let id = text.map(|text| text.parse()).transpose();
    id.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "session: expected a number"))
}

fn bad_since() -> Failure {
    let why = "since: expected 0, or the id of an event that has happened";
    Failure::new(StatusCode::BAD_REQUEST, why)
}

/// Where the stream starts, if the reader has had the events up to `since`.
fn start(since: Option<&str>, run: &str, range: KeptRange) -> Result<Start, Failure> {
    let KeptRange { first, next } = range;
    let since = match since {
        None => return Ok(Start { next, is_gap: false }),
        Some("0") => return Ok(Start { next: first, is_gap: false }),
        Some(since) => since,
    };
    let (of, number) = since.split_once('-').ok_or_else(bad_since)?;
    let is_run = of.len() == run.len() && of.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse::<u64>().ok().filter(|_| is_run && is_number);
    let number = number.ok_or_else(bad_since)?;
    if of != run {
        return Ok(Start { next: first, is_gap: true });
    }
    if number >= next {
        return Err(bad_since());
    }
    Ok(Start { next: number + 1, is_gap: false })
}

/// The body of a stream.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    _underway: Underway,
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.chunks.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// The reader is gone.
struct Gone;

/// Renders events for one reader.
struct Reader {
    admin: Arc<Admin>,
    filter: Filter,
    /// The number of the next event.
    next: u64,
    /// What has been rendered and not been sent.
    text: String,
    sender: mpsc::Sender<Bytes>,
}

impl Reader {
    /// Runs until the hub has stopped or the reader is gone.
    async fn run(mut self, start: Start) {
        if start.is_gap {
            self.push_gap(None);
        }
        while let Ok(false) = self.step().await {}
    }

    /// Sends what there is, or waits for more. True after the last event.
    async fn step(&mut self) -> Result<bool, Gone> {
        let fetched = self.admin.desk.fetch.send(Fetch { next: self.next }).await;
        let fetched = fetched.map_err(|_| Gone)?;
        for kept in &fetched.events {
            self.render(kept).await?;
            if matches!(kept.stamped.event, ServerEvent::Stopped) {
                self.send().await?;
                return Ok(true);
            }
        }
        self.send().await?;
        if let Some(mut more) = fetched.more {
            loop {
                tokio::select! {
                    _ = &mut more => break,
                    () = self.sender.closed() => return Err(Gone),
                    () = sleep(COMMENT) => {
                        self.text.push_str(":\n\n");
                        self.send().await?;
                    }
                }
            }
        }
        Ok(false)
    }

    /// Renders an event from the next number on.
    async fn render(&mut self, kept: &Kept) -> Result<(), Gone> {
        if kept.first > self.next {
            let missed = kept.first - self.next;
            self.admin.streams.lost.fetch_add(missed, Relaxed);
            self.next = kept.first;
            self.push_gap(Some(missed));
        }
        while self.next < kept.end() {
            self.push_events(kept);
            if self.text.len() >= CHUNK {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Appends the event's lines from the next number on, as many as a chunk holds.
    fn push_events(&mut self, kept: &Kept) {
        let Self { admin, filter, next, text, .. } = self;
        let skip = usize::try_from(*next - kept.first).unwrap_or(usize::MAX);
        each_server_record(
            &kept.stamped,
            skip,
            |kind, session| filter.wants(kind, session),
            |kind, json| {
                if !json.is_empty() {
                    push(text, &admin.streams.run, *next, kind, &String::from_utf8_lossy(json));
                }
                *next += 1;
                text.len() < CHUNK
            },
        );
    }

    /// Appends the event that says how many are missing before the next one.
    fn push_gap(&mut self, missed: Option<u64>) {
        let last = self.next.saturating_sub(1);
        push(&mut self.text, &self.admin.streams.run, last, "gap", &feed_gap(missed));
    }

    /// Sends what has been rendered. Waits until the reader has taken what was sent before.
    async fn send(&mut self) -> Result<(), Gone> {
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        self.admin.streams.throttle.spend(text.len()).await;
        self.sender.send(text.into()).await.map_err(|_| Gone)
    }
}

fn push(text: &mut String, run: &str, number: u64, kind: &str, json: &str) {
    use std::fmt::Write as _;
    // Writing to a string does not fail.
    let _ = write!(text, "id: {run}-{number}\nevent: {kind}\ndata: {json}\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef";
    const RANGE: KeptRange = KeptRange { first: 5, next: 9 };

    fn started(since: Option<&str>) -> Result<(u64, bool), StatusCode> {
        let start = start(since, RUN, RANGE).map_err(|failure| failure.status);
        start.map(|start| (start.next, start.is_gap))
    }

    #[test]
    fn a_stream_starts_now_or_after_the_event_with_the_id() {
        assert_eq!(started(None), Ok((9, false)));
        assert_eq!(started(Some("0")), Ok((5, false)));
        assert_eq!(started(Some("0123456789abcdef-8")), Ok((9, false)));
        assert_eq!(started(Some("0123456789abcdef-2")), Ok((3, false)), "a gap of known size");
        assert_eq!(started(Some("fedcba9876543210-100")), Ok((5, true)), "another run");
    }

    #[test]
    fn anything_else_is_no_place_to_start() {
        for since in
            ["", "1", "0123456789abcdef", "0123456789abcdef-9", "x-1", "0123456789abcdef-+1"]
        {
            assert_eq!(started(Some(since)), Err(StatusCode::BAD_REQUEST), "{since}");
        }
    }
}
