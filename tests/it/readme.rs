//! The README's commands do what the README says.

use std::{io::Write, process::Stdio};

use crate::{
    foreign::is_installed,
    support::{Hub, command as clean_command},
};

/// The commands in the README, without the comments after them.
fn commands() -> Vec<String> {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks
        .flat_map(str::lines)
        .map(|line| line.split("  #").next().unwrap_or(line).trim_end().to_owned())
        .collect()
}

#[test]
fn readme_lists_the_two_commands() {
    let commands = commands();
    assert_eq!(commands[..2], ["cargo run --release -- 4444", "cargo test"]);
    // `cargo run` without --bin starts the server.
    assert!(include_str!("../../Cargo.toml").contains("default-run = \"hub-server\""));
}

#[test]
fn each_client_command_in_the_readme_works() {
    let hub = Hub::start(&[]);
    let client = env!("CARGO_BIN_EXE_hub-client");
    let mut clients = 0;
    for command in commands() {
        let Some(program) = ["hub-client", "nc", "socat"]
            .into_iter()
            .find(|program| command.split_whitespace().any(|word| word == *program))
        else {
            continue;
        };
        clients += 1;
        if program != "hub-client" && !is_installed(program) {
            continue;
        }
        let command = command
            .replace("cargo run --release --bin hub-client --", client)
            .replace("4444", &hub.address.port().to_string());
        let mut running = clean_command("sh")
            .args(["-c", &command])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        hub.program.out.find("> New connection");
        if program == "hub-client" {
            running.stdin.as_ref().unwrap().write_all(b"taco cat\n").unwrap();
        }
        assert!(hub.program.out.find("Client message").ends_with(" = tac ocat"));
        drop(running.stdin.take());
        hub.program.out.find("> Closing connection");
        assert!(running.wait().unwrap().success(), "{command}");
    }
    assert_eq!(clients, 3);
}
