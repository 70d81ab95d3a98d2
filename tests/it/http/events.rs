//! The stream of events: order, resumption, filters, gaps, and its end.

use serde_json::json;

use super::web::Web;

#[test]
fn events_come_in_the_order_of_stdout_and_are_the_same_json() {
    let web = Web::with_config("[console]\nformat = \"text\"\n");
    let mut events = web.events("?since=0", "");
    let mut one = web.hub.peer();
    one.send("a\nb\n");
    web.hub.program.out.find("Client message = b");
    web.post("/api/v1/broadcast", "c\nd");
    let expected = ["bound", "admin", "connected", "message", "message", "broadcast", "broadcast"];
    let got = expected.map(|_| events.expect());
    assert_eq!(got.each_ref().map(|event| event.kind.as_str()), expected);
    for (event, number) in got.iter().zip(1..) {
        assert_eq!((event.number(), &event.data["event"]), (number, &json!(event.kind)));
    }
    assert_eq!(got[3].data["text"], "a");
    assert_eq!((&got[6].data["text"], &got[6].data["by"]), (&json!("d"), &json!("http")));
}

#[test]
fn a_stream_is_resumed_after_any_id_also_in_the_middle_of_a_batch() {
    let web = Web::start();
    let mut all = web.events("?since=0", "");
    web.post("/api/v1/broadcast", "1\n2\n3\n4\n");
    let lines: Vec<_> = (0..4).map(|_| all.find("broadcast")).collect();
    let mut resumed = web.events(&format!("?since={}", lines[1].id), "");
    assert_eq!((resumed.expect(), resumed.expect()), (lines[2].clone(), lines[3].clone()));
    let mut resumed = web.events("?since=0", &format!("Last-Event-ID: {}\r\n", lines[2].id));
    assert_eq!(resumed.expect(), lines[3], "the header counts more");
    let mut now = web.events("", "");
    web.post("/api/v1/broadcast", "5");
    assert_eq!((now.expect().text(), resumed.expect().text()), ("5", "5"));
    let (run, newest) = (lines[0].id.split_once('-').unwrap().0, all.expect().number());
    for since in ["1", "", "x-1", &format!("{run}-"), &format!("{run}-{}", newest + 1)] {
        web.get(&format!("/api/v1/events?since={since}")).failed(400);
    }
    web.send("GET /api/v1/events", "Last-Event-ID: 0x\r\n", b"").failed(400);
}

#[test]
fn after_another_run_the_gap_has_no_number() {
    let web = Web::start();
    web.post("/api/v1/broadcast", "x");
    let mut events = web.events("?since=0123456789abcdef-5", "");
    let gap = events.expect();
    assert_eq!((gap.kind.as_str(), gap.number()), ("gap", 0));
    assert_eq!((&gap.data["where"], &gap.data["missed"]), (&json!("feed"), &json!(null)));
    assert_eq!(events.expect().kind, "bound");
}

#[test]
fn what_is_no_longer_kept_is_a_gap_with_the_exact_number() {
    let web = Web::with_config("[admin]\nbacklog = \"1 KiB\"\n");
    let mut first = web.events("?since=0", "");
    let bound = first.expect();
    for _ in 0..20 {
        assert_eq!(web.post("/api/v1/broadcast", "x".repeat(300)).status, 200);
    }
    let mut events = web.events(&format!("?since={}", bound.id), "");
    let (gap, next) = (events.expect(), events.expect());
    assert_eq!(gap.kind, "gap");
    let missed = gap.data["missed"].as_u64().unwrap();
    assert_eq!((gap.number(), next.number()), (1 + missed, 2 + missed));
    assert!(missed >= 16, "{missed}");
    let kept = web.events("?since=0", "").expect();
    assert_eq!(kept, next, "everything that is kept, without a gap");
}

#[test]
fn filters_choose_kinds_and_a_session() {
    let web = Web::start();
    let mut told = web.events("?kinds=told,disconnected", "");
    let mut second = web.events("?session=2", "");
    let (mut one, two) = (web.hub.peer(), web.hub.peer());
    web.post("/api/v1/broadcast", "to all");
    one.send("hello\n");
    web.post("/api/v1/sessions/1/lines", "one");
    web.post("/api/v1/sessions/2/lines", "two");
    assert_eq!((told.expect().text(), told.expect().text()), ("one", "two"));
    assert_eq!(second.expect().kind, "connected");
    assert_eq!(second.expect().text(), "two");
    drop(two);
    assert_eq!(second.expect().kind, "disconnected");
    assert!(web.get("/api/v1/events?kinds=tolt").failed(400).contains("tolt"));
    web.get("/api/v1/events?session=one").failed(400);
}

#[test]
fn a_stream_ends_after_stopped_and_new_requests_are_refused_while_draining() {
    let config = "[limits]\noutbox = \"128 KiB\"\n[timeouts]\ndrain = \"30s\"\n";
    let mut web = Web::with_config(config);
    let mut events = web.events("", "");
    let stuck = web.hub.small_peer();
    // What the peer does not read keeps the hub draining until the peer is gone.
    let line = format!("{}\n", "x".repeat(60_000));
    crate::support::wait_until("something is queued", || {
        web.post("/api/v1/sessions/1/lines", &line);
        (web.sessions()[0]["queued"].as_u64() > Some(0)).then_some(())
    });
    web.hub.program.signal(rustix::process::Signal::TERM);
    crate::support::wait_until("it drains", || (web.get("/readyz").status == 503).then_some(()));
    web.get("/api/v1/server").failed(503);
    web.get("/api/v1/nowhere").failed(404);
    assert_eq!((web.get("/healthz").status, web.get("/metrics").status), (200, 200));
    drop(stuck);
    events.find("stopped");
    assert_eq!(events.next(), None);
    web.hub.program.ends_with(0);
}
