//! The Hub with a real Session that panics.

use super::*;

/// A connection whose reading panics.
struct Panicking(tokio::io::DuplexStream);

impl tokio::io::AsyncRead for Panicking {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        panic!("this is the test's own panic");
    }
}

impl tokio::io::AsyncWrite for Panicking {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

impl Stream for Panicking {}

#[actix::test]
async fn a_session_that_panics_costs_one_client_and_frees_its_slot() {
    let mut stage = stage(2);
    let (_, mut healthy) = stage.register(1).await;
    let setup = Setup {
        hub: HubHandle::new(stage.hub.clone()),
        kind: PeerKind::Client,
        reverse: true,
        greeting: true,
        framing: Framing::default(),
        max_line: 80,
        outbox: 1000,
        stall: std::time::Duration::from_secs(10),
        idle: None,
        drain: std::time::Duration::from_secs(5),
        buffers: Buffers::new(2),
        lingering: std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
    };
    let (ours, _theirs) = tokio::io::duplex(1000);
    Session::new(Panicking(ours), peer(2), std::sync::Arc::new(setup), None).start();
    let lost = ServerEvent::Disconnected {
        session: info(2, 2),
        reason: CloseReason::Lost,
        sessions: 1,
        by_http: false,
    };
    let printed = stage.printed_until(lost.clone()).await;
    assert_eq!(printed, [connected(1, 1), connected(2, 2), lost]);
    let (again, _three) = stage.register(3).await;
    assert_eq!(again.map(|admission| admission.clients), Ok(2));
    let _relayed =
        stage.hub.send(Broadcast { lines: Lines::one("still there?"), read: Instant::now() });
    assert_eq!(healthy.delivered.next().await.0.lines, Lines::one("still there?"));
}
