//! The server inside another program.

use std::{
    env, fs,
    future::ready,
    process::{Command, Stdio},
    time::Duration,
};

use linehub::{Client, Config, Server, ServerError};
use tokio::time::{sleep, timeout};

use crate::support::{PATIENCE, Program};

/// Set in the process that runs this test alone.
const ALONE: &str = "LINEHUB_TEST_ALONE";

/// The threads in this process that run an event loop of their own.
fn event_loops() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| {
        // A thread may end while this looks.
        fs::read_to_string(thread.ok()?.path().join("comm")).ok()
    });
    names.filter(|name| name.starts_with("actix-rt|")).count()
}

#[test]
fn servers_that_have_run_leave_no_threads() {
    // Other tests in this process have event loops, too, so the count needs its own process.
    if env::var_os(ALONE).is_some() {
        return actix::System::new().block_on(run_servers_and_count_event_loops());
    }
    let mut command = Command::new(env::current_exe().unwrap());
    let test = "library::servers_that_have_run_leave_no_threads";
    command.args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    let mut alone = Program::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    alone.ends_with(0);
    alone.out.find("1 passed");
}

async fn run_servers_and_count_event_loops() {
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;
    config.server.workers = 2;
    assert_eq!(event_loops(), 0);
    for _ in 0..20 {
        Server::bind(config.clone()).unwrap().run(ready(())).await.unwrap();
    }
    // The last ones end after `run` does, when the actors on this event loop have ended.
    let all_have_ended = async {
        while event_loops() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE / 2, all_have_ended).await.unwrap();
}

#[test]
fn bind_rejects_an_invalid_configuration_and_names_the_key() {
    type Change = fn(&mut Config);
    let half = |config: &mut Config| config.timeouts.keepalive = Some(Duration::from_millis(500));
    let changes: [(Change, &str); 5] = [
        (|config| config.server.max_sessions = 0, "server.max_sessions: "),
        (|config| config.server.workers = 0, "server.workers: "),
        (|config| config.limits.max_line = 0, "limits.max_line: "),
        (|config| config.limits.outbox = 0, "limits.outbox: "),
        (half, "timeouts.keepalive: "),
    ];
    for (change, key) in changes {
        let mut config = Config::default();
        config.server.bind = [127, 0, 0, 1].into();
        config.server.port = 0;
        change(&mut config);
        let error = Server::bind(config).err().unwrap();
        assert!(matches!(error, ServerError::Config(_)), "{error:?}");
        let error = error.to_string();
        assert!(error.starts_with(key) && error.contains("expected"), "{error}");
    }
}

#[test]
fn outside_an_actix_system_the_error_says_what_to_do() {
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::bind(config).unwrap();
    let error = runtime.block_on(server.run(ready(()))).unwrap_err();
    assert!(error.to_string().contains("run it in #[actix_rt::main]"), "{error}");
    let client = Client::new("127.0.0.1", 4444);
    let error = runtime.block_on(client.converse(|| Ok(&b""[..]), ready(()))).unwrap_err();
    assert!(error.to_string().contains("run it in #[actix_rt::main]"), "{error}");
}
