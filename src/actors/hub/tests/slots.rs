//! Slots: who gets one, who waits for one, and who needs none.

use super::*;

/// A Hub in which clients wait for a slot.
fn patient_stage(max_clients: usize) -> Stage {
    let (print, console) = stub();
    let slot = Duration::from_millis(250);
    let (hub, gone) = Hub::new(Settings { slot, ..settings(max_clients) }, print, Vec::new());
    Stage { hub: hub.start(), console, gone }
}

/// The answer to a client that may have to wait for it.
fn ask_for_slot(stage: &Stage, port: u16) -> actix::dev::Request<Hub, Register> {
    let session = SessionHandle { deliver: stub().0, close: stub().0 };
    stage.hub.send(Register {
        peer: peer(port),
        kind: PeerKind::Client,
        session,
        gauges: Arc::default(),
    })
}

#[actix::test]
async fn waiting_clients_get_slots_in_the_order_of_their_arrival() {
    let mut stage = patient_stage(1);
    let (id, _first) = stage.registered(1).await;
    let second = actix::spawn(ask_for_slot(&stage, 2));
    settle().await;
    let mut third = actix::spawn(ask_for_slot(&stage, 3));
    settle().await;
    let deregister = Deregister { id, reason: CloseReason::Left, unfinished: None };
    soon(stage.hub.send(deregister)).await.unwrap();
    let admitted = soon(second).await.unwrap().unwrap();
    assert_eq!(admitted, Ok(Admission { id: SessionId(2), clients: 1, max_clients: 1 }));
    tokio::select! {
        () = settle() => {}
        _ = &mut third => panic!("there is only one slot"),
    }
}

#[actix::test]
async fn a_client_that_waits_in_vain_is_refused_after_the_slot_time() {
    tokio::time::pause();
    let mut stage = patient_stage(1);
    let _first = stage.registered(1).await;
    let start = tokio::time::Instant::now();
    assert_eq!(soon(ask_for_slot(&stage, 2)).await, Ok(Err(Refused::Full)));
    let waited = start.elapsed();
    assert!((250..260).contains(&waited.as_millis()), "{waited:?}");
    let rejected = ServerEvent::Rejected { peer: peer(2) };
    stage.printed_until(rejected).await;
}

#[actix::test]
async fn a_limited_number_of_clients_wait_and_a_stop_refuses_them() {
    tokio::time::pause();
    let stage = patient_stage(1);
    let mut console = stage.console;
    let stage = Stage { console: stub().1, ..stage };
    actix::spawn(async move {
        loop {
            console.answer(Ok(())).await;
        }
    });
    let _first = stage.register(1).await;
    let waiting: Vec<_> = (0..waiting::MAX_WAITING)
        .map(|port| actix::spawn(ask_for_slot(&stage, 1000 + port as u16)))
        .collect();
    settle().await;
    assert_eq!(soon(ask_for_slot(&stage, 2)).await, Ok(Err(Refused::Full)), "refused at once");
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let _drained = actix::spawn(stage.hub.send(Drain { deadline }));
    for waiting in waiting {
        assert_eq!(soon(waiting).await.unwrap(), Ok(Err(Refused::Full)));
    }
}

#[actix::test]
async fn a_device_needs_no_slot_and_its_own_name_comes_first() {
    let (print, console) = stub();
    let mut names = Names::default();
    names.insert("127.0.0.0/8".parse().unwrap(), "bench".parse().unwrap());
    let (hub, gone) = Hub::new(Settings { names, ..settings(1) }, print, Vec::new());
    let mut stage = Stage { hub: hub.start(), console, gone };
    let _client = stage.registered(1).await;
    for (port, name, expected) in [(2, Some("scope"), "scope"), (3, None, "bench")] {
        let session = SessionHandle { deliver: stub().0, close: stub().0 };
        let kind = PeerKind::Device { name: name.map(Into::into) };
        let register = Register { peer: peer(port), kind, session, gauges: Arc::default() };
        let admission = soon(stage.hub.send(register)).await.unwrap().unwrap();
        assert_eq!((admission.clients, admission.max_clients), (1, 1));
        let print = stage.console.answer(Ok(())).await;
        let session = SessionInfo { name: Some(expected.into()), ..info(port.into(), port) };
        let connected = ServerEvent::Connected { session, by_hub: true, sessions: port.into() };
        assert_eq!(print.0[0].event, connected);
    }
}
