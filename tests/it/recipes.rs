//! The commands in docs/recipes.md work, and its parts of configuration files are valid.

use std::process::{Command, Stdio};

use crate::{
    foreign::is_installed,
    support::{Hub, Program, command, config_file, server_command},
};

/// The blocks of the document in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let recipes = include_str!("../../docs/recipes.md");
    let starts = recipes.split("```").collect::<Vec<_>>();
    // What stands between the first two fences, between the next two, and so on.
    let inside = starts.into_iter().skip(1).step_by(2);
    inside.filter_map(|block| block.strip_prefix(&format!("{language}\n"))).collect()
}

/// Runs it against a hub. It must send `taco cat` and leave with status 0.
fn sends_and_leaves(run: &mut Command) {
    let hub = Hub::start(&["--max-sessions", "1"]);
    let port = hub.address.port().to_string();
    let text: Vec<_> = run.get_args().map(|arg| arg.to_str().unwrap().to_owned()).collect();
    let mut command = command(run.get_program().to_str().unwrap());
    command.args(text.iter().map(|arg| arg.replace("4444", &port)));
    let mut client = Program::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()));
    hub.program.out.find("> New connection");
    assert!(hub.program.out.next().ends_with("Client message = tac ocat"), "{text:?}");
    hub.program.out.find("> Closing connection");
    client.ends_with(0);
}

#[test]
fn each_command_of_the_recipes_sends_its_line_and_leaves() {
    let programs = ["nc", "nc.traditional", "ncat", "busybox", "socat", "telnet", "hub-client"];
    let mut count = 0;
    for line in blocks("sh").into_iter().flat_map(str::lines) {
        count += 1;
        let program = programs.into_iter().find(|program| line.contains(&format!("| {program} ")));
        let needed = [Some("bash"), program.filter(|program| *program != "hub-client")];
        if !needed.into_iter().flatten().all(is_installed) {
            continue;
        }
        let line = line.replace("| hub-client", concat!("| ", env!("CARGO_BIN_EXE_hub-client")));
        sends_and_leaves(Command::new("bash").args(["-c", &line]));
    }
    assert_eq!(count, 9);
}

#[test]
fn the_python_of_the_recipes_sends_its_line_and_leaves() {
    if !is_installed("python3") {
        return;
    }
    let scripts = blocks("python");
    assert_eq!(scripts.len(), 1);
    for script in scripts {
        sends_and_leaves(Command::new("python3").args(["-c", script]));
    }
}

#[test]
fn the_configuration_in_the_recipes_is_valid() {
    let parts = blocks("toml");
    assert!(parts.len() >= 7);
    for part in parts {
        let file = config_file(part);
        let mut command = server_command();
        let mut check = Program::start(command.arg("--check").arg("--config").arg(file.path()));
        check.ends_with(0);
        assert_eq!(check.err.rest(), "", "{part}");
    }
}
