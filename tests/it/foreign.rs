//! Third-party programs as clients.

use std::process::{Command, Stdio};

use crate::support::{Hub, Program, skipped};

/// Whether this program is installed. If it is not, the calling test is reported as skipped.
pub(crate) fn is_installed(program: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("command -v {program}")]).stdout(Stdio::null());
    let found = command.status().unwrap().success();
    if !found {
        skipped(&format!("{program} is not installed"));
    }
    found
}

/// The program sends a line, receives the operator's, prints it as `expected`, and leaves.
fn converses(program: &str, args: &[&str], expected: &str) {
    if !is_installed(program) {
        return;
    }
    let mut hub = Hub::start(&["--max-sessions", "1"]);
    let port = hub.address.port().to_string();
    let args = args.iter().map(|arg| arg.replace("PORT", &port));
    let mut client = Program::start(Command::new(program).args(args));
    hub.program.out.find("New connection");
    client.enter("taco cat");
    assert!(hub.program.out.next().ends_with("Client message = tac ocat"));
    hub.program.enter("I have 1 client");
    let got = client.out.find("I have 1 client");
    assert_eq!(got, expected);
    client.end_input();
    assert!(hub.program.out.find("> Closing").starts_with("> Closing connection for client"));
    client.wait();
}

#[test]
fn nc_is_a_client() {
    converses("nc", &["-N", "127.0.0.1", "PORT"], "I have 1 client");
}

#[test]
fn socat_is_a_client() {
    converses("socat", &["-", "TCP:127.0.0.1:PORT"], "I have 1 client");
}

#[test]
fn telnet_is_a_client() {
    converses("telnet", &["127.0.0.1", "PORT"], "I have 1 client");
}

#[test]
fn ten_lines_of_python_are_a_client() {
    let script = "import socket, sys\n\
                  hub = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
                  lines = hub.makefile('r')\n\
                  assert lines.readline().startswith('220 ')\n\
                  hub.sendall(sys.stdin.readline().encode())\n\
                  print(lines.readline(), end='', flush=True)\n\
                  sys.stdin.read()\n\
                  hub.shutdown(socket.SHUT_WR)\n\
                  assert lines.readline() == ''\n";
    converses("python3", &["-c", script, "PORT"], "I have 1 client");
}
