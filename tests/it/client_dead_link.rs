//! hub-client has the kernel watch the link to its server. The test uses two network namespaces, so that
//! the link can be cut without a word.

use std::process::{Command, id};

use crate::{
    client::not_permitted,
    support::{Hub, Program, command, wait_until},
};

/// Two network namespaces with a link between them. Dropping it deletes them.
struct Namespaces {
    server: String,
    client: String,
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).output().is_ok_and(|output| output.status.success())
}

impl Namespaces {
    /// None if the machine does not allow it.
    fn new() -> Option<Self> {
        let name = |side| format!("linehub-{}-{side}", id());
        let this = Self { server: name("server"), client: name("client") };
        let Self { server, client } = &this;
        let inside = |namespace, args: &[&str]| ip(&[&["-n", namespace], args].concat());
        let veth =
            ["link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", client];
        let up = ["link", "set", "veth0", "up"];
        let made = ip(&["netns", "add", server])
            && ip(&["netns", "add", client])
            && inside(server, &veth)
            && inside(server, &["address", "add", "10.77.0.1/30", "dev", "veth0"])
            && inside(client, &["address", "add", "10.77.0.2/30", "dev", "veth0"])
            && inside(server, &up)
            && inside(client, &up);
        made.then_some(this)
    }

    /// A command that runs this program in a namespace.
    fn command(namespace: &str, program: &str) -> Command {
        let mut command = command("ip");
        command.args(["netns", "exec", namespace, program]);
        command
    }

    /// The state and the timer of the client's connection, as ss(8) prints them.
    fn connection(&self) -> String {
        let mut ss = Self::command(&self.client, "ss");
        let output = ss.args(["--tcp", "--options", "--numeric", "--no-header"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.client] {
            ip(&["netns", "delete", namespace]);
        }
    }
}

#[test]
fn the_kernel_probes_a_silent_server_and_repeats_unconfirmed_data() {
    let Some(namespaces) = Namespaces::new() else {
        return not_permitted("network namespaces are not allowed here");
    };
    let mut server = Namespaces::command(&namespaces.server, env!("CARGO_BIN_EXE_hub-server"));
    let hub = Hub::start_as(server.args(["--bind", "10.77.0.1", "0"]));
    let port = hub.address.port().to_string();
    let mut client = Namespaces::command(&namespaces.client, env!("CARGO_BIN_EXE_hub-client"));
    let mut client = Program::start(client.args([&port, "10.77.0.1"]));
    client.enter("taco cat");
    hub.program.out.find("tac ocat");
    let keepalive = |text: &String| text.starts_with("ESTAB") && text.contains("timer:(keepalive,");
    let armed =
        wait_until("a probe is planned", || Some(namespaces.connection()).filter(keepalive));
    let time = armed.split("timer:(keepalive,").nth(1).unwrap().split(',').next().unwrap();
    let seconds: f64 = time.trim_end_matches("ms").trim_end_matches("sec").parse().unwrap();
    assert!(time.ends_with("ms") || seconds <= 30.0, "{armed}");

    // Neither side learns of this.
    assert!(ip(&["-n", &namespaces.server, "link", "set", "veth0", "down"]));
    client.enter("into the void");
    wait_until("the line is repeated", || {
        namespaces.connection().contains("timer:(on,").then_some(())
    });
}
