//! The server inside another program.

use std::{fs, future::ready};

use linehub::{config::Config, server::Server};

/// Threads of this process, in which other tests run, too.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[actix::test]
async fn servers_that_have_run_leave_no_threads() {
    const SERVERS: usize = 60;
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;
    config.server.workers = 2;
    let before = threads();
    for _ in 0..SERVERS {
        Server::bind(config.clone()).unwrap().run(ready(())).await.unwrap();
    }
    // Two of each if they stayed; what other tests do is far less.
    let more = threads().saturating_sub(before);
    assert!(more < SERVERS, "{more} threads more");
}
