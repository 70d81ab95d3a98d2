//! The server inside another program.

use std::{fs, future::ready, time::Duration};

use linehub::{Config, Server, ServerError};

/// Event loops of their own that there are in this process, in which other tests run, too.
fn event_loops() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| {
        // A thread of another test may end in this moment.
        fs::read_to_string(thread.ok()?.path().join("comm")).ok()
    });
    names.filter(|name| name.starts_with("actix-rt|")).count()
}

#[actix::test]
async fn servers_that_have_run_leave_no_threads() {
    const SERVERS: usize = 60;
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;
    config.server.workers = 2;
    let before = event_loops();
    for _ in 0..SERVERS {
        Server::bind(config.clone()).unwrap().run(ready(())).await.unwrap();
    }
    // Two of each if they stayed; other tests have a few.
    let more = event_loops().saturating_sub(before);
    assert!(more < SERVERS, "{more} event loops more");
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
