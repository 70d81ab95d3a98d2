//! The operator: broadcasts numbered lines all the while, a few, many, or as fast as it can.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::unix::pipe,
    time::{Instant, sleep, timeout},
};

use crate::{GUARD, books::Books};

/// Talks until `end`, and gives the pipe back when all of it is in there.
pub async fn talk(
    mut stdin: pipe::Sender,
    books: Rc<RefCell<Books>>,
    seed: u64,
    end: Instant,
) -> Result<pipe::Sender, String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut wire = Vec::new();
    while Instant::now() < end && !books.borrow().has_failed() {
        let (batches, lines, pause) = match rng.u8(..10) {
            // At a keyboard.
            0..3 => (rng.u64(1..20), 1, rng.u64(..50)),
            // A program that has something to say now and then.
            3..6 => (rng.u64(1..100), rng.u64(1..50), rng.u64(..10)),
            // A file.
            _ => (rng.u64(1..200), 500, 0),
        };
        for _ in 0..batches {
            wire.clear();
            if rng.u8(..100) == 0 {
                books.borrow_mut().write_overlong(&mut wire);
            }
            books.borrow_mut().write_broadcasts(lines, &mut wire);
            let written = timeout(GUARD, stdin.write_all(&wire)).await;
            written
                .map_err(|_| "the server does not take the operator's lines")?
                .map_err(|error| format!("stdin: {error}"))?;
            sleep(Duration::from_millis(pause)).await;
            if Instant::now() > end || books.borrow().has_failed() {
                break;
            }
        }
    }
    Ok(stdin)
}
