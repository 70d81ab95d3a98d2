//! When it runs out of descriptors the hub reports it once, waits, and recovers.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::support::{Hub, Peer, Program, command, heavy, wait_until};

const SERVER: &str = env!("CARGO_BIN_EXE_hub-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_hub-client");

fn limited(descriptors: usize, args: &[&str]) -> Command {
    let mut command = limited_program(descriptors, SERVER);
    command.args(["--bind", "127.0.0.1"]).args(args).arg("0");
    command
}

fn limited_program(descriptors: usize, program: &str) -> Command {
    let mut command = command("sh");
    let script = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, program]);
    command
}

/// Starts it with an empty stdin.
fn start(command: &mut Command) -> Program {
    Program::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))
}

/// Whether it starts. If not, it must end with one sentence that explains why.
fn starts(program: &mut Program, name: &str) -> bool {
    let starts = program.out.try_next().is_some();
    if !starts {
        program.ends_with(1);
        let why = "too few file descriptors are allowed (Too many open files)";
        assert_eq!(program.err.rest(), format!("{name}: cannot start: {why}\n"));
    }
    starts
}

/// Checks that it starts from some number of descriptors on, and explains why not below that.
fn starts_or_explains_why_not(
    name: &str,
    limited: impl Fn(usize) -> Command,
    end: fn(&mut Program),
) {
    let mut least = None;
    for descriptors in 4..=40 {
        let mut program = start(&mut limited(descriptors));
        if starts(&mut program, name) {
            end(&mut program);
            least = least.or(Some(descriptors));
        } else {
            assert_eq!(least, None, "{descriptors} are too few");
        }
    }
    assert!(least.is_some());
}

#[test]
fn with_few_descriptors_the_server_starts_or_explains_why_not() {
    starts_or_explains_why_not(
        "hub-server",
        |descriptors| limited(descriptors, &[]),
        Program::stop,
    );
}

#[test]
fn with_few_descriptors_the_client_starts_or_explains_why_not() {
    let hub = Hub::start(&[]);
    let port = hub.address.port().to_string();
    let client = |descriptors| {
        let mut command = limited_program(descriptors, CLIENT);
        command.arg(&port);
        command
    };
    starts_or_explains_why_not("hub-client", client, |client| client.ends_with(0));
}

#[test]
fn each_event_loop_needs_its_own_descriptors() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "server.workers = 64").unwrap();
    let config = ["--config", file.path().to_str().unwrap()];
    for (descriptors, enough) in [(100, false), (250, false), (300, true)] {
        let mut program = start(&mut limited(descriptors, &config));
        assert_eq!(starts(&mut program, "hub-server"), enough, "{descriptors}");
    }
}

#[test]
fn runs_out_of_descriptors_and_recovers() {
    let _turn = heavy();
    let mut hub = Hub::start_as(&mut limited(40, &[]));
    let mut holders: Vec<Peer> = (0..4).map(|_| hub.peer()).collect();
    let mut others: Vec<Peer> = (0..200).map(|_| Peer::connect(hub.address)).collect();
    let expected = "hub-server: cannot accept connections for now: Too many open files";
    assert_eq!(hub.program.err.find("cannot accept"), expected);
    let before = hub.program.cpu();
    // All get an answer in the end, as the descriptors of earlier peers are closed.
    for peer in &mut others {
        assert_eq!(peer.line(), "421 Server rejected due to too many clients");
    }
    // A process that spins would use seconds of CPU time. A tick is a hundredth of one.
    let spent = hub.program.cpu() - before;
    assert!(spent < 100, "{spent} ticks");
    drop(others);
    holders[0].send("still up\n");
    hub.program.out.find("pu llits");
    holders.pop().unwrap().leave();
    hub.peer();
    drop(holders);
    hub.program.stop();
    let rest = hub.program.err.rest();
    let again = rest.lines().filter(|line| line.contains("cannot accept")).count();
    // It may report a second time if the backlog was empty for a moment while they connected.
    assert!(again < 2, "one report per shortage, not per attempt:\n{rest}");
}

#[test]
fn leaks_no_descriptors() {
    let hub = Hub::start(&[]);
    hub.peer().leave();
    let before = hub.program.descriptors();
    for round in 0..100 {
        let mut peers: Vec<Peer> = (0..6).map(|_| Peer::connect(hub.address)).collect();
        for peer in &mut peers {
            assert!(!peer.line().is_empty());
        }
        for peer in peers {
            if round % 2 == 0 { drop(peer) } else { peer.reset() }
        }
    }
    wait_until("the descriptors are closed", || {
        (hub.program.descriptors() <= before).then_some(())
    });
}

#[test]
fn reports_at_the_start_that_the_limit_is_too_low_for_max_sessions() {
    let mut hub = Hub::start_as(&mut limited(64, &["--max-sessions", "10000"]));
    assert_eq!(
        hub.program.err.next(),
        "hub-server: 10000 sessions do not fit into the limit of 64 open files: raise it (ulimit \
         -Hn) or lower server.max_sessions"
    );
    hub.peer();
    hub.program.stop();
}

#[test]
fn the_default_sessions_fit_into_a_hard_limit_of_1024_without_a_report() {
    let mut hub = Hub::start_as(&mut limited(1024, &[]));
    hub.peer();
    hub.program.stop();
    assert_eq!(hub.program.err.rest(), "");
}

#[test]
fn raises_the_soft_limit_to_what_the_sessions_need() {
    let script = "ulimit -Sn 64; exec \"$0\" \"$@\"";
    let mut command = command("sh");
    command.args(["-c", script, SERVER, "--bind", "127.0.0.1", "--max-sessions", "300", "0"]);
    let hub = Hub::start_as(&mut command);
    let table = hub.program.status("FDSize");
    let peers: Vec<Peer> = (0..300).map(|_| hub.peer()).collect();
    assert_eq!(peers.len(), 300);
    assert_eq!(
        hub.program.status("FDSize"),
        table,
        "the table was made at the start, not while peers connected"
    );
}
