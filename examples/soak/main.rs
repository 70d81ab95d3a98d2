//! The soak: random clients join, leave, reset, stall, flood and send junk against a real server
//! process while its operator broadcasts, and in the end every line of either direction is
//! accounted for. Exits with 1 and the reason if anything was lost, doubled, out of order, or if a
//! place or a descriptor did not come back.
//!
//! `cargo run --release --example soak -- [MINUTES] [--seed N]`
//!
//! The server process is this program itself with `--serve`, which does what `hub-server` does:
//! `cargo run --example` does not build the binaries, and an old one would be tested in their
//! place.

#![allow(unreachable_pub, reason = "nothing here is reachable: this is a program")]

mod books;
mod client;
mod operator;
mod process;
mod script;

use std::{
    cell::RefCell,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use tokio::{
    net::unix::pipe,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use crate::{
    books::{Books, Figures},
    client::Kind,
    process::Server,
    script::Script,
};

/// What any result here may fail with; it is printed and ends the soak.
type Failure = Box<dyn Error>;

/// How many clients try to be connected at once: more than there are places.
const CLIENTS: u64 = 90;

/// Longer than anything may take that is waited for.
const GUARD: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let result = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::Serve) => process::serve(),
        Ok(Arguments::Soak { minutes, seed }) => actix::System::new().block_on(soak(minutes, seed)),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to report that stderr is closed.
            let _ = writeln!(io::stderr(), "soak: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Arguments {
    Serve,
    Soak { minutes: f64, seed: u64 },
}

impl Arguments {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut minutes, mut seed) = (1.0, fastrand::u64(..1_000_000));
        while let Some(arg) = args.next() {
            match &arg[..] {
                "--serve" => return Ok(Self::Serve),
                "--seed" => seed = args.next().ok_or("--seed wants a number")?.parse()?,
                number => {
                    minutes = number.parse().map_err(|_| {
                        format!("usage: soak [MINUTES] [--seed N], and not '{number}'")
                    })?;
                }
            }
        }
        Ok(Self::Soak { minutes, seed })
    }
}

async fn soak(minutes: f64, seed: u64) -> Result<(), Failure> {
    say(format_args!("soak of {minutes} minutes, seed {seed}"))?;
    let script = Script::new(seed, process::config().limits.max_line);
    let books = Rc::new(RefCell::new(Books::new(script, process::config().server.max_sessions)));
    let mut server = Server::start(Rc::clone(&books)).await?;
    let descriptors = server.descriptors()?;

    let start = Instant::now();
    let end = start + Duration::from_secs_f64(minutes * 60.0);
    let stdin = run(&mut server, &books, end, seed).await?;
    let took = start.elapsed();

    let reached = fill_all_places(&server, &books).await?;
    let left_open = server.descriptors_when_down_to(descriptors).await?;
    let peak = server.peak_memory()?;
    server.stop().await?;
    drop(stdin);

    let books = books.borrow();
    report(books.figures(), took, peak, (descriptors, left_open))?;
    books.verdict()?;
    if left_open != descriptors {
        return Err(format!("{descriptors} descriptors became {left_open}").into());
    }
    if peak > process::MEMORY {
        return Err(format!("{peak} KiB is more memory than {} KiB", process::MEMORY).into());
    }
    say(format_args!("every line is accounted for; a full house of {reached} came in at the end"))
}

/// Lets clients come and go and the operator talk until `end`, then waits for all of them. Returns
/// the operator's pipe.
async fn run(
    server: &mut Server,
    books: &Rc<RefCell<Books>>,
    end: Instant,
    seed: u64,
) -> Result<pipe::Sender, Failure> {
    let operator = operator::talk(server.operator()?, Rc::clone(books), seed, end);
    let operator = actix::spawn(operator);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let rng = fastrand::Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(number));
            actix::spawn(come_and_go(server.address(), Rc::clone(books), rng, end))
        })
        .collect();
    let mut next_minute = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end && !books.borrow().has_failed() {
        sleep_until(end.min(Instant::now() + Duration::from_millis(100))).await;
        if Instant::now() >= next_minute {
            next_minute += Duration::from_secs(60);
            say(format_args!("{} … {} KiB", books.borrow().figures(), server.peak_memory()?))?;
        }
    }
    books.borrow().verdict()?;
    let deadline = Instant::now() + GUARD;
    for client in clients {
        timeout_at(deadline, client).await.map_err(|_| "a client does not end")??;
        books.borrow().verdict()?;
    }
    let operator =
        timeout_at(deadline, operator).await.map_err(|_| "the operator is stuck")???;
    while !books.borrow().are_closed() {
        if Instant::now() > deadline {
            return Err(books.borrow().what_is_open().into());
        }
        books.borrow().verdict()?;
        sleep(Duration::from_millis(10)).await;
    }
    Ok(operator)
}

/// One client after the other, each of another kind.
async fn come_and_go(
    server: std::net::SocketAddr,
    books: Rc<RefCell<Books>>,
    mut rng: fastrand::Rng,
    end: Instant,
) {
    sleep(Duration::from_millis(rng.u64(..2000))).await;
    while Instant::now() < end && !books.borrow().has_failed() {
        let kind = Kind::any(&mut rng);
        let visit = client::visit(server, Rc::clone(&books), kind, rng.fork());
        match timeout(GUARD, visit).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => books.borrow_mut().fail(format!("{kind:?}: {error}")),
            Err(_) => books.borrow_mut().fail(format!("{kind:?}: the client is stuck")),
        }
        sleep(Duration::from_millis(rng.u64(..200))).await;
    }
}

/// When everybody has gone, all places must be free: as many clients as there are places come in
/// and leave. Returns how many there were.
async fn fill_all_places(server: &Server, books: &Rc<RefCell<Books>>) -> Result<usize, Failure> {
    let places = process::config().server.max_sessions;
    let visits = (0..places).map(|number| {
        let rng = fastrand::Rng::with_seed(number as u64);
        client::visit(server.address(), Rc::clone(books), Kind::Guest, rng)
    });
    let refused = books.borrow().figures().refused;
    let visits = futures_util::future::try_join_all(visits);
    timeout(GUARD, visits).await.map_err(|_| "the last clients are stuck")??;
    let refused = books.borrow().figures().refused - refused;
    if refused > 0 {
        return Err(format!("{refused} of {places} places were not free at the end").into());
    }
    Ok(places)
}

fn report(
    figures: &Figures,
    took: Duration,
    peak: u64,
    (before, after): (usize, usize),
) -> Result<(), Failure> {
    let seconds = took.as_secs_f64();
    let rate = |count: u64| count as f64 / seconds;
    let Figures { connected, refused, let_go, reset, left, .. } = figures;
    say(format_args!(
        "
clients      {connected} connected, {refused} refused, {left} left, {reset} reset, {let_go} let go
client lines {} sent, {} received, {} too long and reported, {} cut off ({:.0}/s)
broadcasts   {} sent, {} received by clients ({:.0}/s)
lost         {}
peak memory  {peak} KiB
descriptors  {before} before, {after} after
time         {seconds:.1} s
",
        figures.sent,
        figures.received,
        figures.discarded,
        figures.cut_off,
        rate(figures.received),
        figures.broadcast,
        figures.delivered,
        rate(figures.delivered),
        figures.lost,
    ))
}

fn say(what: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{what}")?)
}
