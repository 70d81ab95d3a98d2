//! Waiting for a slot: clients that come and go are not refused, and the limit stays exact.

use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::{Hub, Peer, heavy, wait_until};

const REFUSAL: &str = "421 Server rejected due to too many clients\n";

/// A hub with one slot, and this long a wait for it.
fn hub_with_one_slot(slot: &str) -> Hub {
    let config = format!("[timeouts]\nslot = \"{slot}\"\n");
    Hub::with_config(&config, &["--max-sessions", "1"])
}

/// Connects, sends a line and closes without reading the greeting, as a line of a shell script does.
fn send_and_close(hub: &Hub, line: &str) {
    use std::io::Write;
    let mut stream = TcpStream::connect(hub.address).unwrap();
    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The text of the next client line on stdout, as it was sent.
fn message(hub: &Hub) -> String {
    let line = hub.program.out.find("Client message = ");
    line.split_once("Client message = ").unwrap().1.chars().rev().collect()
}

/// Starts clients that wait for a slot, and returns when the hub has accepted all of them.
fn waiting_clients(hub: &Hub, count: usize) -> Vec<Peer> {
    linehub::program::descriptors::make_room_for(count).unwrap();
    let before = hub.program.descriptors();
    let clients = (0..count).map(|_| Peer::connect(hub.address)).collect();
    wait_until("they are accepted", || (hub.program.descriptors() >= before + count).then_some(()));
    clients
}

#[test]
fn two_hundred_clients_that_send_one_line_and_leave_are_all_admitted() {
    for limit in ["1", "4"] {
        let mut hub = Hub::start(&["--max-sessions", limit]);
        for number in 0..200 {
            send_and_close(&hub, &format!("line {number:03}"));
        }
        let mut received: Vec<_> = (0..200).map(|_| message(&hub)).collect();
        if limit != "1" {
            // Several sessions at once: only the lines of one client have an order.
            received.sort_unstable();
        }
        let expected: Vec<_> = (0..200).map(|number| format!("line {number:03}")).collect();
        assert_eq!(received, expected);
        hub.program.stop();
        let err = hub.program.err.rest();
        assert!(!err.contains("refused"), "{err}");
    }
}

#[test]
fn four_of_two_hundred_clients_that_stay_are_admitted_and_the_others_read_why_not() {
    let _turn = heavy();
    let hub = Hub::start(&[]);
    let mut clients: Vec<Peer> = (0..200).map(|_| Peer::connect(hub.address)).collect();
    for client in &mut clients {
        client.send("I would like to say something\n".repeat(1000));
    }
    let mut admitted = Vec::new();
    for mut client in clients {
        let line = client.line();
        if line.starts_with("220 ") {
            // It keeps its slot until all others have been answered.
            admitted.push((line, client));
        } else {
            assert_eq!(format!("{line}\n{}", client.rest()), REFUSAL);
        }
    }
    let mut greetings: Vec<_> = admitted.iter().map(|(line, _)| line.as_str()).collect();
    greetings.sort_unstable();
    let expected: Vec<_> = (1..=4).map(|n| format!("220 linehub ready: client {n} of 4")).collect();
    assert_eq!(greetings, expected);
}

#[test]
fn clients_are_served_in_the_order_in_which_they_came() {
    let hub = hub_with_one_slot("1m");
    let holder = hub.peer();
    let mut waiting: Vec<Peer> = (0..20).map(|_| Peer::connect(hub.address)).collect();
    hub.program.out.find("New connection");
    // Clients that have left while they waited are admitted and read like any other.
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(format!("I am {number}\n"));
        if number % 2 == 0 {
            client.half_close();
        }
    }
    holder.leave();
    for (number, mut client) in waiting.into_iter().enumerate() {
        let name = client.address();
        hub.program.out.find("Closing connection");
        hub.says(&format!("> New connection [{name}]"));
        assert_eq!(message(&hub), format!("I am {number}"));
        assert_eq!(client.line(), "220 linehub ready: client 1 of 1");
        assert_eq!(if number % 2 == 0 { client.rest() } else { client.leave() }, "");
    }
}

#[test]
fn clients_that_left_before_they_were_admitted_are_still_read() {
    let hub = hub_with_one_slot("1m");
    let holder = hub.peer();
    for number in 0..20 {
        send_and_close(&hub, &format!("line {number}"));
    }
    holder.leave();
    for number in 0..20 {
        assert_eq!(message(&hub), format!("line {number}"));
    }
    // Nobody has kept the slot.
    hub.peer();
}

#[test]
fn a_thousand_waiting_clients_delay_no_other_and_are_refused_when_the_hub_stops() {
    let _turn = heavy();
    let mut hub = hub_with_one_slot("1m");
    let mut holder = hub.peer();
    let mut waiting = waiting_clients(&hub, 1000);
    holder.send("can you hear me?\n");
    assert_eq!(message(&hub), "can you hear me?");
    hub.program.enter("loud and clear");
    assert_eq!(holder.line(), "loud and clear");
    holder.leave();
    assert_eq!(waiting[0].line(), "220 linehub ready: client 1 of 1");
    let mut admitted = waiting.remove(0);
    for client in waiting.iter_mut().step_by(2) {
        client.send("I am still here\n");
    }
    hub.program.signal(Signal::TERM);
    for client in &mut waiting {
        assert_eq!(client.rest(), REFUSAL);
    }
    assert_eq!(admitted.rest(), "");
    drop((waiting, admitted));
    hub.program.ends_with(0);
}

#[test]
fn without_a_wait_a_client_is_refused_at_once() {
    for off in ["off", "0s"] {
        let hub = hub_with_one_slot(off);
        let holder = hub.peer();
        // If they waited for a slot, they would have to wait for each other, too.
        for _ in 0..500 {
            assert_eq!(Peer::connect(hub.address).rest(), REFUSAL);
        }
        holder.leave();
        hub.peer();
    }
}

#[test]
fn the_slot_is_free_before_the_leaver_sees_its_connection_close() {
    let hub = hub_with_one_slot("off");
    for _ in 0..200 {
        hub.peer().leave();
    }
}

#[test]
fn a_client_whose_time_has_run_out_is_refused_and_the_next_one_is_still_waiting() {
    let hub = hub_with_one_slot("300ms");
    let holder = hub.peer();
    let mut first = Peer::connect(hub.address);
    assert_eq!(first.rest(), REFUSAL);
    let mut second = Peer::connect(hub.address);
    second.send("my turn\n");
    holder.leave();
    assert_eq!(second.line(), "220 linehub ready: client 1 of 1");
    assert_eq!(message(&hub), "my turn");
}
