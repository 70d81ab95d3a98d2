//! The desk: lines to one session, kicking and naming it, and the list of all sessions.

use super::*;
use crate::desk::command::Who;

/// A Hub with two sessions. The second is called anna.
async fn two_sessions() -> (Stage, StubSession, StubSession) {
    let mut stage = stage(4);
    let (_, one) = stage.registered(1).await;
    let (_, two) = stage.registered(2).await;
    rename(&stage, "2", Some("anna")).await.unwrap();
    (stage, one, two)
}

async fn rename(stage: &Stage, who: &str, name: Option<&str>) -> Result<(), DeskError> {
    let name = name.map(|name| name.parse().unwrap());
    soon(stage.hub.send(Rename { who: Who::parse(who), name })).await.unwrap()
}

fn tell(stage: &Stage, who: &str) -> actix::dev::Request<Hub, Tell> {
    stage.hub.send(Tell { who: Who::parse(who), lines: Lines::one("only you") })
}

#[actix::test]
async fn a_session_can_be_addressed_by_number_name_or_address() {
    let (mut stage, mut one, mut two) = two_sessions().await;
    for who in ["2", "anna", "127.0.0.1:2"] {
        let told = tell(&stage, who);
        let delivered = async { drop(two.delivered.next().await) };
        let (told, ()) = tokio::join!(told, delivered);
        assert_eq!(told, Ok(Ok(())), "{who}");
        let print = stage.console.answer(Ok(())).await;
        let session = SessionInfo { name: Some("anna".into()), ..info(2, 2) };
        let event = ServerEvent::Told { session, lines: Lines::one("only you"), by_http: false };
        assert_eq!(print.0[0].event, event);
    }
    assert!(one.delivered.is_empty().await);
}

#[actix::test]
async fn lines_to_one_session_wait_for_that_session_alone() {
    let (stage, mut one, mut two) = two_sessions().await;
    let mut to_one = actix::spawn(tell(&stage, "1"));
    let (deliver, _) = one.delivered.next().await;
    let to_two = tell(&stage, "2");
    let delivered = async { drop(two.delivered.next().await) };
    assert_eq!(tokio::join!(to_two, delivered).0, Ok(Ok(())));
    tokio::select! {
        () = settle() => {}
        _ = &mut to_one => panic!("answered before the session had accepted it"),
    }
    drop(deliver);
    assert_eq!(soon(to_one).await.unwrap(), Ok(Ok(())));
}

#[actix::test]
async fn an_unknown_or_ambiguous_session_is_an_error_that_names_the_numbers() {
    let (stage, mut one, mut two) = two_sessions().await;
    rename(&stage, "1", Some("anna")).await.unwrap();
    let several = DeskError::Several { who: Who::parse("anna"), numbers: vec![1, 2] };
    assert_eq!(soon(tell(&stage, "anna")).await, Ok(Err(several)));
    for who in ["3", "bob", "127.0.0.1:3"] {
        let unknown = DeskError::Unknown(Who::parse(who));
        assert_eq!(soon(tell(&stage, who)).await, Ok(Err(unknown.clone())));
        assert_eq!(soon(stage.hub.send(Kick { who: Who::parse(who) })).await, Ok(Err(unknown)));
    }
    assert!(one.delivered.is_empty().await && two.delivered.is_empty().await);
}

#[actix::test]
async fn a_kicked_session_has_the_stall_time_to_end() {
    tokio::time::pause();
    let (stage, mut one, mut two) = two_sessions().await;
    let start = tokio::time::Instant::now();
    assert_eq!(soon(stage.hub.send(Kick { who: Who::parse("1") })).await, Ok(Ok(())));
    let (close, _) = one.closed.next().await;
    assert_eq!((close.reason, close.output_alive), (CloseReason::Kicked, true));
    assert_eq!(close.deadline, start + Duration::from_secs(10));
    assert!(two.closed.is_empty().await);
}

#[actix::test]
async fn renaming_to_nothing_restores_the_original_name() {
    let mut names = Names::default();
    names.insert("127.0.0.1/32".parse().unwrap(), "bench".parse().unwrap());
    let (print, console) = stub();
    let roster = Roster::default();
    let settings = Settings { names, roster: Some(roster.clone()), ..settings(2) };
    let (hub, gone) = Hub::new(settings, print, Vec::new());
    let mut stage = Stage { hub: hub.start(), console, gone };
    let (id, _session) = stage.registered(1).await;
    let name = async |stage: &Stage| {
        let rows = soon(stage.hub.send(List)).await.unwrap();
        rows[0].session.name.as_deref().map(str::to_owned)
    };
    assert_eq!(name(&stage).await.as_deref(), Some("bench"));
    rename(&stage, "1", Some("anna")).await.unwrap();
    assert_eq!(name(&stage).await.as_deref(), Some("anna"));
    assert_eq!(roster.complete_command("/tell a"), ["anna"]);
    rename(&stage, "anna", None).await.unwrap();
    assert_eq!(name(&stage).await.as_deref(), Some("bench"));
    let deregister = Deregister { id, reason: CloseReason::Left, unfinished: None };
    soon(stage.hub.send(deregister)).await.unwrap();
    assert!(roster.complete_command("/tell ").is_empty());
}

#[actix::test]
async fn the_list_shows_what_the_gauges_show() {
    let stage = stage(4);
    let gauges = Arc::<Gauges>::default();
    let session = SessionHandle { deliver: stub().0, close: stub().0 };
    let (kind, shown) = (PeerKind::Client, Arc::clone(&gauges));
    let register = Register { peer: peer(1), kind, session, gauges: shown };
    soon(stage.hub.send(register)).await.unwrap().unwrap();
    gauges.count_in(3, 30);
    gauges.count_out(2, 20);
    gauges.set_queued(15);
    let rows = soon(stage.hub.send(List)).await.unwrap();
    let reading = rows[0].reading;
    assert_eq!((reading.lines_in, reading.bytes_in), (3, 30));
    assert_eq!((reading.lines_out, reading.bytes_out, reading.queued), (2, 20, 15));
    assert_eq!(rows[0].session, info(1, 1));
}
