//! Telnet clients: their commands are answered, and are in no line.

use crate::support::{Hub, heavy};
#[cfg(feature = "terminal")]
use crate::{
    foreign::is_installed,
    pty::{OnPty, WINDOW},
};

/// Who sends what at the start of `plink -telnet`: a subnegotiation, offers and requests.
const NEGOTIATION: &[u8] =
    b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03";

/// The text of the next client line on stdout.
fn message(hub: &Hub) -> String {
    let line = hub.program.out.find("Client message = ");
    line.split_once("Client message = ").unwrap().1.to_owned()
}

#[cfg(feature = "terminal")]
#[test]
fn telnet_works_after_ctrl_c() {
    const CTRL_C: &str = "\x03";

    if !is_installed("telnet") {
        return;
    }
    let mut hub = Hub::start(&[]);
    let port = hub.address.port().to_string();
    let telnet = OnPty::start("telnet", &["127.0.0.1", &port], "xterm", WINDOW);
    telnet.wait_for(|screen| screen.contains("220 linehub ready"));
    telnet.press("one\r");
    assert_eq!(message(&hub), "eno");
    for round in ["first", "second"] {
        telnet.press(CTRL_C);
        telnet.press(&format!("{round}\r"));
        // Some telnet clients drop what is typed until the hub has answered.
        let line = message(&hub);
        assert_eq!(line, round.chars().rev().collect::<String>());
        hub.program.enter(&format!("after the {round}"));
        telnet.wait_for(|screen| screen.contains(&format!("after the {round}")));
    }
}

#[test]
fn negotiation_is_declined_and_is_in_no_line() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send(NEGOTIATION);
    peer.send("taco cat\r\n");
    assert_eq!(message(&hub), "tac ocat");
    hub.program.enter("hello");
    let declined = NEGOTIATION.chunks(3).flat_map(|command| match command[1] {
        0xfb => [0xff, 0xfe, command[2]],
        _ => [0xff, 0xfc, command[2]],
    });
    let expected: Vec<u8> = declined.chain(*b"hello\n").collect();
    assert_eq!(peer.bytes(expected.len()), expected);
}

#[test]
fn the_timing_mark_after_an_interrupt_is_answered() {
    let hub = Hub::start(&[]);
    let mut peer = hub.peer();
    // Interrupt Process, a urgent Data Mark, and DO TIMING-MARK: what telnet sends for Ctrl-C.
    peer.send(b"half \xff\xf4");
    socket2::SockRef::from(peer.stream()).send_out_of_band(b"\xff\xf2").unwrap();
    peer.send(b"\xff\xfd\x06a line\n");
    assert_eq!(message(&hub), "enil a flah");
    assert_eq!(peer.bytes(3), b"\xff\xfc\x06");
}

#[test]
fn a_command_that_is_unfinished_at_the_end_is_removed() {
    for command in [&b"\xff"[..], b"\xff\xfd", b"\xff\xfa\x18\0no end\n"] {
        let hub = Hub::start(&[]);
        let mut peer = hub.peer();
        peer.send([b"last", command].concat());
        assert_eq!(peer.leave(), "");
        assert_eq!(message(&hub), "tsal");
    }
}

#[test]
fn an_endless_subnegotiation_hides_512_bytes_at_most() {
    let hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send([&b"a\xff\xfa"[..], &[b'x'; 512], b"b\n"].concat());
    assert_eq!(message(&hub), "ba");
}

#[test]
fn an_iac_in_the_middle_of_a_character_is_invalid_text() {
    let hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send(b"\xc3\xff\xa9!\n\xff\xff?\n");
    assert_eq!(message(&hub), "!\u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(message(&hub), "?\u{fffd}");
}

#[test]
fn with_telnet_off_its_bytes_are_data() {
    let hub = Hub::with_config("server.telnet = false\n", &[]);
    let mut peer = hub.peer();
    peer.send(b"a\xff\xfd\x06b\n");
    assert_eq!(message(&hub), "b\\u{6}\u{fffd}\u{fffd}a");
}

#[test]
fn a_flood_of_commands_in_noise_uses_no_memory_and_the_rest_of_the_text_is_whole() {
    let _turn = heavy();
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    let block =
        b"\xff\xfd\x01ta\xff\xfa\x18\0xterm\xff\xf0co\xff\xf9 \xff\xfb\x03cat\n".repeat(2000);
    let blocks = if cfg!(debug_assertions) { 100 } else { 1500 };
    let mut writer = peer.stream().try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        for _ in 0..blocks {
            std::io::Write::write_all(&mut writer, &block).unwrap();
        }
    });
    // The peer reads none of the answers.
    for _ in 0..2000 * blocks {
        assert_eq!(message(&hub), "tac ocat");
    }
    writing.join().unwrap();
    let memory = hub.program.status("VmHWM");
    assert!(memory < 16 * 1024, "{memory} KiB");
    hub.program.enter("still there?");
    // Answers are whole, wherever others were dropped.
    let mut next = peer.bytes(3);
    while next[0] == 0xff {
        next = peer.bytes(3);
    }
    assert_eq!(next, b"sti");
    assert_eq!(peer.line(), "ll there?");
}
