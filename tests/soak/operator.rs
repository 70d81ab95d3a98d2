//! The operator: sends numbered lines, sometimes a few, sometimes as many as the server accepts.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::unix::pipe,
    time::{Instant, sleep, timeout},
};

use crate::{GUARD, ledger::Ledger};

/// Sends lines until `end`, then returns the pipe, so that the server's stdin stays open.
pub(crate) async fn broadcast(
    mut stdin: pipe::Sender,
    ledger: Rc<RefCell<Ledger>>,
    seed: u64,
    end: Instant,
) -> Result<pipe::Sender, String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut wire = Vec::new();
    while Instant::now() < end && !ledger.borrow().has_failed() {
        let (batches, lines, pause) = match rng.u8(..10) {
            // Like a person at a keyboard.
            0..3 => (rng.u64(1..20), 1, rng.u64(..50)),
            // Like a program that sends a few lines now and then.
            3..6 => (rng.u64(1..100), rng.u64(1..50), rng.u64(..10)),
            // Like a file.
            _ => (rng.u64(1..200), 500, 0),
        };
        for _ in 0..batches {
            wire.clear();
            if rng.u8(..100) == 0 {
                ledger.borrow_mut().write_too_long(&mut wire);
            }
            ledger.borrow_mut().write_broadcasts(lines, &mut wire);
            let written = timeout(GUARD, stdin.write_all(&wire)).await;
            written
                .map_err(|_| "the server does not read the operator's lines")?
                .map_err(|error| format!("stdin: {error}"))?;
            sleep(Duration::from_millis(pause)).await;
            if Instant::now() > end || ledger.borrow().has_failed() {
                break;
            }
        }
    }
    Ok(stdin)
}
