//! Both programs at a terminal: typed keys, arriving lines, and the screen that results.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use rustix::process::Signal;

use crate::{
    pty::{OnPty, WINDOW},
    support::Peer,
};

mod color;
mod commands;
mod dumb;
mod ends;
mod history;
mod jobs;
mod long_lines;
mod paste;

const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const CTRL_A: &str = "\x01";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_K: &str = "\x0b";
const CTRL_W: &str = "\x17";
const CTRL_Y: &str = "\x19";
const HELP: &str = "/help lists the commands, Ctrl-D stops the server";
const CLIENT_HELP: &str = "The line exit or Ctrl-D ends the client";
const PROMPT: &str = "> Enter message to send to all clients :";

/// The address of the hub that listens on this port.
fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// hub-server on a terminal, and its port.
struct HubServer {
    program: OnPty,
    port: u16,
}

impl HubServer {
    fn start(term: &str, window: (u16, u16)) -> Self {
        Self::start_with(&[], term, window)
    }

    fn start_with(args: &[&str], term: &str, window: (u16, u16)) -> Self {
        Self::start_in(&[], args, term, window)
    }

    fn start_in(
        environment: &[(&str, &str)],
        args: &[&str],
        term: &str,
        window: (u16, u16),
    ) -> Self {
        let program = env!("CARGO_BIN_EXE_hub-server");
        let args = [args, &["--bind", "127.0.0.1", "0"]].concat();
        let program = OnPty::start_in(environment, program, &args, term, window);
        let screen =
            program.wait_for(|screen| screen.contains("PORT : ") && screen.ends_with(PROMPT));
        let (_, rest) = screen.split_once("and PORT : ").unwrap();
        let port = rest.lines().next().unwrap().trim().parse().unwrap();
        Self { program, port }
    }

    fn connect(&self) -> Peer {
        let peer = Peer::connect(address(self.port)).greeted();
        let connected = format!("> New connection [{}]", peer.address());
        self.program.wait_for(|screen| screen.contains(&connected));
        peer
    }

    /// Waits until the last row is the prompt followed by `typed`.
    fn prompts(&self, typed: &str) -> String {
        self.program.last_row(format!("{PROMPT} {typed}").trim_end())
    }
}

/// hub-client on a terminal, connected to a hub that the test simulates.
struct HubClient {
    program: OnPty,
    port: u16,
    hub: Peer,
}

impl HubClient {
    fn start(term: &str, window: (u16, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (program, args) = (env!("CARGO_BIN_EXE_hub-client"), [&port.to_string()[..]]);
        let program = OnPty::start(program, &args, term, window);
        let mut hub = Peer::of(listener.accept().unwrap().0);
        hub.send("220 linehub ready: client 1 of 4\n");
        let client = Self { program, port, hub };
        client.prompts("");
        client
    }

    fn prompts(&self, typed: &str) -> String {
        self.program.last_row(format!("> Enter string : {typed}").trim_end())
    }

    /// The first row that the client prints.
    fn greeting(&self) -> String {
        format!("> Connected to server IP = 127.0.0.1 and PORT = {}", self.port)
    }

    /// Waits for the client to close its sending side, then closes the connection as a hub does.
    fn close(mut self) -> OnPty {
        assert_eq!(self.hub.rest(), "", "the client closes its sending side");
        self.program
    }
}

#[test]
fn keeps_a_half_typed_line_while_lines_arrive() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("half ty");
    server.prompts("half ty");
    peer.send("taco cat\n");
    let arrived = format!("> [{}] Client message = tac ocat\n{PROMPT} half ty", peer.address());
    server.program.wait_for(|screen| screen.ends_with(&arrived));
    server.program.press("ped\r");
    assert_eq!(peer.line(), "half typed");
    server.prompts("");
}

#[test]
fn reads_every_key_while_lines_arrive() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    let mut flooding = Peer::of(peer.stream().try_clone().unwrap());
    let flood = std::thread::spawn(move || {
        for n in 0..20_000 {
            flooding.send(format!("line {n}\n"));
        }
    });
    for _ in 0..100 {
        server.program.press("key ");
    }
    flood.join().unwrap();
    server.program.press("enough\r");
    assert_eq!(peer.line(), "key ".repeat(100) + "enough");
    server.program.wait_for(|screen| {
        screen.contains("99991 enil") && screen.ends_with(&format!("enough\n{PROMPT}"))
            || screen.ends_with(&format!("99991 enil\n{PROMPT}"))
    });
}

#[test]
fn relays_a_line_that_was_edited_in_its_middle() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("helo wörld");
    server.program.press(&LEFT.repeat(7));
    server.program.press("l");
    server.prompts("hello wörld");
    server.program.press("\r");
    assert_eq!(peer.line(), "hello wörld");
    // Kill the last word, yank it at the start, kill the rest, yank that, and press Ctrl-D at the end
    // of the line, where it does nothing.
    server.program.press(&["cat taco ", CTRL_W, CTRL_A, CTRL_Y, CTRL_K, CTRL_Y, CTRL_D].concat());
    server.program.press("\r");
    assert_eq!(peer.line(), "taco cat ");
}

#[test]
fn recalls_earlier_lines_with_the_arrow_keys() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("first\rsecond\rthi");
    server.prompts("thi");
    server.program.press(UP);
    server.prompts("second");
    server.program.press(UP);
    server.prompts("first");
    server.program.press("\x1b[B\x1b[B");
    server.prompts("thi");
    server.program.press(&[UP, "!\r"].concat());
    assert_eq!([peer.line(), peer.line(), peer.line()], ["first", "second", "second!"]);
}

#[test]
fn sends_each_line_of_a_paste_that_the_terminal_does_not_mark() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    let pasted: Vec<String> = (0..300).map(|n| format!("pasted {n}")).collect();
    server.program.press(&pasted.join("\r"));
    for line in &pasted[..299] {
        assert_eq!(&peer.line(), line);
    }
    let screen = server.prompts("pasted 299");
    assert!(screen.ends_with(&format!("{PROMPT} pasted 298\n{PROMPT} pasted 299")));
}

#[test]
fn ctrl_c_stops_the_server_and_leaves_the_line_on_the_screen() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press(&["never sent", CTRL_C].concat());
    assert_eq!(server.program.exit_status(), Some(0));
    let expected = format!(
        "> Server bound to IP : 127.0.0.1 and PORT : {port}\n\
         {HELP}\n\
         > New connection [{name}]\n\
         {PROMPT} never sent^C\n\
         > Closing connection for client [{name}]...",
        port = server.port,
        name = peer.address(),
    );
    server.program.shows(&expected);
    server.program.cursor_comes_to(5, 0);
    assert!(server.program.has_its_original_modes());
    assert_eq!(peer.line(), "");
}

#[test]
fn ctrl_d_stops_the_server_only_on_an_empty_line() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press(&["hellos", LEFT, CTRL_D, CTRL_D, "\r"].concat());
    assert_eq!(peer.line(), "hello");
    server.program.press(CTRL_D);
    assert_eq!(server.program.exit_status(), Some(0));
    let end = format!(
        "{PROMPT} hello\n{PROMPT}\n> Closing connection for client [{}]...",
        peer.address()
    );
    server.program.wait_for(|screen| screen.ends_with(&end));
    assert!(server.program.has_its_original_modes());
}

#[test]
fn restores_the_terminal_when_the_server_is_terminated() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let peer = server.connect();
    assert!(!server.program.has_its_original_modes());
    server.program.signal(Signal::TERM);
    assert_eq!(server.program.exit_status(), Some(0));
    // The empty prompt has been erased.
    let end = format!(
        "> New connection [{name}]\n> Closing connection for client [{name}]...",
        name = peer.address()
    );
    server.program.wait_for(|screen| screen.ends_with(&end));
    server.program.cursor_comes_to(4, 0);
    assert!(server.program.has_its_original_modes());
}

#[test]
fn leaves_a_half_typed_line_on_the_screen_when_the_server_is_terminated() {
    let server = HubServer::start("xterm-256color", WINDOW);
    server.program.press("half typed");
    server.program.press(&LEFT.repeat(4));
    server.prompts("half typed");
    server.program.signal(Signal::TERM);
    assert_eq!(server.program.exit_status(), Some(0));
    // Nobody pressed Ctrl-C.
    server.program.wait_for(|screen| screen.ends_with(&format!("{PROMPT} half typed")));
    server.program.cursor_comes_to(3, 0);
    assert!(server.program.has_its_original_modes());
}

#[test]
fn stops_although_the_terminal_accepts_no_output() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("half typed");
    server.prompts("half typed");
    let frozen = server.program.freeze();
    // More than the kernel buffers for the terminal.
    peer.send("a line\n".repeat(50_000));
    server.program.signal(Signal::TERM);
    assert_eq!(server.program.exit_status(), Some(0));
    drop(frozen);
    assert!(server.program.has_its_original_kernel_modes());
}

#[test]
fn restores_the_terminal_at_the_second_signal() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    let frozen = server.program.freeze();
    peer.send("a line\n".repeat(50_000));
    server.program.signal(Signal::TERM);
    // The server has handled the first signal once its port is closed.
    let refused = |_| TcpStream::connect(("127.0.0.1", server.port)).is_err();
    assert!((0..100_000).any(refused));
    server.program.signal(Signal::TERM);
    assert_eq!(server.program.exit_status(), Some(1));
    drop(frozen);
    assert!(server.program.has_its_original_kernel_modes());
}

#[test]
fn the_servers_screen_reads_like_the_transcript() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let (mut one, mut two) = (server.connect(), server.connect());
    one.send("Line 1 sending to server\n");
    server.program.wait_for(|screen| screen.contains("revres"));
    two.send("racecar\n");
    server.program.wait_for(|screen| screen.contains("racecar"));
    server.program.press("I have 2 clients\r");
    assert_eq!([one.line(), two.line()], ["I have 2 clients", "I have 2 clients"]);
    server.program.press(CTRL_D);
    assert_eq!(server.program.exit_status(), Some(0));
    let expected = format!(
        "> Server bound to IP : 127.0.0.1 and PORT : {port}\n\
         {HELP}\n\
         > New connection [{one}]\n\
         > New connection [{two}]\n\
         > [{one}] Client message = revres ot gnidnes 1 eniL\n\
         > [{two}] Client message = racecar\n\
         {PROMPT} I have 2 clients\n\
         {PROMPT}\n\
         > Closing connection for client [",
        port = server.port,
        one = one.address(),
        two = two.address(),
    );
    server.program.wait_for(|screen| screen.starts_with(&expected));
}

#[test]
fn the_clients_screen_reads_like_the_transcript() {
    let mut client = HubClient::start("xterm-256color", WINDOW);
    let greeting = client.greeting();
    client.program.press("Line 1 sending to server\r");
    assert_eq!(client.hub.line(), "Line 1 sending to server");
    client.hub.send("I have 3 clients\n");
    client.program.wait_for(|screen| screen.contains("stneilc"));
    client.program.press("exit\r");
    let program = client.close();
    assert_eq!(program.exit_status(), Some(0));
    let expected = format!(
        "{greeting}\n\
         {CLIENT_HELP}\n\
         \n\
         > Enter string : Line 1 sending to server\n\
         > Server response : stneilc 3 evah I\n\
         \n\
         > Enter string : exit\n\
         > Closing client..."
    );
    program.shows(&expected);
    program.cursor_comes_to(8, 0);
    assert!(program.has_its_original_modes());
}

#[test]
fn prints_a_response_that_arrives_after_exit() {
    let mut client = HubClient::start("xterm-256color", WINDOW);
    client.program.press("exit\r");
    assert_eq!(client.hub.line(), "", "the client closes its sending side");
    client.hub.send("late\n");
    let program = client.close();
    assert_eq!(program.exit_status(), Some(0));
    let end = "> Enter string : exit\n> Server response : etal\n> Closing client...";
    program.wait_for(|screen| screen.ends_with(end));
}

#[test]
fn the_client_restores_the_terminal_when_the_server_disconnects() {
    let HubClient { program, hub, .. } = {
        let client = HubClient::start("xterm-256color", WINDOW);
        client.program.press("half typed");
        client.prompts("half typed");
        client
    };
    drop(hub);
    assert_eq!(program.exit_status(), Some(1));
    let end = "> Enter string : half typed\n> Server closed the connection\n> Closing client...";
    program.wait_for(|screen| screen.contains(end));
    program.cursor_comes_to(6, 0);
    assert!(program.has_its_original_modes());
}

#[test]
fn ctrl_c_ends_the_client_with_status_0() {
    let client = HubClient::start("xterm-256color", WINDOW);
    client.program.press(CTRL_C);
    let program = client.close();
    assert_eq!(program.exit_status(), Some(0));
    program.wait_for(|screen| screen.ends_with("\n\n> Enter string :\n> Closing client..."));
    assert!(program.has_its_original_modes());
}
