//! How a Session ends: whom it lets go, when, and how it stops with the server.

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
        soon(self.session.send(Close { deadline, taking: true })).await.unwrap();
        start
    }
}

/// Since `start` this time has passed by tokio's paused clock, of which the timers have a resolution
/// of a millisecond.
#[track_caller]
fn assert_passed(start: Instant, time: Duration) {
    let passed = start.elapsed();
    assert!(passed >= time && passed < time + Duration::from_millis(5), "{passed:?}");
}

#[actix::test]
async fn a_peer_without_room_for_too_long_is_let_go_as_stalled() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    let text = "x".repeat(200);
    soon(scene.deliver(&text)).await;
    let start = Instant::now();
    let mut second = scene.deliver(&text);
    assert!(Scene::waits(&mut second).await);
    tokio::time::advance(Duration::from_secs(9)).await;
    scene.read(1).await;
    // The Hub is not held up any longer.
    soon(second).await;
    assert_passed(start, Duration::from_secs(10));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Stalled);
}

#[actix::test]
async fn a_leaving_peer_that_does_not_read_is_let_go_as_stalled() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    soon(scene.deliver(&"x".repeat(200))).await;
    let start = Instant::now();
    scene.theirs.shutdown().await.unwrap();
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Stalled);
    assert_passed(start, Duration::from_secs(10));
}

#[actix::test]
async fn a_silent_peer_is_let_go_if_silence_has_a_limit() {
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
    assert!(scene.deregister.is_empty().await, "half a line is not silence");
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Idle);
    assert_passed(start, Duration::from_millis(60_250));
    assert_eq!(scene.read_to_end().await, "");
}

#[actix::test]
async fn a_silent_peer_in_the_middle_of_a_line_is_not_told_that_all_has_been_taken() {
    tokio::time::pause();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    scene.write("half a l").await;
    settle().await;
    tokio::time::advance(Duration::from_millis(12_100)).await;
    let mut goodbye = Box::pin(scene.theirs.read_u8());
    assert!(Scene::waits(&mut goodbye).await, "it said goodbye in order");
    drop(goodbye);
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Idle);
}

#[actix::test]
async fn what_was_on_its_way_when_a_silent_peer_was_let_go_is_taken() {
    tokio::time::pause();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    assert_eq!(scene.read_to_end().await, "");
    scene.write("late\n").await;
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("etal"));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Idle);
}

#[actix::test]
async fn a_silent_peer_that_does_not_read_either_is_let_go_as_stalled() {
    tokio::time::pause();
    let start = Instant::now();
    let mut scene = open(|setup| setup.idle = Some(Duration::from_secs(12))).await;
    soon(scene.deliver(&"x".repeat(200))).await;
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Stalled);
    assert_passed(start, Duration::from_secs(12 + 10));
}

#[actix::test]
async fn waiting_for_others_to_be_read_is_not_silence() {
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
    let mut goodbye = Box::pin(scene.theirs.read_u8());
    assert!(Scene::waits(&mut goodbye).await, "it said goodbye though there is unread input");
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert_passed(start, DRAIN);
}

/// A connection that turns out to be reset when something is written behind the greeting: reading
/// gives what had come before, and then nothing, as a socket does of which the error was taken.
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
async fn half_a_line_of_a_reset_connection_is_not_a_line() {
    let (register, mut registers) = stub();
    let (received, mut receives) = stub();
    let (deregister, mut deregisters) = stub();
    let setup = Setup {
        hub: HubHandle { register, received, deregister },
        max_line: 40,
        outbox: 300,
        stall: Duration::from_secs(10),
        idle: None,
        // There is none until the connection is known to be reset.
        buffers: Buffers::new(1),
        lingering: Arc::new(Semaphore::new(1)),
    };
    let buffers = Arc::clone(&setup.buffers);
    let mut other = LineReader::new(LineDecoder::new(40), buffers);
    let read = other.next(&mut &b"in the way\n"[..]).await;
    assert_eq!(read.unwrap(), Some(lines("in the way")));
    let stream = ResetConnection { input: b"whole\nha", greeted: false };
    let session = Session::new(stream, peer(1), Arc::new(setup), None).start();
    let admission = Admission { id: SessionId(7), sessions: 1, max_sessions: 4 };
    registers.answer(Ok(admission)).await;
    soon(deliver(&session, "hello")).await;
    drop(other);
    assert_eq!(receives.answer(Ok(())).await.input, lines("elohw"));
    assert_eq!(deregisters.answer(()).await.reason, CloseReason::Lost);
    assert!(receives.is_empty().await);
}

#[actix::test]
async fn a_peer_that_breaks_off_is_lost_and_what_it_had_sent_is_taken() {
    let mut scene = open(|_| ()).await;
    scene.write("one\n").await;
    soon(scene.deliver(&"x".repeat(200))).await;
    drop(scene.theirs);
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("eno"));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Lost);
}

#[actix::test]
async fn when_the_server_stops_it_takes_what_has_arrived_flushes_and_closes() {
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
async fn when_the_time_to_stop_is_over_it_ends_whatever_waits() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    soon(scene.deliver(&"x".repeat(200))).await;
    let start = scene.stop().await;
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert_passed(start, DRAIN);
}

#[actix::test]
async fn a_silent_peer_that_does_not_close_holds_stopping_up_for_a_moment_only() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    let start = scene.stop().await;
    assert_eq!(scene.read_to_end().await, "");
    assert_passed(start, Duration::ZERO);
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert_passed(start, Duration::from_millis(250));
}

#[actix::test]
async fn a_line_that_was_on_its_way_when_it_stopped_is_waited_for_until_it_has_been_taken() {
    tokio::time::pause();
    let mut scene = open(|_| ()).await;
    let start = scene.stop().await;
    assert_eq!(scene.read_to_end().await, "");
    scene.write("late\n").await;
    let (_, taken) = scene.received.next().await;
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(scene.deregister.is_empty().await, "the Console may still take it");
    taken.send(Ok(())).unwrap();
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
    assert!(start.elapsed() < DRAIN);
}

#[actix::test]
async fn lines_that_were_not_taken_end_the_session() {
    let mut scene = open(|_| ()).await;
    scene.write("one\ntwo\n").await;
    scene.received.answer(Err(ConsoleGone)).await;
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Shutdown);
}
