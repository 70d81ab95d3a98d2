//! The soak test: random clients join, leave, reset, stall, flood and send junk against the real
//! `hub-server` while its operator broadcasts. At the end every line in both directions is accounted
//! for. Exits with status 1 and the reason if a line was lost, duplicated or out of order, or if a
//! slot or a descriptor was not freed.
//!
//! `cargo test --release --test soak -- [MINUTES] [--seed N]`
//!
//! `cargo test` alone does not run it.

mod account;
mod client;
mod figures;
mod ledger;
mod operator;
mod plan;
mod process;
mod script;

use std::{
    cell::RefCell,
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use tokio::{
    net::unix::pipe,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use crate::{ledger::Ledger, plan::Kind, process::Server, script::Script};

/// Any error of the soak test. It is printed, and ends the test.
type Failure = Box<dyn Error>;

/// How many clients try to be connected at once: more than there are slots.
const CLIENTS: u64 = 90;

/// A time limit for every wait, longer than anything should take.
const GUARD: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let result = Arguments::parse(std::env::args().skip(1))
        .and_then(|arguments| actix::System::new().block_on(soak(&arguments)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed, there is nowhere left to report it.
            let _ = writeln!(io::stderr(), "soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command line.
struct Arguments {
    minutes: f64,
    seed: u64,
}

impl Arguments {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut minutes, mut seed) = (1.0, fastrand::u64(..1_000_000));
        while let Some(arg) = args.next() {
            if arg == "--seed" {
                seed = args.next().ok_or("--seed needs a number")?.parse()?;
            } else {
                minutes = arg.parse().map_err(|_| {
                    format!("unexpected argument '{arg}'; usage: soak [MINUTES] [--seed N]")
                })?;
            }
        }
        Ok(Self { minutes, seed })
    }
}

async fn soak(&Arguments { minutes, seed }: &Arguments) -> Result<(), Failure> {
    print(format_args!("soak test of {minutes} minutes, seed {seed}"))?;
    let script = Script::new(seed, process::MAX_LINE);
    let ledger = Rc::new(RefCell::new(Ledger::new(script, process::MAX_SESSIONS)));
    let mut server = Server::start(Rc::clone(&ledger)).await?;
    let descriptors_before = server.descriptors()?;

    let start = Instant::now();
    let end = start + Duration::from_secs_f64(minutes * 60.0);
    let stdin = run(&mut server, &ledger, end, seed).await?;
    let elapsed = start.elapsed();

    fill_all_slots(&server, &ledger).await?;
    let descriptors_after = server.wait_for_descriptors(descriptors_before).await?;
    let peak_memory = server.peak_memory()?;
    server.stop().await?;
    drop(stdin);

    let ledger = ledger.borrow();
    print(format_args!(
        "\n{}\npeak memory  {peak_memory} KiB\n\
         descriptors  {descriptors_before} before, {descriptors_after} after\n",
        ledger.figures().table(elapsed),
    ))?;
    ledger.verdict()?;
    if descriptors_after != descriptors_before {
        return Err(format!(
            "{descriptors_before} descriptors were open before, {descriptors_after} after"
        )
        .into());
    }
    if peak_memory > process::MAX_MEMORY {
        let limit = process::MAX_MEMORY;
        return Err(format!("the peak memory of {peak_memory} KiB exceeds {limit} KiB").into());
    }
    print(format_args!(
        "every line is accounted for, and all {} slots were free at the end",
        process::MAX_SESSIONS
    ))
}

/// Runs the clients and the operator until `end`, then waits until all of them have finished.
/// Returns the operator's pipe.
async fn run(
    server: &mut Server,
    ledger: &Rc<RefCell<Ledger>>,
    end: Instant,
    seed: u64,
) -> Result<pipe::Sender, Failure> {
    let operator = operator::broadcast(server.operator()?, Rc::clone(ledger), seed, end);
    let operator = actix::spawn(operator);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let rng = fastrand::Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(number));
            actix::spawn(visit_again_and_again(server.address(), Rc::clone(ledger), rng, end))
        })
        .collect();
    print_progress(server, ledger, end).await?;
    ledger.borrow().verdict()?;
    let deadline = Instant::now() + GUARD;
    for client in clients {
        timeout_at(deadline, client).await.map_err(|_| "a client does not finish")??;
        ledger.borrow().verdict()?;
    }
    let operator =
        timeout_at(deadline, operator).await.map_err(|_| "the operator does not finish")???;
    while !ledger.borrow().is_settled() {
        if Instant::now() > deadline {
            return Err(ledger.borrow().describe_unsettled().into());
        }
        ledger.borrow().verdict()?;
        sleep(Duration::from_millis(10)).await;
    }
    Ok(operator)
}

/// Prints the figures once a minute until `end`, or until something has gone wrong.
async fn print_progress(
    server: &Server,
    ledger: &RefCell<Ledger>,
    end: Instant,
) -> Result<(), Failure> {
    let mut next_print = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end && !ledger.borrow().has_failed() {
        sleep_until(end.min(Instant::now() + Duration::from_millis(100))).await;
        if Instant::now() >= next_print {
            next_print += Duration::from_secs(60);
            let memory = server.peak_memory()?;
            print(format_args!("{}; peak memory {memory} KiB", ledger.borrow().figures()))?;
        }
    }
    Ok(())
}

/// Runs one client after another, each of a random kind, until `end`.
async fn visit_again_and_again(
    server: SocketAddr,
    ledger: Rc<RefCell<Ledger>>,
    mut rng: fastrand::Rng,
    end: Instant,
) {
    sleep(Duration::from_millis(rng.u64(..2000))).await;
    while Instant::now() < end && !ledger.borrow().has_failed() {
        let kind = Kind::random(&mut rng);
        let visit = client::visit(server, Rc::clone(&ledger), kind, rng.fork());
        match timeout(GUARD, visit).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => ledger.borrow_mut().fail(format!("{kind:?}: {error}")),
            Err(_) => ledger.borrow_mut().fail(format!("{kind:?}: the client does not finish")),
        }
        sleep(Duration::from_millis(rng.u64(..200))).await;
    }
}

/// Checks that all slots are free once all clients have left: connects one client for each slot at
/// the same time, and none may be refused.
async fn fill_all_slots(server: &Server, ledger: &Rc<RefCell<Ledger>>) -> Result<(), Failure> {
    let slots = process::MAX_SESSIONS;
    let visits = (0..slots).map(|number| {
        let rng = fastrand::Rng::with_seed(number as u64);
        client::visit(server.address(), Rc::clone(ledger), Kind::Last, rng)
    });
    let refused_before = ledger.borrow().figures().refused;
    let visits = futures_util::future::try_join_all(visits);
    timeout(GUARD, visits).await.map_err(|_| "the last clients do not finish")??;
    let refused = ledger.borrow().figures().refused - refused_before;
    if refused > 0 {
        return Err(format!("{refused} of {slots} slots were not free at the end").into());
    }
    Ok(())
}

fn print(text: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
