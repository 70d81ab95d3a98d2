//! The Hub with stub sessions and a stub Console.

mod desk;
mod panics;
mod slots;

use std::time::Duration;

use actix::{Addr, MailboxError};
use tokio::time::Instant;

use super::*;
use crate::{
    actors::{
        messages::{Deliver, DeskError, HubHandle, Kick, List, Rename, Tell},
        session::{Session, Setup, Stream},
        stubs::{Inbox, peer, settle, soon, stub},
    },
    desk::{names::Names, roster::Roster},
    events::CloseReason,
    wire::{framing::Framing, line_reader::Buffers, lines::Lines},
};

/// A Hub whose Console is played by the test.
struct Stage {
    hub: Addr<Hub>,
    console: Inbox<Print<ServerEvent>>,
    gone: CancellationToken,
}

/// Settings with which a client is refused at once.
fn settings(max_clients: usize) -> Settings {
    let (slot, stall) = (Duration::ZERO, Duration::from_secs(10));
    Settings {
        max_clients,
        slot,
        names: Names::default(),
        stall,
        latency: None,
        feed: None,
        roster: None,
    }
}

fn stage(max_sessions: usize) -> Stage {
    let (print, console) = stub();
    let (hub, gone) = Hub::new(settings(max_sessions), print, Vec::new());
    Stage { hub: hub.start(), console, gone }
}

impl Stage {
    async fn register(&self, port: u16) -> (Result<Admission, Refused>, StubSession) {
        let (deliver, delivered) = stub();
        let (close, closed) = stub();
        let session = SessionHandle { deliver, close };
        let register =
            Register { peer: peer(port), kind: PeerKind::Client, session, gauges: Arc::default() };
        let answer = soon(self.hub.send(register)).await.unwrap();
        (answer, StubSession { delivered, closed })
    }

    /// Registers a session, and has the Console print that.
    async fn registered(&mut self, port: u16) -> (SessionId, StubSession) {
        let (admission, session) = self.register(port).await;
        self.console.answer(Ok(())).await;
        (admission.unwrap().id, session)
    }

    /// The events that the Console gets up to this one. It acknowledges each.
    async fn printed_until(&mut self, last: ServerEvent) -> Vec<ServerEvent> {
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

fn info(id: u64, port: u16) -> SessionInfo {
    SessionInfo { id, name: None, peer: peer(port) }
}

/// The event of a client whose number is that of its port.
fn connected(port: u16, sessions: usize) -> ServerEvent {
    let session = info(port.into(), port);
    ServerEvent::Connected { session, by_hub: false, sessions }
}

#[actix::test]
async fn admits_up_to_the_limit_and_refuses_the_next_with_a_reason() {
    let mut stage = stage(2);
    let (first, _one) = stage.register(1).await;
    let (second, _two) = stage.register(2).await;
    assert_eq!(first, Ok(Admission { id: SessionId(1), clients: 1, max_clients: 2 }));
    assert_eq!(second, Ok(Admission { id: SessionId(2), clients: 2, max_clients: 2 }));
    let (third, _three) = stage.register(3).await;
    assert_eq!(third, Err(Refused::Full));
    let rejected = ServerEvent::Rejected { peer: peer(3) };
    let printed = stage.printed_until(rejected.clone()).await;
    assert_eq!(printed, [connected(1, 1), connected(2, 2), rejected]);
}

#[actix::test]
async fn a_slot_that_is_given_back_can_be_used_again() {
    let mut stage = stage(1);
    let (first, _one) = stage.register(1).await;
    let id = first.unwrap().id;
    soon(stage.hub.send(Deregister { id, reason: CloseReason::Left, unfinished: None }))
        .await
        .unwrap();
    let (second, _two) = stage.register(2).await;
    assert_eq!(second, Ok(Admission { id: SessionId(2), clients: 1, max_clients: 1 }));
    let left = ServerEvent::Disconnected {
        session: info(1, 1),
        reason: CloseReason::Left,
        sessions: 0,
        by_http: false,
    };
    let printed = stage.printed_until(connected(2, 1)).await;
    assert_eq!(printed, [connected(1, 1), left, connected(2, 1)]);
}

#[actix::test]
async fn giving_a_slot_back_twice_frees_one_slot() {
    let stage = stage(2);
    let (first, _one) = stage.register(1).await;
    let (_, _two) = stage.register(2).await;
    for _ in 0..2 {
        let deregister =
            Deregister { id: first.unwrap().id, reason: CloseReason::Left, unfinished: None };
        soon(stage.hub.send(deregister)).await.unwrap();
    }
    let (third, _three) = stage.register(3).await;
    assert_eq!(third.map(|admission| admission.clients), Ok(2));
    let (fourth, _four) = stage.register(4).await;
    assert_eq!(fourth, Err(Refused::Full));
}

#[actix::test]
async fn a_broadcast_is_answered_when_every_session_has_accepted_it() {
    let mut stage = stage(3);
    let (_, mut one) = stage.register(1).await;
    let (_, mut two) = stage.register(2).await;
    let lines = Lines::one("I have 2 clients");
    let mut relayed =
        Box::pin(stage.hub.send(Broadcast { lines: lines.clone(), read: Instant::now() }));
    let event = ServerEvent::Broadcast { lines: lines.clone(), sessions: 2, by_http: false };
    let waiting = async {
        assert_eq!(one.delivered.next().await.0.lines, lines);
        stage.printed_until(event).await;
        let (Deliver { lines: delivered, _receipt: receipt, .. }, _) = two.delivered.next().await;
        assert_eq!(delivered, lines);
        receipt
    };
    let receipt = tokio::select! {
        receipt = waiting => receipt,
        _ = &mut relayed => panic!("answered before the second session had accepted it"),
    };
    tokio::select! {
        () = settle() => {}
        _ = &mut relayed => panic!("answered before the second session had accepted it"),
    }
    drop(receipt);
    assert_eq!(soon(relayed).await, Ok(Ok(())));
}

#[actix::test]
async fn the_operator_is_at_most_a_few_broadcasts_ahead_of_the_console() {
    let stage = stage(1);
    for _ in 0..MAX_UNACKED {
        let relayed =
            stage.hub.send(Broadcast { lines: Lines::one("anybody there?"), read: Instant::now() });
        assert_eq!(soon(relayed).await, Ok(Ok(())));
    }
    let mut relayed = Box::pin(
        stage.hub.send(Broadcast { lines: Lines::one("anybody there?"), read: Instant::now() }),
    );
    let mut console = stage.console;
    tokio::select! {
        () = settle() => {}
        _ = &mut relayed => panic!("answered though the Console is too far behind"),
    }
    console.answer(Ok(())).await;
    assert_eq!(soon(relayed).await, Ok(Ok(())));
}

#[actix::test]
async fn a_broadcast_does_not_wait_for_a_session_that_is_gone() {
    let mut stage = stage(2);
    let (first, mut one) = stage.register(1).await;
    let (_, two) = stage.register(2).await;
    drop(two);
    let id = first.unwrap().id;
    soon(stage.hub.send(Deregister { id, reason: CloseReason::Lost, unfinished: None }))
        .await
        .unwrap();
    let lines = Lines::one("who is there?");
    let relayed = stage.hub.send(Broadcast { lines: lines.clone(), read: Instant::now() });
    assert_eq!(soon(relayed).await, Ok(Ok(())), "a dead session does not count");
    stage.printed_until(ServerEvent::Broadcast { lines, sessions: 1, by_http: false }).await;
    assert!(one.delivered.is_empty().await, "a deregistered session gets nothing");
}

#[actix::test]
async fn received_lines_are_acknowledged_when_the_console_has_written_them() {
    let mut stage = stage(1);
    let (id, _session) = stage.registered(1).await;
    let received = Received { id, input: Input::Lines(Lines::one("racecar")) };
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
async fn events_during_a_busy_console_are_sent_in_one_message() {
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
async fn a_large_batch_is_printed_without_waiting_for_more() {
    let mut stage = stage(1);
    let lines = Lines::one(&"x".repeat(print_queue::LARGE / 2));
    let (id, _session) = stage.registered(1).await;
    let received = || Received { id, input: Input::Lines(lines.clone()) };
    let _answers = [(); 3].map(|()| stage.hub.send(received()));
    let (first, _unanswered) = stage.console.next().await;
    assert_eq!(first.0.len(), 2);
    let (second, _unanswered) = stage.console.next().await;
    assert_eq!(second.0.len(), 1);
}

#[actix::test]
async fn registration_waits_when_too_many_events_are_pending() {
    let mut stage = stage(1);
    let (_, _keep) = stage.register(0).await;
    let mut waiting = Vec::new();
    let mut answered = 0;
    for port in 1..2000 {
        let (deliver, _) = stub();
        let (close, _) = stub();
        let session = SessionHandle { deliver, close };
        let register = stage.hub.send(Register {
            peer: peer(port),
            kind: PeerKind::Client,
            session,
            gauges: Arc::default(),
        });
        waiting.push(Box::pin(register));
        settle().await;
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        answered += usize::from(waiting[answered..][0].as_mut().poll(&mut cx).is_ready());
        if answered < waiting.len() {
            break;
        }
    }
    assert!((MAX_PENDING..=MAX_PENDING + 3).contains(&answered), "{answered} did not wait");
    stage.printed_until(ServerEvent::Rejected { peer: peer(answered as u16 + 1) }).await;
    let last = waiting.pop().unwrap();
    assert!(matches!(soon(last).await, Ok(Err(Refused::Full))));
}

#[actix::test]
async fn cancels_the_token_when_the_console_fails() {
    let mut stage = stage(1);
    let (id, _session) = stage.registered(1).await;
    let received = Received { id, input: Input::Overlong(70_000) };
    let answer = stage.hub.send(received);
    let (print, printed) = stage.console.next().await;
    let discarded = ServerEvent::Discarded {
        session: info(1, 1),
        reason: DiscardReason::TooLong,
        bytes: 70_000,
    };
    assert_eq!(print.0.first().map(|stamped| &stamped.event), Some(&discarded));
    printed.send(Err(ConsoleGone)).unwrap();
    assert_eq!(soon(answer).await, Ok(Err(ConsoleGone)));
    soon(stage.gone.cancelled()).await;
}

#[actix::test]
async fn cancels_the_token_when_the_hub_is_gone() {
    let Stage { hub, gone, .. } = stage(1);
    drop(hub);
    soon(gone.cancelled()).await;
}

#[actix::test]
async fn drain_closes_every_session_and_emits_stopped_last() {
    let mut stage = stage(2);
    let (first, mut one) = stage.register(1).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    let drained = actix::spawn(stage.hub.send(Drain { deadline }));
    let (close, _) = one.closed.next().await;
    assert_eq!(close.deadline, deadline);
    assert_eq!(stage.register(2).await.0, Err(Refused::Stopping));
    assert!(!drained.is_finished());
    let id = first.unwrap().id;
    soon(stage.hub.send(Deregister { id, reason: CloseReason::Shutdown, unfinished: None }))
        .await
        .unwrap();
    let printed = stage.printed_until(ServerEvent::Stopped).await;
    let gone = ServerEvent::Disconnected {
        session: info(1, 1),
        reason: CloseReason::Shutdown,
        sessions: 0,
        by_http: false,
    };
    assert_eq!(printed, [connected(1, 1), gone, ServerEvent::Stopped]);
    assert_eq!(soon(drained).await.unwrap(), Ok::<_, MailboxError>(Ok(())));
}

#[actix::test]
async fn observers_get_every_event_and_learn_how_many_they_missed() {
    let (print, mut console) = stub();
    let (observer, mut observed) = stub();
    let (hub, _gone) = Hub::new(settings(10), print, vec![observer]);
    let mut stage = Stage { hub: hub.start(), console: stub().1, gone: CancellationToken::new() };
    std::mem::swap(&mut stage.console, &mut console);
    let (_, _one) = stage.registered(1).await;
    let (first, answer) = observed.next().await;
    let events = |observed: &Observed| -> Vec<_> {
        observed.events.iter().map(|stamped| stamped.event.clone()).collect()
    };
    assert_eq!((first.missed, events(&first)), (0, vec![connected(1, 1)]));
    // The Hub does not wait for an observer that is busy.
    let (_, _two) = stage.registered(2).await;
    let (_, _three) = stage.registered(3).await;
    answer.send(()).unwrap();
    settle().await;
    let (_, _four) = stage.registered(4).await;
    let (second, _) = observed.next().await;
    assert_eq!((second.missed, events(&second)), (2, vec![connected(4, 4)]));
}

#[actix::test]
async fn an_unfinished_line_is_reported_before_its_session_ends() {
    for (reason, why) in [
        (CloseReason::Lost, DiscardReason::ConnectionLost),
        (CloseReason::Idle, DiscardReason::Unfinished),
    ] {
        let mut stage = stage(1);
        let (id, _session) = stage.registered(1).await;
        let deregister = Deregister { id, reason, unfinished: Some(3) };
        soon(stage.hub.send(deregister)).await.unwrap();
        let session = info(1, 1);
        let last = ServerEvent::Disconnected {
            session: session.clone(),
            reason,
            sessions: 0,
            by_http: false,
        };
        let discarded = ServerEvent::Discarded { session, reason: why, bytes: 3 };
        assert_eq!(stage.printed_until(last.clone()).await, [discarded, last]);
    }
}
