//! The Hub with stub sessions and a stub Console.

use actix::{Addr, MailboxError};

use super::*;
use crate::{
    actors::{
        messages::{Deliver, HubHandle},
        session::{Session, Setup, Stream},
        stubs::{Inbox, peer, settle, soon, stub},
    },
    events::CloseReason,
    wire::{line_reader::Buffers, lines::Lines},
};

/// A Hub with a Console that the test plays.
struct Stage {
    hub: Addr<Hub>,
    console: Inbox<Print>,
    gone: oneshot::Receiver<()>,
}

fn stage(max_sessions: usize) -> Stage {
    let (print, console) = stub();
    let (hub, gone) = Hub::new(max_sessions, print);
    Stage { hub: hub.start(), console, gone }
}

impl Stage {
    async fn register(&self, port: u16) -> (Result<Admission, Refused>, StubSession) {
        let (deliver, delivered) = stub();
        let (close, closed) = stub();
        let session = SessionHandle { deliver, close };
        let register = Register { peer: peer(port), session };
        let answer = soon(self.hub.send(register)).await.unwrap();
        (answer, StubSession { delivered, closed })
    }

    /// What the Console is asked to print until this event, answered as it comes.
    async fn printed_until(&mut self, last: Event) -> Vec<Event> {
        let mut printed = Vec::new();
        while printed.last() != Some(&last) {
            let print = self.console.answer(Ok(())).await;
            printed.extend(print.0.into_iter().map(|stamped| stamped.event));
        }
        printed
    }
}

struct StubSession {
    delivered: Inbox<Deliver>,
    closed: Inbox<Close>,
}

fn connected(port: u16, sessions: usize) -> Event {
    Event::Connected { peer: peer(port), sessions }
}

#[actix::test]
async fn admits_up_to_the_limit_and_refuses_the_next_with_a_reason() {
    let mut stage = stage(2);
    let (first, _one) = stage.register(1).await;
    let (second, _two) = stage.register(2).await;
    assert_eq!(first, Ok(Admission { id: SessionId(0), sessions: 1, max_sessions: 2 }));
    assert_eq!(second, Ok(Admission { id: SessionId(1), sessions: 2, max_sessions: 2 }));
    let (third, _three) = stage.register(3).await;
    assert_eq!(third, Err(Refused::Full));
    let rejected = Event::Rejected { peer: peer(3) };
    let printed = stage.printed_until(rejected.clone()).await;
    assert_eq!(printed, [connected(1, 1), connected(2, 2), rejected]);
}

#[actix::test]
async fn a_place_given_back_can_be_taken_again() {
    let mut stage = stage(1);
    let (first, _one) = stage.register(1).await;
    let id = first.unwrap().id;
    soon(stage.hub.send(Deregister { id, reason: CloseReason::Left })).await.unwrap();
    let (second, _two) = stage.register(2).await;
    assert_eq!(second, Ok(Admission { id: SessionId(1), sessions: 1, max_sessions: 1 }));
    let left = Event::Disconnected { peer: peer(1), reason: CloseReason::Left, sessions: 0 };
    let printed = stage.printed_until(connected(2, 1)).await;
    assert_eq!(printed, [connected(1, 1), left, connected(2, 1)]);
}

#[actix::test]
async fn giving_a_place_back_twice_frees_it_once() {
    let stage = stage(2);
    let (first, _one) = stage.register(1).await;
    let (_, _two) = stage.register(2).await;
    for _ in 0..2 {
        let deregister = Deregister { id: first.unwrap().id, reason: CloseReason::Left };
        soon(stage.hub.send(deregister)).await.unwrap();
    }
    let (third, _three) = stage.register(3).await;
    assert_eq!(third.map(|admission| admission.sessions), Ok(2));
    let (fourth, _four) = stage.register(4).await;
    assert_eq!(fourth, Err(Refused::Full));
}

#[actix::test]
async fn relays_to_every_session_and_answers_when_all_have_taken_it() {
    let mut stage = stage(3);
    let (_, mut one) = stage.register(1).await;
    let (_, mut two) = stage.register(2).await;
    let lines = Lines::one("I have 2 clients");
    let mut relayed = Box::pin(stage.hub.send(Broadcast(lines.clone())));
    let event = Event::Broadcast { lines: lines.clone(), sessions: 2 };
    let waiting = async {
        assert_eq!(one.delivered.next().await.0.lines, lines);
        stage.printed_until(event).await;
        let (Deliver { lines: delivered, receipt }, _) = two.delivered.next().await;
        assert_eq!(delivered, lines);
        receipt
    };
    let receipt = tokio::select! {
        receipt = waiting => receipt,
        _ = &mut relayed => panic!("answered before the second session had taken it"),
    };
    tokio::select! {
        () = settle() => {}
        _ = &mut relayed => panic!("answered before the second session had taken it"),
    }
    drop(receipt);
    assert_eq!(soon(relayed).await, Ok(Ok(())));
}

#[actix::test]
async fn the_operator_is_a_few_lines_ahead_of_the_console_and_no_more() {
    let stage = stage(1);
    for _ in 0..ECHOES {
        let relayed = stage.hub.send(Broadcast(Lines::one("anybody there?")));
        assert_eq!(soon(relayed).await, Ok(Ok(())));
    }
    let mut relayed = Box::pin(stage.hub.send(Broadcast(Lines::one("anybody there?"))));
    let mut console = stage.console;
    tokio::select! {
        () = settle() => {}
        _ = &mut relayed => panic!("answered though the Console is too far behind"),
    }
    console.answer(Ok(())).await;
    assert_eq!(soon(relayed).await, Ok(Ok(())));
}

#[actix::test]
async fn a_session_that_has_gone_is_not_waited_for() {
    let mut stage = stage(2);
    let (first, mut one) = stage.register(1).await;
    let (_, two) = stage.register(2).await;
    drop(two);
    let id = first.unwrap().id;
    soon(stage.hub.send(Deregister { id, reason: CloseReason::Lost })).await.unwrap();
    let lines = Lines::one("who is there?");
    let relayed = stage.hub.send(Broadcast(lines.clone()));
    assert_eq!(soon(relayed).await, Ok(Ok(())), "one that has died takes nothing, either");
    stage.printed_until(Event::Broadcast { lines, sessions: 1 }).await;
    assert!(one.delivered.is_empty().await, "a deregistered session gets nothing");
}

#[actix::test]
async fn what_was_received_is_answered_when_the_console_has_taken_it() {
    let mut stage = stage(1);
    let received = Received { peer: peer(1), input: Decoded::Lines(Lines::one("racecar")) };
    let mut answer = Box::pin(stage.hub.send(received));
    let (print, printed) = tokio::select! {
        asked = stage.console.next() => asked,
        _ = &mut answer => panic!("answered before it was printed"),
    };
    assert_eq!(print.0.len(), 1);
    tokio::select! {
        () = settle() => {}
        _ = &mut answer => panic!("answered before it was printed"),
    }
    printed.send(Ok(())).unwrap();
    assert_eq!(soon(answer).await, Ok(Ok(())));
}

#[actix::test]
async fn what_happens_while_the_console_is_busy_goes_to_it_in_one_message() {
    let mut stage = stage(100);
    let (_, first) = (stage.register(0).await, stage.console.next().await);
    let (_, second) = (stage.register(1).await, stage.console.next().await);
    for port in 2..50 {
        let _ = stage.register(port).await;
    }
    assert!(stage.console.is_empty().await, "two messages at once are enough");
    first.1.send(Ok(())).unwrap();
    let third = stage.console.answer(Ok(())).await;
    assert_eq!(third.0.len(), 48);
    second.1.send(Ok(())).unwrap();
}

#[actix::test]
async fn the_console_gets_a_large_share_while_the_rest_is_still_coming() {
    let mut stage = stage(1);
    let lines = Lines::one(&"x".repeat(print_queue::LARGE / 2));
    let received = |port| Received { peer: peer(port), input: Decoded::Lines(lines.clone()) };
    let _answers = [1, 2, 3].map(|port| stage.hub.send(received(port)));
    let (first, _unanswered) = stage.console.next().await;
    assert_eq!(first.0.len(), 2);
    let (second, _unanswered) = stage.console.next().await;
    assert_eq!(second.0.len(), 1);
}

#[actix::test]
async fn newcomers_wait_when_too_much_waits_for_the_console() {
    let mut stage = stage(1);
    let (_, _keep) = stage.register(0).await;
    let mut waiting = Vec::new();
    let mut answered = 0;
    for port in 1..2000 {
        let (deliver, _) = stub();
        let (close, _) = stub();
        let session = SessionHandle { deliver, close };
        let register = stage.hub.send(Register { peer: peer(port), session });
        waiting.push(Box::pin(register));
        settle().await;
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        answered += usize::from(waiting[answered..][0].as_mut().poll(&mut cx).is_ready());
        if answered < waiting.len() {
            break;
        }
    }
    assert!((EVENTS..=EVENTS + 3).contains(&answered), "{answered} did not wait");
    stage.printed_until(Event::Rejected { peer: peer(answered as u16 + 1) }).await;
    let last = waiting.pop().unwrap();
    assert!(matches!(soon(last).await, Ok(Err(Refused::Full))));
}

#[actix::test]
async fn the_server_is_told_when_the_console_has_failed() {
    let mut stage = stage(1);
    let received = Received { peer: peer(1), input: Decoded::Discarded(70_000) };
    let answer = stage.hub.send(received);
    let (print, printed) = stage.console.next().await;
    let discarded = Event::Discarded { peer: peer(1), bytes: 70_000 };
    assert_eq!(print.0.first().map(|stamped| &stamped.event), Some(&discarded));
    printed.send(Err(ConsoleGone)).unwrap();
    assert_eq!(soon(answer).await, Ok(Err(ConsoleGone)));
    assert!(soon(stage.gone).await.is_err());
}

#[actix::test]
async fn the_server_is_told_when_the_hub_is_no_more() {
    let Stage { hub, gone, .. } = stage(1);
    drop(hub);
    assert!(soon(gone).await.is_err());
}

#[actix::test]
async fn drains_by_closing_every_session_and_says_stopped_last() {
    let mut stage = stage(2);
    let (first, mut one) = stage.register(1).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    let drained = actix::spawn(stage.hub.send(Drain { deadline }));
    let (close, _) = one.closed.next().await;
    assert_eq!(close.deadline, deadline);
    assert_eq!(stage.register(2).await.0, Err(Refused::Stopping));
    assert!(!drained.is_finished());
    let id = first.unwrap().id;
    soon(stage.hub.send(Deregister { id, reason: CloseReason::Shutdown })).await.unwrap();
    let printed = stage.printed_until(Event::Stopped).await;
    let gone = Event::Disconnected { peer: peer(1), reason: CloseReason::Shutdown, sessions: 0 };
    assert_eq!(printed, [connected(1, 1), gone, Event::Stopped]);
    assert_eq!(soon(drained).await.unwrap(), Ok::<_, MailboxError>(Ok(())));
}

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
async fn a_session_that_panics_costs_one_client_and_gives_its_place_back() {
    let mut stage = stage(2);
    let (_, mut healthy) = stage.register(1).await;
    let setup = Setup {
        hub: HubHandle::new(stage.hub.clone()),
        max_line: 80,
        outbox: 1000,
        stall: std::time::Duration::from_secs(10),
        idle: None,
        buffers: Buffers::new(2),
        lingering: std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
    };
    let (ours, _theirs) = tokio::io::duplex(1000);
    Session::new(Panicking(ours), peer(2), std::sync::Arc::new(setup), None).start();
    let lost = Event::Disconnected { peer: peer(2), reason: CloseReason::Lost, sessions: 1 };
    let printed = stage.printed_until(lost.clone()).await;
    assert_eq!(printed, [connected(1, 1), connected(2, 2), lost]);
    let (again, _three) = stage.register(3).await;
    assert_eq!(again.map(|admission| admission.sessions), Ok(2));
    let _relayed = stage.hub.send(Broadcast(Lines::one("still there?")));
    assert_eq!(healthy.delivered.next().await.0.lines, Lines::one("still there?"));
}
