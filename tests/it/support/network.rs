//! Two network namespaces of a test: `near` and `far`, joined by two pairs of interfaces. This takes
//! root and iproute2.

use std::{
    io::{self, Write},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{command, skipped};

/// For each pair, the near end has fe80::1 and the far end fe80::2. What the near side sends to
/// 192.0.2.53 is never answered.
const SETUP: &str = r#"
ip netns add "$1"
ip netns add "$2"
ip -n "$1" link set lo up
ip -n "$2" link set lo up
for i in 0 1; do
    ip -n "$1" link add near$i type veth peer name far$i netns "$2"
    ip -n "$1" link set near$i addrgenmode none up
    ip -n "$2" link set far$i addrgenmode none up
    ip -n "$1" address add fe80::1/64 dev near$i nodad
    ip -n "$2" address add fe80::2/64 dev far$i nodad
done
ip -n "$1" address add 192.0.2.1/24 dev near0
ip -n "$1" neighbour add 192.0.2.53 lladdr 02:00:00:00:00:53 dev near0 nud permanent
"#;

/// Dropping it deletes both namespaces. Programs that still run in them keep running.
pub(crate) struct Network {
    near: String,
    far: String,
}

impl Network {
    /// None if this machine does not allow it. The calling test is then reported as skipped.
    pub(crate) fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            // No failure in CI, where only the jobs that run as root can do it.
            let _ =
                io::stderr().write_all(b"skipped a test: only root may add a network namespace\n");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let [near, far] =
            ["near", "far"].map(|side| format!("linehub-{}-{number}-{side}", std::process::id()));
        let network = Self { near, far };
        let mut setup = Command::new("sh");
        setup.args(["-ec", SETUP, "sh", &network.near, &network.far]);
        let output = setup.output().unwrap();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            drop(network);
            skipped(&format!("no network namespaces: {}", error.trim_end()));
            return None;
        }
        Some(network)
    }

    /// A command that runs the program on the near side.
    pub(crate) fn near(&self, program: &str) -> Command {
        Self::inside(&self.near, program)
    }

    /// A command that runs the program on the far side.
    pub(crate) fn far(&self, program: &str) -> Command {
        Self::inside(&self.far, program)
    }

    fn inside(namespace: &str, program: &str) -> Command {
        let mut inside = command("ip");
        inside.args(["netns", "exec", namespace, program]);
        inside
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            // One that was never made cannot be deleted.
            let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
        }
    }
}
