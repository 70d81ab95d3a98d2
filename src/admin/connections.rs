//! Connections: how many there are, which of them is closed for the next one, and how HTTP is served on
//! each.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::routes;
use crate::net::listener;

/// Connections at once.
pub(super) const MAX: usize = 32;

/// How long the head of a request may take, and how long a connection may wait for one.
const HEAD: Duration = Duration::from_secs(5);

/// The buffers of a connection, in bytes each. A larger head is refused.
const BUFFER: usize = 32 * 1024;

/// Accepts connections without end. Shortages are reported.
pub(super) async fn serve(
    listener: TcpListener,
    slots: &Rc<Slots>,
    router: &Router,
    report: impl Fn(String),
) {
    let accepted = |stream, peer: std::net::SocketAddr, pending| {
        let (slots, router) = (Rc::clone(slots), router.clone());
        tokio::task::spawn_local(async move {
            let slot = slots.take().await;
            // The next one may be accepted.
            drop(pending);
            tokio::select! {
                () = serve_connection(stream, peer.ip(), &slot.activity, router) => {}
                () = slot.closed.cancelled() => {}
                () = slots.stopped.cancelled() => {}
            }
        });
    };
    listener::accept(listener, 1, accepted, report).await;
}

async fn serve_connection(
    stream: TcpStream,
    peer: IpAddr,
    activity: &Arc<Activity>,
    router: Router,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, activity) = (router.clone(), Arc::clone(activity));
        async move {
            // A request without a body is complete.
            let _busy = request.body().is_end_stream().then(|| activity.enter());
            let request: Request = request.map(Body::new);
            let response: Response = routes::answer(request, peer, activity, router).await;
            Ok::<_, Infallible>(response)
        }
    });
    let stream = TokioIo::new(Heard { stream, activity: Arc::clone(activity) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    // An error is the peer's: it knows.
    let _ = http.serve_connection(stream, service).await;
}

/// What is known about a connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// The requests under way: 0 or 1, or a stream of events.
    busy: AtomicUsize,
    /// When something was last heard, by [`Slots::clock`].
    heard: AtomicU64,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug, Default)]
struct Shared {
    /// Counts what is heard, so that it is known which connection has been silent longest.
    clock: AtomicU64,
    /// Told when a connection is no longer busy, or gone.
    changed: Notify,
}

impl Activity {
    /// The connection is busy with a request until this is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        Busy(Arc::clone(self))
    }

    fn hear(&self) {
        self.heard.store(self.shared.clock.fetch_add(1, Relaxed), Relaxed);
    }
}

/// A request under way.
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, Relaxed) == 1 {
            // Between two requests, silence counts from the last one.
            self.0.hear();
            self.0.shared.changed.notify_one();
        }
    }
}

/// The connections.
pub(super) struct Slots {
    /// Cancelled when all connections are to be closed.
    stopped: CancellationToken,
    open: RefCell<Vec<Open>>,
    shared: Arc<Shared>,
}

struct Open {
    activity: Arc<Activity>,
    close: CancellationToken,
}

/// A connection's place among the [`Slots`].
struct Slot {
    slots: Rc<Slots>,
    activity: Arc<Activity>,
    /// Cancelled if the place is needed for another one.
    closed: CancellationToken,
}

impl Slots {
    pub(super) fn new(stopped: CancellationToken) -> Self {
        Self { stopped, open: RefCell::default(), shared: Arc::default() }
    }

    /// Takes a place. If there is none, the connection that has been silent longest without a request is
    /// closed; if there is none, this waits.
    async fn take(self: &Rc<Self>) -> Slot {
        loop {
            if self.open.borrow().len() < MAX || self.close_one() {
                return self.add();
            }
            self.shared.changed.notified().await;
        }
    }

    fn add(self: &Rc<Self>) -> Slot {
        let shared = Arc::clone(&self.shared);
        let (busy, heard) = (AtomicUsize::new(0), AtomicU64::new(0));
        let activity = Arc::new(Activity { busy, heard, shared });
        activity.hear();
        let closed = CancellationToken::new();
        let open = Open { activity: Arc::clone(&activity), close: closed.clone() };
        self.open.borrow_mut().push(open);
        Slot { slots: Rc::clone(self), activity, closed }
    }

    fn close_one(&self) -> bool {
        let mut open = self.open.borrow_mut();
        let idle =
            open.iter().enumerate().filter(|(_, open)| open.activity.busy.load(Relaxed) == 0);
        let silent = idle.min_by_key(|(_, open)| open.activity.heard.load(Relaxed));
        let Some((index, _)) = silent else { return false };
        open.swap_remove(index).close.cancel();
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let is_other = |open: &Open| !Arc::ptr_eq(&open.activity, &self.activity);
        self.slots.open.borrow_mut().retain(is_other);
        self.slots.shared.changed.notify_one();
    }
}

/// A stream that notes when something is read.
struct Heard {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.hear();
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
