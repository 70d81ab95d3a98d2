//! The Session with a stub Hub over an in-memory stream.

mod ending;

use actix::Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{linger::REFUSED, *};
use crate::{
    actors::{
        messages::{Deliver, Receipt},
        stubs::{Inbox, peer, settle, soon, stub},
    },
    wire::{framing::SendEnd, lines::Lines},
};

/// What an in-memory stream holds in each direction, in bytes.
const PIPE: usize = 64;

/// A Session and both its ends: the Hub, which the test plays, and the peer's.
struct Scene {
    session: Addr<Session<DuplexStream>>,
    theirs: DuplexStream,
    register: Inbox<Register>,
    received: Inbox<Received>,
    deregister: Inbox<Deregister>,
}

fn scene(edit: impl FnOnce(&mut Setup)) -> Scene {
    let (register, registers) = stub();
    let (received, receives) = stub();
    let (deregister, deregisters) = stub();
    let mut setup = Setup {
        hub: HubHandle { register, received, deregister },
        kind: PeerKind::Client,
        reverse: true,
        greeting: true,
        framing: Framing::default(),
        max_line: 40,
        outbox: 300,
        stall: Duration::from_secs(10),
        idle: None,
        drain: Duration::from_secs(5),
        buffers: Buffers::new(2),
        lingering: Arc::new(Semaphore::new(1)),
    };
    edit(&mut setup);
    let (ours, theirs) = duplex(PIPE);
    let session = Session::new(ours, peer(1), Arc::new(setup), None).start();
    Scene { session, theirs, register: registers, received: receives, deregister: deregisters }
}

/// A scene in which the session has been admitted and greeted.
async fn open(edit: impl FnOnce(&mut Setup)) -> Scene {
    let mut scene = scene(edit);
    let admission = Admission { id: SessionId(7), clients: 3, max_clients: 4 };
    scene.register.answer(Ok(admission)).await;
    assert_eq!(scene.read(33).await, "220 linehub ready: client 3 of 4\n");
    scene
}

impl Scene {
    async fn read(&mut self, len: usize) -> String {
        let mut bytes = vec![0; len];
        soon(self.theirs.read_exact(&mut bytes)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    async fn read_to_end(&mut self) -> String {
        let mut text = String::new();
        soon(self.theirs.read_to_string(&mut text)).await.unwrap();
        text
    }

    async fn write(&mut self, text: &str) {
        soon(self.theirs.write_all(text.as_bytes())).await.unwrap();
    }

    fn deliver(&self, text: &str) -> impl Future<Output = ()> + Unpin + use<> {
        deliver(&self.session, text)
    }

    /// Whether this stays unanswered when everybody has done what there is to do.
    async fn waits(what: &mut (impl Future + Unpin)) -> bool {
        tokio::select! {
            biased;
            _ = what => false,
            () = settle() => true,
        }
    }
}

/// Ready when the session has dropped the receipt.
fn deliver<S: Stream>(
    session: &Addr<Session<S>>,
    text: &str,
) -> impl Future<Output = ()> + Unpin + use<S> {
    let (receipt, dropped) = Receipt::new();
    #[expect(clippy::disallowed_methods, reason = "as the Hub does it")]
    session.do_send(Deliver {
        lines: Lines::one(text),
        count: 1,
        question: None,
        _receipt: receipt,
    });
    Box::pin(async {
        dropped.await.expect_err("nothing is sent");
    })
}

fn lines(text: &str) -> Input {
    Input::Lines(Lines::one(text))
}

#[actix::test]
async fn registers_before_anything_else_and_greets_with_its_count() {
    let mut scene = scene(|_| ());
    scene.write("early\n").await;
    let (register, answer) = scene.register.next().await;
    assert_eq!(register.peer, peer(1));
    assert!(scene.received.is_empty().await);
    let admission = Admission { id: SessionId(0), clients: 1, max_clients: 4 };
    answer.send(Ok(admission)).unwrap();
    assert_eq!(scene.read(33).await, "220 linehub ready: client 1 of 4\n");
    assert_eq!(scene.received.next().await.0.input, lines("ylrae"));
}

#[actix::test]
async fn passes_lines_on_in_order_at_most_two_batches_ahead_of_the_console() {
    // More buffers than that, so that the buffers are not the limit.
    let mut scene = open(|setup| setup.buffers = Buffers::new(8)).await;
    scene.write("one\ntwo\nth").await;
    let (received, first) = scene.received.next().await;
    assert_eq!((received.id, received.input), (SessionId(7), lines("eno\nowt")));
    scene.write("ree\n").await;
    let (received, second) = scene.received.next().await;
    assert_eq!(received.input, lines("eerht"));
    scene.write("four\n").await;
    assert!(scene.received.is_empty().await, "neither batch is acknowledged");
    first.send(Ok(())).unwrap();
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("ruof"));
    second.send(Ok(())).unwrap();
}

#[actix::test]
async fn a_leaving_peer_keeps_its_slot_until_all_its_lines_are_acknowledged() {
    let mut scene = open(|_| ()).await;
    scene.write("last\n").await;
    scene.theirs.shutdown().await.unwrap();
    let (_, ack) = scene.received.next().await;
    assert!(scene.deregister.is_empty().await);
    ack.send(Ok(())).unwrap();
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Left);
}

#[actix::test]
async fn reports_a_line_that_is_too_long_and_continues() {
    let mut scene = open(|_| ()).await;
    scene.write(&format!("{}\nok\n", "x".repeat(41))).await;
    assert_eq!(scene.received.answer(Ok(())).await.input, Input::Overlong(41));
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("ko"));
}

#[actix::test]
async fn after_a_half_close_the_slot_is_free_before_the_connection_closes() {
    let mut scene = open(|_| ()).await;
    scene.write("last").await;
    scene.theirs.shutdown().await.unwrap();
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("tsal"));
    let (deregister, answer) = scene.deregister.next().await;
    assert_eq!((deregister.id, deregister.reason), (SessionId(7), CloseReason::Left));
    let mut close = Box::pin(scene.theirs.read_u8());
    assert!(Scene::waits(&mut close).await, "it closed before the slot was free");
    answer.send(()).unwrap();
    assert!(soon(close).await.is_err());
}

#[actix::test]
async fn a_peer_that_leaves_gets_what_is_queued_for_it() {
    let mut scene = open(|_| ()).await;
    let long = "x".repeat(PIPE + 10);
    soon(scene.deliver(&long)).await;
    scene.theirs.shutdown().await.unwrap();
    assert!(scene.deregister.is_empty().await);
    soon(scene.deliver("too late")).await;
    assert_eq!(scene.read(long.len() + 1).await, format!("{long}\n"));
    assert_eq!(scene.deregister.answer(()).await.reason, CloseReason::Left);
    assert_eq!(scene.read_to_end().await, "");
}

#[actix::test]
async fn a_delivery_needs_as_much_room_as_is_sent_for_it() {
    // 100 empty lines: two of these have room in the outbox with LF, and one with CR LF.
    let text = "\n".repeat(99);
    let framing = |send_end| Framing { send_end, ..Framing::default() };
    for (send_end, has_room) in [(SendEnd::Lf, true), (SendEnd::CrLf, false)] {
        let mut scene = open(|setup| setup.framing = framing(send_end)).await;
        soon(scene.deliver(&text)).await;
        let mut second = scene.deliver(&text);
        let waits = Scene::waits(&mut second).await;
        assert_eq!(waits, !has_room);
        let sent = scene.read(2 * 100 * send_end.as_bytes().len()).await;
        assert_eq!(sent.as_bytes(), send_end.as_bytes().repeat(200));
        if waits {
            soon(second).await;
        }
    }
}

#[actix::test]
async fn telnet_commands_are_answered_before_later_lines() {
    let mut scene = open(|setup| setup.framing.telnet = true).await;
    soon(scene.deliver("before")).await;
    soon(scene.theirs.write_all(b"\xff\xfd\x06one\n")).await.unwrap();
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("eno"));
    soon(scene.deliver("after")).await;
    let mut sent = [0; 16];
    soon(scene.theirs.read_exact(&mut sent)).await.unwrap();
    assert_eq!(&sent, b"before\n\xff\xfc\x06after\n");
}

#[actix::test]
async fn without_a_greeting_nothing_is_sent_before_the_first_delivery() {
    let mut scene = scene(|setup| setup.greeting = false);
    let admission = Admission { id: SessionId(7), clients: 3, max_clients: 4 };
    scene.register.answer(Ok(admission)).await;
    scene.write("one\n").await;
    assert_eq!(scene.received.answer(Ok(())).await.input, lines("eno"));
    soon(scene.deliver("first")).await;
    assert_eq!(scene.read(6).await, "first\n");
}

#[actix::test]
async fn a_peer_that_has_already_sent_data_gets_the_whole_refusal() {
    let mut scene = scene(|_| ());
    scene.write("I am\nso eager").await;
    scene.register.answer(Err(Refused::Full)).await;
    assert_eq!(scene.read_to_end().await, "421 Server rejected due to too many clients\n");
    assert!(scene.received.is_empty().await);
    assert!(scene.deregister.is_empty().await);
}

#[actix::test]
async fn a_refused_peer_lingers_for_a_bounded_time() {
    tokio::time::pause();
    let mut scene = scene(|_| ());
    scene.register.answer(Err(Refused::Full)).await;
    settle().await;
    scene.write("still here").await;
    tokio::time::advance(Duration::from_millis(990)).await;
    settle().await;
    assert!(scene.session.connected());
    tokio::time::advance(Duration::from_millis(15)).await;
    settle().await;
    assert!(!scene.session.connected());
}

#[actix::test]
async fn a_limited_number_of_refused_peers_linger() {
    let mut scene = scene(|setup| setup.lingering = Arc::new(Semaphore::new(0)));
    scene.register.answer(Err(Refused::Full)).await;
    assert_eq!(scene.read_to_end().await, "421 Server rejected due to too many clients\n");
    let gone = async {
        while scene.session.connected() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(REFUSED / 2, gone).await.expect("it does not linger");
}

#[actix::test]
async fn a_delivery_without_room_is_accepted_when_there_is_room() {
    let mut scene = open(|_| ()).await;
    let text = "x".repeat(120);
    soon(scene.deliver(&text)).await;
    let mut second = scene.deliver(&text);
    assert!(Scene::waits(&mut second).await);
    let mut both = scene.read(121).await;
    soon(second).await;
    both += &scene.read(121).await;
    assert_eq!(both, format!("{text}\n{text}\n"));
}
