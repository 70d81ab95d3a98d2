//! Clients that nobody here wrote. Telnet at a terminal is in telnet.rs.

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
fn the_nc_of_openbsd_is_a_client() {
    converses("nc", &["-N", "127.0.0.1", "PORT"], "I have 1 client");
}

#[test]
fn the_traditional_nc_is_a_client() {
    converses("nc.traditional", &["-q", "0", "127.0.0.1", "PORT"], "I have 1 client");
}

#[test]
fn ncat_is_a_client() {
    converses("ncat", &["127.0.0.1", "PORT"], "I have 1 client");
}

#[test]
fn the_nc_of_busybox_is_a_client() {
    converses("busybox", &["nc", "127.0.0.1", "PORT"], "I have 1 client");
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

#[test]
fn bash_alone_is_a_client() {
    let script = "exec 3<>/dev/tcp/127.0.0.1/$0\n\
                  read -r greeting <&3 && [[ $greeting == '220 '* ]] || exit\n\
                  read -r line && echo \"$line\" >&3\n\
                  read -r answer <&3 && echo \"$answer\"\n\
                  read -r line\n";
    converses("bash", &["-c", script, "PORT"], "I have 1 client");
}

#[test]
fn node_is_a_client() {
    let script = "const hub = require('net').connect(process.argv[1], '127.0.0.1')\n\
                  process.stdin.pipe(hub)\n\
                  hub.pipe(process.stdout)\n";
    converses("node", &["-e", script, "PORT"], "I have 1 client");
}

#[test]
fn perl_is_a_client() {
    let script = "use IO::Socket::INET;\n\
                  my $hub = IO::Socket::INET->new(\"127.0.0.1:$ARGV[0]\") or die;\n\
                  <$hub> =~ /^220 / or die;\n\
                  print $hub scalar <STDIN>;\n\
                  $| = 1; print scalar <$hub>;\n\
                  <STDIN>; shutdown($hub, 1); <$hub>;\n";
    converses("perl", &["-e", script, "PORT"], "I have 1 client");
}

#[test]
fn two_hundred_one_line_scripts_one_after_another_are_all_read() {
    if !is_installed("bash") {
        return;
    }
    let mut hub = Hub::start(&["--max-sessions", "1"]);
    let script = "for i in {1..200}; do echo \"$i\" >/dev/tcp/127.0.0.1/$0; done";
    let port = hub.address.port().to_string();
    let mut scripts = Program::start(Command::new("bash").args(["-c", script, &port]));
    for number in 1..=200 {
        let line = hub.program.out.find("Client message = ");
        let text: String = line.rsplit(' ').next().unwrap().chars().rev().collect();
        assert_eq!(text, number.to_string());
    }
    scripts.ends_with(0);
    hub.program.stop();
    let err = hub.program.err.rest();
    assert!(!err.contains("refused"), "{err}");
}
