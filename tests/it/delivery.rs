//! No line is lost, duplicated or reordered, and memory stays flat.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::Stdio,
    thread,
    time::Duration,
};

use crate::support::{Hub, Peer, Program, heavy, nap, server_command};

/// Lines per test. A tenth in a debug build.
const LINES: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// The limit of peak memory, in KiB.
const MEMORY: u64 = 32 * 1024;

/// A hub and its stdout, from which only the first line has been read.
fn hub_with_stdout(args: &[&str]) -> (Hub, BufReader<std::process::ChildStdout>) {
    let mut command = server_command();
    let command = command.args(["--bind", "127.0.0.1"]).args(args).arg("0").stdin(Stdio::piped());
    let (program, stdout) = Program::with_stdout(command);
    let mut stdout = BufReader::new(stdout);
    (hub_bound_as_in(&mut stdout, program), stdout)
}

/// A hub whose port is in the first line of its stdout.
fn hub_bound_as_in(stdout: &mut impl BufRead, program: Program) -> Hub {
    let mut bound = String::new();
    stdout.read_line(&mut bound).unwrap();
    let port = bound.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
    Hub { program, address: ([127, 0, 0, 1], port).into() }
}

#[test]
fn waits_for_a_non_blocking_stdout() {
    let _turn = heavy();
    let (reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "0"]).stdin(Stdio::null()).stdout(writer);
    let program = Program::spawn(&mut command);
    drop(command);
    let mut stdout = BufReader::new(reader);
    let mut hub = hub_bound_as_in(&mut stdout, program);
    let mut peer = hub.peer();
    let sending = thread::spawn(move || {
        for _ in 0..LINES / 1000 {
            peer.send("0123456789abcde\n".repeat(1000));
        }
        peer.leave();
    });
    // Much longer than it takes to fill the pipe.
    nap(Duration::from_millis(300));
    let messages = |line: &String| line.ends_with(" Client message = edcba9876543210");
    let lines = stdout.lines().map(Result::unwrap);
    let received = lines.take_while(|line| !line.contains("Closing")).filter(messages).count();
    assert_eq!(received, LINES);
    sending.join().unwrap();
    hub.program.stop();
}

#[test]
fn a_million_lines_reach_four_peers_of_different_speeds() {
    let _turn = heavy();
    let mut hub = Hub::start(&[]);
    let peers: Vec<_> = (0..4).map(|_| hub.peer()).collect();
    let receiving: Vec<_> = peers
        .into_iter()
        .enumerate()
        .map(|(slowness, mut peer)| {
            thread::spawn(move || {
                for number in 0..LINES {
                    assert_eq!(peer.line(), format!("line {number}"));
                    if number % 20_000 == 0 {
                        nap(Duration::from_millis(10 * slowness as u64));
                    }
                }
                peer.leave()
            })
        })
        .collect();
    let stdin = hub.program.stdin.as_mut().unwrap();
    let mut block = Vec::new();
    for number in 0..LINES {
        writeln!(block, "line {number}").unwrap();
        if block.len() > 50_000 || number + 1 == LINES {
            stdin.write_all(&block).unwrap();
            block.clear();
        }
    }
    for receiving in receiving {
        assert_eq!(receiving.join().unwrap(), "", "no line arrives twice");
    }
    let memory = hub.program.status("VmHWM");
    assert!(memory < MEMORY, "{memory} KiB");
}

#[test]
fn a_million_lines_of_four_peers_reach_a_slow_stdout() {
    let _turn = heavy();
    let (hub, mut stdout) = hub_with_stdout(&[]);
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let mut peer = hub.peer();
            thread::spawn(move || {
                let mut block = String::new();
                for number in 0..LINES / 4 {
                    block += &format!("{sender}.{number}\n");
                    if block.len() > 50_000 {
                        peer.send(&block);
                        block.clear();
                    }
                }
                peer.send(&block);
                peer.leave()
            })
        })
        .collect();
    let mut next = [0; 4];
    let mut line = String::new();
    let mut read = 0;
    while read < LINES / 4 * 4 {
        line.clear();
        stdout.read_line(&mut line).unwrap();
        let Some((_, text)) = line.trim_end().split_once("Client message = ") else { continue };
        let text: String = text.chars().rev().collect();
        let (sender, number) = text.split_once('.').unwrap();
        let sender: usize = sender.parse().unwrap();
        assert_eq!(number.parse(), Ok(next[sender]), "of sender {sender}");
        next[sender] += 1;
        read += 1;
        if read == LINES / 2 {
            nap(Duration::from_secs(2));
        } else if read % 10_000 == 0 {
            nap(Duration::from_millis(5));
        }
    }
    for sender in senders {
        assert_eq!(sender.join().unwrap(), "");
    }
    let memory = hub.program.status("VmHWM");
    assert!(memory < MEMORY, "{memory} KiB");
}

#[test]
fn a_thousand_sessions_at_full_load_stay_within_their_memory() {
    let _turn = heavy();
    const SESSIONS: usize = 1000;
    let (mut hub, mut stdout) = hub_with_stdout(&["--max-sessions", "1000"]);
    linehub::program::descriptors::make_room_for(SESSIONS).unwrap();
    // Nobody reads stdout while they connect: their events do not fill the pipe.
    let mut peers: Vec<Peer> = (0..SESSIONS).map(|_| hub.peer()).collect();
    let message = format!("{}\n", "m".repeat(63)).repeat(1000);
    // Each peer sends as much as the kernel accepts, and none reads.
    for peer in &mut peers {
        peer.stream().set_nonblocking(true).unwrap();
        while peer.stream().write(message.as_bytes()).is_ok() {}
    }
    let mut operator = hub.program.stdin.take().unwrap();
    let block = format!("{}\n", "b".repeat(63)).repeat(1000);
    let relaying = thread::spawn(move || {
        for _ in 0..30 {
            operator.write_all(block.as_bytes()).unwrap();
        }
        operator
    });
    // Reads enough of stdout that every session has had its turn.
    let mut space = vec![0; 1 << 20];
    let mut left = 200 << 20;
    while left > 0 {
        left -= stdout.read(&mut space).unwrap().min(left);
    }
    let memory = hub.program.status("VmHWM");
    assert!(memory < 2 * MEMORY, "{memory} KiB");
    drop((hub, stdout, peers));
    // The hub is gone, so the operator's thread ends with a broken pipe.
    let _ = relaying.join();
}
