//! Who may ask: tokens, hosts, origins; and heads and bodies that are broken or late.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::web::{Answer, SECRET, Web, answer};

fn with_host(web: &Web, host: &str) -> Answer {
    let headers = format!("Host: {host}\r\nAuthorization: Bearer {SECRET}\r\n");
    web.send_raw("GET /api/v1/server", &headers, b"")
}

#[test]
fn every_request_that_is_not_open_needs_the_token() {
    let web = Web::start();
    for request in [
        "GET /api/v1/server",
        "GET /api/v1/sessions",
        "POST /api/v1/broadcast",
        "POST /api/v1/sessions/1/lines",
        "POST /api/v1/sessions/1/ask",
        "PUT /api/v1/sessions/1/name",
        "DELETE /api/v1/sessions/1",
        "GET /api/v1/events",
        "POST /api/v1/reload",
        "GET /metrics",
        "GET /nowhere",
    ] {
        let refused = web.send_raw(request, "Host: localhost\r\n", b"");
        assert_eq!(refused.failed(401), "expected a token: Bearer", "{request}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    for request in ["GET /", "GET /healthz", "GET /readyz"] {
        assert_eq!(web.send_raw(request, "Host: localhost\r\n", b"").status, 200, "{request}");
    }
}

#[test]
fn the_token_is_taken_from_nowhere_else() {
    let web = Web::start();
    for headers in [
        format!("Cookie: token={SECRET}\r\n"),
        format!("Authorization: Basic {SECRET}\r\n"),
        format!("Authorization: {SECRET}\r\n"),
        format!("X-Token: {SECRET}\r\n"),
    ] {
        let headers = format!("Host: localhost\r\n{headers}");
        web.send_raw("GET /api/v1/server", &headers, b"").failed(401);
    }
    let url = format!("GET /api/v1/server?token={SECRET}");
    web.send_raw(&url, "Host: localhost\r\n", b"").failed(401);
}

#[test]
fn after_ten_wrong_tokens_further_ones_are_429_and_the_right_one_works() {
    let web = Web::start();
    let wrong = |token: &str| {
        let headers = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
        web.send_raw("GET /api/v1/server", &headers, b"")
    };
    for _ in 0..10 {
        wrong("wrong").failed(401);
    }
    let refused = wrong(&format!("{SECRET}x"));
    refused.failed(429);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
    assert_eq!(web.get("/api/v1/server").status, 200);
    web.send_raw("GET /api/v1/server", "Host: localhost\r\n", b"").failed(401);
}

#[test]
fn the_host_is_an_address_localhost_or_one_that_is_configured() {
    let web = Web::with_config("[admin]\nhosts = [\"Hub.Example\"]\n");
    for host in
        ["127.0.0.1", "10.1.2.3:99", "[::1]:80", "localhost:1", "LOCALHOST", "hub.example:7"]
    {
        assert_eq!(with_host(&web, host).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "hub.example.", "127.0.0.1.nip.io"] {
        with_host(&web, host).failed(421);
    }
    with_host(&web, "evil@127.0.0.1").failed(421);
    for headers in ["", "Host: \r\n", "Host: a b\r\n", "Host: localhost\r\nHost: localhost\r\n"] {
        web.send_raw("GET /healthz", headers, b"").failed(400);
    }
    web.send_raw("GET http://evil.example/healthz", "Host: localhost\r\n", b"").failed(421);
}

#[test]
fn other_origins_and_other_sites_are_refused() {
    let web = Web::start();
    let send = |headers: &str| web.send("POST /api/v1/broadcast", headers, b"x");
    let own = web.address;
    for headers in [
        format!("Origin: http://{own}\r\n"),
        format!("Origin: https://{own}\r\n"),
        "Sec-Fetch-Site: same-origin\r\n".to_owned(),
        "Sec-Fetch-Site: none\r\n".to_owned(),
    ] {
        assert_eq!(send(&headers).status, 200, "{headers}");
    }
    for headers in [
        "Origin: null\r\n".to_owned(),
        "Origin: http://evil.example\r\n".to_owned(),
        format!("Origin: http://127.0.0.1:{}\r\n", own.port() ^ 1),
        format!("Origin: http://localhost:{}\r\n", own.port()),
        "Sec-Fetch-Site: cross-site\r\n".to_owned(),
        "Sec-Fetch-Site: same-site\r\n".to_owned(),
        format!("Origin: http://{own}\r\nSec-Fetch-Site: cross-site\r\n"),
    ] {
        send(&headers).failed(403);
    }
    let foreign = "Origin: http://evil.example\r\n";
    web.send("GET /metrics", foreign, b"").failed(403);
    assert_eq!(web.send("GET /healthz", foreign, b"").status, 200);
    let preflight = web.send("OPTIONS /api/v1/broadcast", foreign, b"");
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}

fn send(web: &Web, bytes: &[u8]) -> TcpStream {
    let mut stream = web.connect();
    // The hub may close before it has read all.
    let _ = stream.write_all(bytes);
    stream
}

#[test]
fn a_head_that_cannot_be_read_gets_a_bare_status() {
    let web = Web::start();
    assert_eq!(answer(send(&web, b"what?\r\n\r\n")).status, 400);
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(500_000));
    assert_eq!(answer(send(&web, long.as_bytes())).status, 431);
}

#[test]
fn a_late_head_is_closed_and_a_late_body_is_408() {
    let web = Web::start();
    let mut half = send(&web, b"GET / HTTP/1.1\r\nHost: loc");
    let head = format!(
        "POST /api/v1/broadcast HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\n\
         Content-Length: 10\r\n\r\nhalf"
    );
    let late = send(&web, head.as_bytes());
    let mut text = String::new();
    assert_eq!(half.read_to_string(&mut text).unwrap(), 0, "{text}");
    answer(late).failed(408);
}

#[test]
fn the_token_is_in_no_output() {
    let config = "[console]\nformat = \"json\"\n";
    let file = crate::support::config_file(config);
    let mut command = crate::support::server_command();
    command.env("LINEHUB_ADMIN_TOKEN", SECRET).args(["--admin", "127.0.0.1:0", "--config"]);
    let mut program =
        crate::support::Program::start(command.arg(file.path()).args(["--bind", "127.0.0.1", "0"]));
    let bound = program.out.next();
    let admin: serde_json::Value = serde_json::from_str(&program.out.next()).unwrap();
    assert_eq!(admin["event"], "admin");
    let address = admin["address"].as_str().unwrap().parse().unwrap();
    let api = super::web::Api { address };
    api.send_raw("GET /x", "Host: localhost\r\n", b"").failed(401);
    let mut stream = api.events("?since=0", "");
    let events = [stream.expect(), stream.expect()];
    assert_eq!(api.get("/api/v1/server").status, 200);
    program.stop();
    let output = format!("{bound}{admin}{events:?}{}{}", program.out.rest(), program.err.rest());
    assert!(!output.contains(SECRET), "{output}");
}
