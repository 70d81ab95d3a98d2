//! How a Session ends: for which reasons, when, and how it stops with the server.

use tokio::io::ReadBuf;

use super::*;
use crate::actors::messages::ConsoleGone;

/// How long stopping may take in these tests.
const DRAIN: Duration = Duration::from_secs(5);

impl Scene {
    /// Tells the session to stop, and when that was.
    async fn stop(&self) -> Instant {
        let start = Instant::now();
        let deadline = start + DRAIN;
        soon(self.session.send(Close {
            reason: CloseReason::Shutdown,
            deadline,
            output_alive: true,
        }))
        .await
        .unwrap();
        start
    }
}

/// Asserts how much time has passed since `start` by tokio's paused clock. Its timers have a resolution
/// of a millisecond.
#[track_caller]
fn assert_passed(start: Instant, time: Duration) {
    let passed = start.elapsed();
    assert!(passed >= time && passed < time + Duration::from_millis(5), "{passed:?}");
}

#[actix::test]
async fn a_peer_without_room_for_too_long_is_closed_as_stalled() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    let text = "x".repeat(200);
    soon(scene.deliver(&text)).await;
    let start = Instant::now();
    let mut second = scene.deliver(&text);
    assert!(Scene::waits(&mut second).await);
    tokio::time::advance(Duration::from_secs(9)).await;
    scene.read(1).await;
    // The Hub no longer waits for it.
    soon(second).await;
    assert_passed(start, Duration::from_secs(10));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Stalled);
}

#[actix::test]
async fn a_leaving_peer_that_does_not_read_is_closed_as_stalled() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    soon(scene.deliver(&"x".repeat(200))).await;
    let start = Instant::now();
    scene.theirs.shutdown().await.unwrap();
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Stalled);
    assert_passed(start, Duration::from_secs(10));
}

#[actix::test]
async fn a_silent_peer_is_closed_after_the_idle_limit() {
    tokio::time::pause();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(60))).await;
    tokio::time::advance(Duration::from_secs(50)).await;
    scene.write("hm\n").await;
    scene.received.answer(Ok(())).await;
    tokio::time::advance(Duration::from_secs(50)).await;
    assert!(scene.deregister.is_empty().await);
    scene.write("not even a li").await;
    settle().await;
    let start = Instant::now();
    tokio::time::advance(Duration::from_secs(50)).await;
    assert!(scene.deregister.is_empty().await, "an unfinished line is not silence");
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Idle);
    assert_passed(start, Duration::from_millis(60_250));
    assert_eq!(scene.read_to_end().await, "");
}

#[actix::test]
async fn a_silent_peer_within_a_line_gets_no_orderly_end() {
    tokio::time::pause();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    scene.write("half a l").await;
    settle().await;
    tokio::time::advance(Duration::from_millis(12_100)).await;
    let mut end = Box::pin(scene.theirs.read_u8());
    assert!(Scene::waits(&mut end).await, "it closed in an orderly way");
    drop(end);
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Idle);
}

#[actix::test]
async fn lines_in_transit_when_a_silent_peer_is_closed_are_printed() {
    tokio::time::pause();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    assert_eq!(scene.read_to_end().await, "");
    scene.write("late\n").await;
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("etal"));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Idle);
}

#[actix::test]
async fn a_silent_peer_that_does_not_read_is_closed_as_stalled() {
    tokio::time::pause();
    let start = Instant::now();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    soon(scene.deliver(&"x".repeat(200))).await;
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Stalled);
    assert_passed(start, Duration::from_secs(12 + 10));
}

#[actix::test]
async fn waiting_for_a_read_buffer_is_no_silence_of_the_peer() {
    tokio::time::pause();
    let no_buffer = |setup: &mut Setup| {
        setup.idle = Some(Duration::from_secs(60));
        setup.buffers = Buffers::new(0);
    };
    let mut scene = open(no_buffer).await;
    scene.write("unread\n").await;
    tokio::time::advance(Duration::from_secs(200)).await;
    assert!(scene.deregister.is_empty().await);
    let start = scene.stop().await;
    let mut end = Box::pin(scene.theirs.read_u8());
    assert!(
        Scene::waits(&mut end).await,
        "it closed in an orderly way though there is unread input"
    );
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert_passed(start, DRAIN);
}

/// A connection that turns out to be reset when something is written after the greeting. Reading gives
/// what had arrived before, and then an end like any other, as from a socket whose error was reported.
struct ResetConnection {
    input: &'static [u8],
    greeted: bool,
}

impl AsyncRead for ResetConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_read(cx, buf)
    }
}

impl AsyncWrite for ResetConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let first = !std::mem::replace(&mut self.greeted, true);
        let reset = || io::ErrorKind::ConnectionReset.into();
        Poll::Ready(first.then_some(bytes.len()).ok_or_else(reset))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for ResetConnection {}

#[actix::test]
async fn an_unfinished_line_of_a_reset_connection_is_dropped() {
    let (register, mut registers) = stub();
    let (received, mut receives) = stub();
    let (deregister, mut deregisters) = stub();
    let setup = Setup {
        hub: HubHandle { register, received, deregister },
        kind: PeerKind::Client,
        reverse: true,
        greeting: true,
        framing: Framing::default(),
        max_line: 40,
        outbox: 300,
        stall: Duration::from_secs(10),
        idle: None,
        drain: DRAIN,
        // There is none until the connection is known to be reset.
        buffers: Buffers::new(1),
        lingering: Arc::new(Semaphore::new(1)),
    };
    let buffers = Arc::clone(&setup.buffers);
    let mut other = LineReader::new(LineDecoder::new(40), buffers);
    let read = other.next(&mut &b"in the way\n"[..]).await;
    assert_eq!(read.unwrap(), Some(Decoded::Lines(Lines::one("in the way"))));
    let stream = ResetConnection { input: b"whole\nha", greeted: false };
    let session = Session::new(stream, peer(1), Arc::new(setup), None).start();
    let admission = Admission { id: SessionId(7), clients: 1, max_clients: 4 };
    registers.answer(Ok(admission)).await;
    soon(deliver(&session, "hello")).await;
    drop(other);
    assert_eq!(receives.answer(Ok(())).await.input, lines("elohw"));
    let deregister = deregisters.answer(()).await;
    assert_eq!((deregister.reason, deregister.unfinished), (CloseReason::Lost, Some(2)));
    assert!(receives.is_empty().await);
}

#[actix::test]
async fn what_a_lost_peer_had_sent_is_printed() {
    let mut scene = open(|_| ()).await;
    scene.write("one\n").await;
    soon(scene.deliver(&"x".repeat(200))).await;
    drop(scene.theirs);
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("eno"));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Lost);
}

#[actix::test]
async fn a_stopping_session_reads_what_has_arrived_flushes_and_closes() {
    let mut scene = open(|_| ()).await;
    scene.write("arrived\n").await;
    let long = "x".repeat(PIPE + 10);
    soon(scene.deliver(&long)).await;
    scene.stop().await;
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("devirra"));
    assert_eq!(scene.read_to_end().await, format!("{long}\n"));
    scene.write("in the last moment\n").await;
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("tnemom tsal eht ni"));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
}

#[actix::test]
async fn a_stopping_session_ends_at_the_deadline() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    soon(scene.deliver(&"x".repeat(200))).await;
    let start = scene.stop().await;
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert_passed(start, DRAIN);
}

#[actix::test]
async fn a_silent_peer_that_does_not_close_delays_stopping_by_250_ms() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    let start = scene.stop().await;
    assert_eq!(scene.read_to_end().await, "");
    assert_passed(start, Duration::ZERO);
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert_passed(start, Duration::from_millis(250));
}

#[actix::test]
async fn a_stopping_session_waits_until_a_late_line_is_acknowledged() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    let start = scene.stop().await;
    assert_eq!(scene.read_to_end().await, "");
    scene.write("late\n").await;
    let (_, ack) = scene.received.next().await;
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(scene.deregister.is_empty().await, "the Console may still print it");
    ack.send(Ok(())).unwrap();
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert!(start.elapsed() < DRAIN);
}

#[actix::test]
async fn a_session_ends_when_its_lines_cannot_be_printed() {
    let mut scene = open(|_| ()).await;
    scene.write("one\ntwo\n").await;
    scene.received.answer(Err(ConsoleGone)).await;
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
}

/// Sends a line whenever 100 ms have passed, and has each acknowledged.
async fn talk(scene: &mut Scene, duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration && scene.deregister.is_empty().await {
        scene.write("blah\n").await;
        settle().await;
        tokio::time::advance(Duration::from_millis(100)).await;
        while !scene.received.is_empty().await {
            scene.received.answer(Ok(())).await;
        }
    }
}

#[actix::test]
async fn a_peer_that_talks_after_its_idle_close_does_not_keep_its_slot() {
    tokio::time::pause();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    assert_eq!(scene.read_to_end().await, "");
    let start = Instant::now();
    talk(&mut scene, 3 * DRAIN).await;
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Idle);
    assert!(start.elapsed() < DRAIN + Duration::from_secs(1), "{:?}", start.elapsed());
}

#[actix::test]
async fn a_stop_without_output_reaches_a_session_that_is_closing_as_idle() {
    tokio::time::pause();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    let long = "x".repeat(2 * PIPE);
    soon(scene.deliver(&long)).await;
    tokio::time::advance(Duration::from_secs(13)).await;
    settle().await;
    let (reason, deadline) = (CloseReason::Shutdown, Instant::now() + DRAIN);
    let close = Close { reason, deadline, output_alive: false };
    soon(scene.session.send(close)).await.unwrap();
    assert_eq!(scene.read(long.len() + 1).await, format!("{long}\n"));
    let mut end = Box::pin(scene.theirs.read_u8());
    assert!(Scene::waits(&mut end).await, "it closed in an orderly way");
}

/// The order to end because the operator has kicked the session.
fn kick() -> Close {
    let deadline = Instant::now() + Duration::from_secs(10);
    Close { reason: CloseReason::Kicked, deadline, output_alive: true }
}

#[actix::test]
async fn a_kicked_peer_gets_what_is_queued_and_nothing_more() {
    let mut scene = open(|_| ()).await;
    let long = "x".repeat(2 * PIPE);
    soon(scene.deliver(&long)).await;
    soon(scene.session.send(kick())).await.unwrap();
    soon(scene.deliver("too late")).await;
    assert_eq!(scene.read_to_end().await, format!("{long}\n"));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Kicked);
}

#[actix::test]
async fn a_kicked_peer_that_does_not_read_is_closed_within_the_stall_time() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    let text = "x".repeat(200);
    soon(scene.deliver(&text)).await;
    let waiting = scene.deliver(&text);
    let start = Instant::now();
    soon(scene.session.send(kick())).await.unwrap();
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Kicked);
    assert_passed(start, Duration::from_secs(10));
    soon(waiting).await;
}

#[actix::test]
async fn a_kicked_peer_that_breaks_off_was_still_kicked() {
    let mut scene = open(|_| ()).await;
    soon(scene.deliver(&"x".repeat(200))).await;
    soon(scene.session.send(kick())).await.unwrap();
    drop(scene.theirs);
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Kicked);
}
