//! Job control: both programs as background and foreground jobs of a shell.

use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{CTRL_C, LEFT, PROMPT, address};
use crate::{
    pty::{OnPty, WINDOW},
    support::Peer,
};

const CTRL_Z: &str = "\x1a";
const SHELL_PROMPT: &str = "shell:";

/// A shell with job control, on a terminal.
struct Shell(OnPty);

impl Shell {
    fn start() -> Self {
        let shell = Self(OnPty::start("/bin/sh", &["-i"], "xterm-256color", WINDOW));
        shell.0.wait_for(|screen| !screen.is_empty());
        shell.enter("PS1=shell:");
        shell.prompts();
        shell
    }

    fn enter(&self, command: &str) {
        self.0.press(&[command, "\r"].concat());
    }

    fn prompts(&self) {
        self.0.last_row(SHELL_PROMPT);
    }

    /// Starts hub-server as a background job. Returns its process ID and its port once it listens.
    fn start_background_server(&self) -> (Pid, u16) {
        let server = env!("CARGO_BIN_EXE_hub-server");
        self.enter(&format!("{server} --bind 127.0.0.1 0 & echo \"process\" $!"));
        let screen = self.0.wait_for(|screen| {
            number_after("process ", screen).is_some() && number_after("PORT : ", screen).is_some()
        });
        let pid = number_after("process ", &screen).unwrap().try_into().unwrap();
        let port = number_after("PORT : ", &screen).unwrap().try_into().unwrap();
        (Pid::from_raw(pid).unwrap(), port)
    }

    fn start_foreground_server(&self) -> (Pid, u16) {
        let (pid, port) = self.start_background_server();
        self.enter("fg");
        self.0.last_row(PROMPT);
        (pid, port)
    }

    /// Stops the server with this signal while "half ty" is typed, and sets the terminal's usual modes.
    fn stop_at_a_half_typed_line(&self, job: Pid, signal: Signal) {
        self.0.press("half ty");
        self.0.last_row(&format!("{PROMPT} half ty"));
        kill_process(job, signal).unwrap();
        self.prompts();
        // Most shells set these modes by themselves.
        self.0.press("stty sane; echo all \"sane\"\n");
        self.0.wait_for(|screen| screen.ends_with(&format!("all sane\n{SHELL_PROMPT}")));
    }

    /// Continues the server in the foreground, where the line can be completed, and ends it.
    fn completes_the_half_typed_line(&self, peer: &mut Peer) {
        self.enter("fg");
        self.0.last_row(&format!("{PROMPT} half ty"));
        self.0.press("ped\r");
        assert_eq!(peer.line(), "half typed");
        self.0.press(CTRL_C);
        self.prompts();
    }

    /// Waits until the job has ended and the shell has reaped it.
    fn waits_for_the_end_of(&self, job: Pid) {
        for round in 0..10_000 {
            self.enter(&format!("wait; jobs; echo \"round\" {round}"));
            self.0.wait_for(|screen| screen.contains(&format!("round {round}")));
            if test_kill_process(job).is_err() {
                return;
            }
        }
        panic!("the job still runs");
    }
}

/// The number at the end of the row that contains `words`.
fn number_after(words: &str, screen: &str) -> Option<u32> {
    let (_, rest) = screen.split_once(words)?;
    rest.lines().next()?.parse().ok()
}

#[test]
fn shows_no_prompt_in_the_background_until_fg() {
    let shell = Shell::start();
    let (_, port) = shell.start_background_server();
    let mut peer = Peer::connect(address(port)).greeted();
    peer.send("taco cat\n");
    let screen = shell.0.wait_for(|screen| screen.contains("Client message = tac ocat"));
    assert!(!screen.contains(PROMPT), "{screen}");
    shell.enter("fg");
    shell.0.last_row(PROMPT);
    shell.0.press("hello\r");
    assert_eq!(peer.line(), "hello");
    shell.0.press(CTRL_C);
    shell.prompts();
}

#[test]
fn sigterm_stops_a_server_in_the_background() {
    let shell = Shell::start();
    let (job, port) = shell.start_background_server();
    let mut peer = Peer::connect(address(port)).greeted();
    shell.enter("kill %1");
    shell.0.wait_for(|screen| screen.contains("> Closing connection for client"));
    assert_eq!(peer.line(), "");
    shell.waits_for_the_end_of(job);
}

#[test]
fn keeps_serving_and_keeps_the_half_typed_line_after_ctrl_z_and_bg() {
    let shell = Shell::start();
    let (_, port) = shell.start_foreground_server();
    let mut peer = Peer::connect(address(port)).greeted();
    shell.0.press(&["helo", LEFT].concat());
    shell.0.last_row(&format!("{PROMPT} helo"));
    shell.0.press(CTRL_Z);
    shell.prompts();
    shell.enter("bg");
    peer.send("taco cat\n");
    shell.0.wait_for(|screen| screen.contains("Client message = tac ocat"));
    shell.enter("fg");
    shell.0.last_row(&format!("{PROMPT} helo"));
    // The cursor is where it was before Ctrl-Z.
    shell.0.press("l\r");
    assert_eq!(peer.line(), "hello");
    shell.0.press(CTRL_C);
    shell.prompts();
}

#[test]
fn sigterm_stops_a_server_suspended_with_ctrl_z() {
    let shell = Shell::start();
    let (job, port) = shell.start_foreground_server();
    let mut peer = Peer::connect(address(port)).greeted();
    shell.0.press(CTRL_Z);
    shell.prompts();
    // Some shells send SIGCONT by themselves.
    shell.enter("kill %1; kill -CONT %1");
    shell.0.wait_for(|screen| screen.contains("> Closing connection for client"));
    assert_eq!(peer.line(), "");
    shell.waits_for_the_end_of(job);
}

#[test]
fn reclaims_the_terminal_after_sigstop_and_sigtstp() {
    for signal in [Signal::STOP, Signal::TSTP] {
        let shell = Shell::start();
        let (job, port) = shell.start_foreground_server();
        let mut peer = Peer::connect(address(port)).greeted();
        shell.stop_at_a_half_typed_line(job, signal);
        shell.completes_the_half_typed_line(&mut peer);
    }
}

#[test]
fn a_client_keeps_running_in_the_background() {
    let shell = Shell::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = env!("CARGO_BIN_EXE_hub-client");
    shell.enter(&format!("{client} {} &", listener.local_addr().unwrap().port()));
    let mut hub = Peer::of(listener.accept().unwrap().0);
    hub.send("220 linehub ready: client 1 of 4\ntaco cat\n");
    let screen = shell.0.wait_for(|screen| screen.contains("> Server response : tac ocat"));
    assert!(!screen.contains("Enter string"), "{screen}");
    shell.enter("fg");
    shell.0.last_row("> Enter string :");
    shell.0.press("hello\r");
    assert_eq!(hub.line(), "hello");
}

#[test]
fn keeps_serving_in_the_background_after_sigstop_and_bg() {
    let shell = Shell::start();
    let (job, port) = shell.start_foreground_server();
    let mut peer = Peer::connect(address(port)).greeted();
    // What is being printed when the program is stopped is printed as in the foreground.
    shell.0.wait_for(|screen| screen.contains("> New connection"));
    shell.stop_at_a_half_typed_line(job, Signal::STOP);
    shell.enter("bg");
    peer.send("taco cat\n");
    let screen = shell.0.wait_for(|screen| screen.contains("Client message = tac ocat"));
    assert!(!screen.ends_with(&format!("{PROMPT} half ty")), "{screen}");
    // The shell reads the keys.
    shell.enter("echo still \"here\"");
    shell.0.wait_for(|screen| screen.contains("still here"));
    shell.completes_the_half_typed_line(&mut peer);
}
