//! With several event loops the hub behaves as it does with one.

use std::{collections::HashMap, thread};

use rustix::process::Signal;

use crate::support::{Hub, Peer};

const CONFIG: &str = "[server]\nworkers = 2\n";

#[test]
fn lines_arrive_in_order_in_both_directions() {
    const LINES: usize = 5000;
    let mut hub = Hub::with_config(CONFIG, &["--format", "json"]);
    let peers: Vec<Peer> = (0..4).map(|_| hub.peer()).collect();
    let clients = peers.into_iter().map(|mut peer| {
        thread::spawn(move || {
            let lines: String = (0..LINES).map(|number| format!("{number}\n")).collect();
            peer.send(lines);
            for number in 0..LINES {
                assert_eq!(peer.line(), format!("line {number}"));
            }
            assert_eq!(peer.leave(), "", "no line arrives twice");
        })
    });
    let clients: Vec<_> = clients.collect();
    for number in 0..LINES {
        hub.program.enter(&format!("line {number}"));
    }
    let mut next = HashMap::<String, usize>::new();
    for _ in 0..4 * LINES {
        let event = hub.event_named("message");
        let next = next.entry(event["peer"].to_string()).or_default();
        let number: String = event["text"].as_str().unwrap().chars().rev().collect();
        assert_eq!(number, next.to_string());
        *next += 1;
    }
    for client in clients {
        client.join().unwrap();
    }
    hub.program.stop();
}

#[test]
fn the_limit_is_exact_and_a_slot_is_free_before_its_leaver_sees_the_close() {
    let hub = Hub::with_config(CONFIG, &[]);
    let connecting: Vec<_> = (0..40)
        .map(|_| {
            let address = hub.address;
            thread::spawn(move || {
                let mut peer = Peer::connect(address);
                (peer.line(), peer)
            })
        })
        .collect();
    let peers = connecting.into_iter().map(|peer| peer.join().unwrap());
    let (mut admitted, refused): (Vec<_>, Vec<_>) =
        peers.partition(|(line, _)| line.starts_with("220 "));
    assert_eq!(admitted.len(), 4);
    let full = "421 Server rejected due to too many clients";
    assert!(refused.iter().all(|(line, _)| line == full));
    let (_, mut peer) = admitted.pop().unwrap();
    for _ in 0..50 {
        peer.leave();
        peer = hub.peer();
    }
}

#[test]
fn stops_in_order() {
    let mut hub = Hub::with_config(CONFIG, &["--format", "json"]);
    let mut peers: Vec<Peer> = (0..4).map(|_| hub.peer()).collect();
    for peer in &mut peers {
        peer.send("sent before\n");
    }
    hub.program.enter("entered before");
    for peer in &mut peers {
        assert_eq!(peer.line(), "entered before");
    }
    hub.program.signal(Signal::TERM);
    for peer in &mut peers {
        assert_eq!(peer.rest(), "", "an orderly close");
    }
    hub.program.ends_with(0);
    let rest = hub.program.out.rest();
    let count = |part| rest.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("erofeb tnes"), 4, "{rest}");
    assert_eq!(count("\"reason\":\"shutdown\""), 4, "{rest}");
    assert!(rest.ends_with("\"event\":\"stopped\"}\n"), "{rest}");
}
