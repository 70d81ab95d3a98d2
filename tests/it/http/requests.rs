//! Every request, with every status.

use rustix::process::Signal;
use serde_json::json;

use super::web::{Api, Web};
use crate::support::Hub;

#[test]
fn the_page_and_its_files_need_no_token() {
    let web = Web::start();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = web.send_raw(&format!("GET {path}"), "Host: localhost\r\n", b"");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert!(answer.body.len() > 1);
    }
}

#[test]
fn the_figures_of_the_server_and_its_sessions_are_exact() {
    let web = Web::with_config("[server]\nmax_sessions = 2\n[timeouts]\nslot = \"off\"\n");
    let (mut one, two) = (web.hub.peer(), web.hub.peer());
    let mut refused = crate::support::Peer::connect(web.hub.address);
    assert!(refused.rest().starts_with("421 "));
    one.send("hello\r\né\n");
    web.hub.program.out.find("Client message = olleh");
    web.hub.program.out.find("Client message = é");
    assert_eq!(web.post("/api/v1/broadcast", "to all\n").status, 200);
    let server = web.get("/api/v1/server").json();
    assert!(server["since"].as_str().unwrap().ends_with('Z'), "{server}");
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "address": web.hub.address.to_string(),
        "since": server["since"], "sessions": 2, "max_sessions": 2, "reverse": true,
        "cluster": null, "lines_in": 2, "lines_out": 2, "bytes_in": 10, "bytes_out": 14,
        "connections": 2, "refused": 1, "discarded": 0,
    });
    assert_eq!(server, expected);
    let sessions = web.sessions();
    let expected = json!({
        "id": 1, "name": null, "peer": one.address().to_string(), "since": sessions[0]["since"],
        "lines_in": 2, "bytes_in": 10, "lines_out": 1, "bytes_out": 7, "queued": 0,
        "state": "ok", "tls": false, "certificate": null,
    });
    assert_eq!(sessions[0], expected);
    assert_eq!(sessions[1]["id"], 2);
    let after = web.get("/api/v1/sessions?after=1").json();
    assert_eq!((after.as_array().unwrap().len(), &after[0]["id"]), (1, &json!(2)));
    assert!(web.get("/api/v1/sessions?after=one").failed(400).starts_with("after: "));
    drop(two);
}

#[test]
fn lines_go_to_all_or_to_one_and_are_data() {
    let web = Web::start();
    let (mut one, mut two) = (web.hub.peer(), web.hub.peer());
    let sent = web.post("/api/v1/broadcast", "/who\r\nlast");
    assert_eq!((sent.status, sent.body.as_str()), (200, r#"{"lines":2,"sessions":2}"#));
    let sent = web.post("/api/v1/sessions/2/lines", "\u{1b}[2J\n\n");
    assert_eq!((sent.status, sent.body.as_str()), (200, r#"{"lines":2}"#));
    assert_eq!((one.line(), one.line()), ("/who".to_owned(), "last".to_owned()));
    for line in ["/who", "last", "\u{1b}[2J", ""] {
        assert_eq!(two.line(), line);
    }
    let prompt = "> Enter message to send to all clients : ";
    assert_eq!(web.hub.program.out.find("who"), format!("{prompt}/who"));
    web.hub.says(&format!("{prompt}last"));
    let told = format!("> [{}] Message to client = ", two.address());
    web.hub.says(&format!("{told}\\u{{1b}}[2J"));
    web.hub.says(&told);
    web.post("/api/v1/sessions/3/lines", "x").failed(404);
}

#[test]
fn an_empty_body_is_no_lines() {
    let web = Web::start();
    let _one = web.hub.peer();
    assert_eq!(web.post("/api/v1/broadcast", "").body, r#"{"lines":0,"sessions":1}"#);
    assert_eq!(web.post("/api/v1/sessions/1/lines", "").body, r#"{"lines":0}"#);
}

#[test]
fn a_body_with_a_bad_line_sends_nothing() {
    let web = Web::with_config("[limits]\nmax_line = 10\n");
    let mut one = web.hub.peer();
    let error = web.post("/api/v1/broadcast", "good\nlonger than ten\n").failed(422);
    assert_eq!(error, "a line of 15 bytes is longer than limits.max_line (10 bytes)");
    web.post("/api/v1/sessions/1/lines", b"good\n\xff\n").failed(422);
    web.post("/api/v1/sessions/1/ask", b"\xff").failed(422);
    web.post("/api/v1/broadcast", "exactly 10\r\n");
    assert_eq!(one.line(), "exactly 10");
}

#[test]
fn a_body_larger_than_an_outbox_arrives_whole() {
    let web = Web::with_config("[limits]\noutbox = \"128 KiB\"\n");
    let mut one = web.hub.peer();
    let lines = format!("{}\n", "x".repeat(1023)).repeat(1024);
    let reading = std::thread::spawn(move || one.bytes(1 << 20));
    let sent = web.post("/api/v1/broadcast", &lines);
    assert_eq!(sent.body, r#"{"lines":1024,"sessions":1}"#);
    assert!(reading.join().unwrap() == lines.as_bytes());
}

#[test]
fn a_session_is_named_and_gets_its_own_name_back() {
    let web = Web::with_config("[names]\n\"127.0.0.1\" = \"local\"\n");
    let _one = web.hub.peer();
    let name = |body: &[u8]| web.send("PUT /api/v1/sessions/1/name", "", body);
    let named = |expected: &str| assert_eq!(web.sessions()[0]["name"], expected);
    named("local");
    assert_eq!((name(b"scope").status, name(b"scope").body.as_str()), (204, ""));
    named("scope");
    assert_eq!(name(b"bench\n").status, 204);
    named("bench");
    for bad in ["two words", "12", "a/b", &"x".repeat(65), "\u{202e}"] {
        name(bad.as_bytes()).failed(422);
    }
    named("bench");
    assert_eq!(name(b"").status, 204);
    named("local");
    web.send("PUT /api/v1/sessions/2/name", "", b"x").failed(404);
}

#[test]
fn a_session_is_kicked_and_the_event_says_by_whom() {
    let web = Web::start();
    let mut one = web.hub.peer();
    let mut events = web.events("?kinds=disconnected", "");
    let kicked = web.send("DELETE /api/v1/sessions/1", "", b"");
    assert_eq!((kicked.status, kicked.body.as_str()), (202, ""));
    assert_eq!(one.rest(), "");
    let event = events.expect();
    assert_eq!((&event.data["reason"], &event.data["by"]), (&json!("kicked"), &json!("http")));
    web.send("DELETE /api/v1/sessions/1", "", b"").failed(404);
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_allowed_is_405() {
    let web = Web::start();
    let _one = web.hub.peer();
    for path in ["/api/v1", "/api/v1/reload", "/favicon.ico", "/api/v1/sessions/x/lines", "/api"] {
        web.post(path, "").failed(404);
    }
    web.get("/api/v1/sessions/7/lines").failed(404);
    web.get("/api/v1/sessions/01x").failed(404);
    for (request, allowed) in [
        ("GET /api/v1/broadcast", "POST"),
        ("GET /api/v1/sessions/1/lines", "POST"),
        ("POST /api/v1/sessions/1/name", "PUT"),
        ("POST /api/v1/sessions/1", "DELETE"),
        ("DELETE /api/v1/sessions", "GET,HEAD"),
        ("POST /healthz", "GET,HEAD"),
        ("POST /", "GET,HEAD"),
    ] {
        let answer = web.send(request, "", b"");
        answer.failed(405);
        assert_eq!(answer.header("allow"), Some(allowed), "{request}");
    }
}

#[test]
fn only_text_of_a_known_size_is_taken() {
    let web = Web::start();
    let post = "POST /api/v1/broadcast";
    for kind in ["application/json", "text/plain; charset=latin1", "text/html", ""] {
        web.send(post, &format!("Content-Type: {kind}\r\n"), b"x").failed(415);
    }
    for kind in ["text/plain", "TEXT/PLAIN; charset=UTF-8", "text/plain;charset=\"utf-8\""] {
        let answer = web.send(post, &format!("Content-Type: {kind}\r\n"), b"x");
        assert_eq!(answer.status, 200, "{kind}");
    }
    let large = vec![b'\n'; (1 << 20) + 1];
    web.post("/api/v1/broadcast", &large).failed(413);
    web.send(post, "Content-Length: 99999999999\r\n", b"").failed(413);
    let chunked = format!("{:x}\r\n{}\r\n0\r\n\r\n", large.len(), "\n".repeat(large.len()));
    let answer = web.send_chunked(post, chunked.as_bytes());
    answer.failed(413);
    let answer = web.send_chunked(post, b"2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(answer.body, r#"{"lines":1,"sessions":0}"#);
}

#[test]
fn a_parameter_that_is_not_known_or_there_twice_is_an_error() {
    let web = Web::start();
    let _one = web.hub.peer();
    for path in
        ["/api/v1/server?x=1", "/api/v1/sessions?after=1&after=2", "/api/v1/events?kind=told"]
    {
        web.get(path).failed(400);
    }
    web.post("/api/v1/broadcast?x", "x").failed(400);
}

#[test]
fn of_two_faults_the_first_in_the_order_of_the_checks_is_told() {
    let web = Web::start();
    let _one = web.hub.peer();
    let token = format!("Authorization: Bearer {}\r\n", super::web::SECRET);
    let (evil, good) = ("Host: evil.example\r\n", "Host: localhost\r\n");
    let json = "Content-Type: application/json\r\n";
    let foreign = "Origin: http://evil.example\r\n";
    let nowhere = "GET /api/v1/nowhere";
    web.send_raw(nowhere, foreign, b"").failed(400);
    web.send_raw(nowhere, &format!("{evil}{foreign}"), b"").failed(421);
    web.send_raw(nowhere, &format!("{good}{foreign}"), b"").failed(403);
    web.send_raw(nowhere, good, b"").failed(401);
    web.send_raw("PATCH /api/v1/nowhere", &format!("{good}{token}"), b"").failed(404);
    web.send_raw("PATCH /api/v1/sessions/9/lines", &format!("{good}{token}"), b"").failed(404);
    let patch = "PATCH /api/v1/sessions/1/lines";
    web.send_raw(patch, &format!("{good}{token}{json}"), b"\xff").failed(405);
    let large = vec![0xff; (1 << 20) + 1];
    let post = "POST /api/v1/sessions/1/ask?lines=x";
    web.send_raw(post, &format!("{good}{token}{json}"), &large).failed(415);
    web.send_raw(post, &format!("{good}{token}"), &large).failed(413);
    web.send_raw(post, &format!("{good}{token}"), b"\xff").failed(422);
    web.send_raw(post, &format!("{good}{token}"), b"x").failed(400);
}

#[test]
fn a_stuck_stdout_is_no_reason_to_restart_the_hub() {
    let config = "[admin]\nlisten = \"127.0.0.1:0\"\n[timeouts]\ndrain = \"100ms\"\n";
    let (mut hub, [line]) = Hub::with_unread_stdout_after(config);
    let address = line.trim_start_matches("> Web console at http://").trim().trim_end_matches('/');
    let api = Api { address: address.parse().unwrap() };
    let mut peer = hub.peer();
    peer.fill();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(api.get(path).status, 200, "{path}");
    }
    hub.program.signal(Signal::TERM);
    hub.program.ends_with(0);
}
