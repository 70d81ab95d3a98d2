//! Limits: connections, requests at once, readers that do not read; and what the admin side costs.

use std::{
    io::{Read, Write},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::web::{SECRET, Web};
use crate::support::{PATIENCE, heavy, nap, wait_until};

#[test]
fn two_hundred_silent_connections_disturb_nobody() {
    let web = Web::start();
    let mut client = web.hub.peer();
    let mut silent: Vec<_> = (0..200).map(|_| web.connect()).collect();
    let start = Instant::now();
    assert_eq!(web.post("/api/v1/broadcast", "hello").status, 200);
    assert_eq!(client.line(), "hello");
    client.send("hi\n");
    web.hub.program.out.find("Client message = ih");
    assert!(start.elapsed() < Duration::from_secs(4), "they were not waited for");
    let closed = |stream: &mut std::net::TcpStream| stream.read(&mut [0]).unwrap_or(0);
    assert_eq!(closed(&mut silent[0]), 0, "the one that has been silent longest");
    assert!(web.hub.program.descriptors() < 60);
}

#[test]
fn the_seventeenth_reader_and_the_ninth_question_are_refused() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let mut readers: Vec<_> = (0..16).map(|_| web.events("", "")).collect();
    let refused = web.get("/api/v1/events");
    refused.failed(503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    readers.pop();
    wait_until("there is room", || {
        let mut stream = web.connect();
        let head = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (&status == b"HTTP/1.1 200").then_some(())
    });
    drop(readers);
    let (api, (sender, answers)) = (web.api, mpsc::channel());
    for _ in 0..9 {
        let sender = sender.clone();
        thread::spawn(move || {
            sender.send(api.post("/api/v1/sessions/1/ask?timeout=60s", "?").status).unwrap();
        });
    }
    assert_eq!(device.line(), "?");
    assert_eq!(answers.recv_timeout(PATIENCE), Ok(503), "the ninth");
    drop(device);
    for _ in 0..8 {
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(502));
    }
}

#[test]
fn readers_that_do_not_read_cost_nobody_anything() {
    let _heavy = heavy();
    let web = Web::with_config("[server]\nmax_sessions = 8\n");
    let readers: Vec<_> = (0..16).map(|_| web.events("?since=0", "")).collect();
    let mut client = web.hub.peer();
    let batch = "a line of a busy client, as long as most are\n".repeat(1000);
    for _ in 0..300 {
        client.send(&batch);
    }
    // Text is reversed in the order in which it was sent.
    client.send("end\n");
    web.hub.program.out.find("Client message = dne");
    let peak = web.hub.program.status("VmHWM");
    assert!(peak < 32 * 1024, "{peak} KiB");
    let mut readers = readers.into_iter();
    let mut reader = readers.next().unwrap();
    let (mut next, mut missed) = (1, 0);
    loop {
        let event = reader.expect();
        if event.kind == "gap" {
            missed += event.data["missed"].as_u64().unwrap();
            next = event.number() + 1;
            continue;
        }
        assert_eq!(event.number(), next, "no event is missing without a gap");
        next += 1;
        if event.data["text"] == "dne" {
            break;
        }
    }
    assert_eq!(next - 1, 3 + 300 * 1000 + 1);
    assert!(missed > 0);
}

#[test]
fn an_idle_admin_side_needs_little_memory_and_does_not_wake_up() {
    let plain = crate::support::Hub::start(&[]);
    let web = Web::start();
    nap(Duration::from_millis(300));
    let (without, with) = (plain.program.status("VmRSS"), web.hub.program.status("VmRSS"));
    assert!(with <= without + 1024, "{with} KiB instead of {without} KiB");
    let switches = || web.hub.program.status("voluntary_ctxt_switches");
    let before = switches();
    nap(Duration::from_millis(1500));
    assert_eq!(switches(), before);
}
