//! A program that reads a hub's events and answers each client by itself: an actor that observes the hub,
//! and the hub's desk, with which it answers. Prints what a client gets.
//!
//! `cargo run --example answering`

use std::{
    error::Error,
    io::{self, Write},
};

use actix::{Actor, AsyncContext, Context, Handler, WrapFuture};
use linehub::{Config, Desk, Observed, Server, ServerEvent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    io::stdout().write_all(conversation().await?.as_bytes())?;
    Ok(())
}

/// Answers every line of a client with its length.
struct Answering {
    desk: Desk,
}

impl Actor for Answering {
    type Context = Context<Self>;
}

impl Handler<Observed> for Answering {
    type Result = ();

    fn handle(&mut self, observed: Observed, ctx: &mut Context<Self>) {
        for stamped in observed.events.iter() {
            // One event may have several lines. New kinds of events may come with new versions.
            let ServerEvent::Message { session, lines } = &stamped.event else { continue };
            for line in lines.iter() {
                let answer = format!("{} bytes", line.len());
                let (desk, id) = (self.desk.clone(), session.id);
                // The client may have left meanwhile.
                let told = async move {
                    let _ = desk.tell(id, &answer).await;
                };
                ctx.spawn(told.into_actor(self));
            }
        }
    }
}

/// Holds the conversation and returns what the client has got.
///
/// # Errors
///
/// Anything that goes wrong; nothing should.
pub async fn conversation() -> Result<String, Box<dyn Error>> {
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;

    let server = Server::bind(config)?;
    let (address, desk) = (server.local_addr(), server.desk());
    let server = server.observer(Answering { desk }.start().recipient());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = actix::spawn(server.run(async {
        // It fails when the sender is dropped: that is the signal.
        let _ = stopped.await;
    }));

    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"hello\n").await?;
    let mut got = String::new();
    while !got.ends_with("bytes\n") {
        let mut buffer = [0; 100];
        let read = client.read(&mut buffer).await?;
        got.push_str(std::str::from_utf8(buffer.get(..read).unwrap_or_default())?);
    }

    drop(stop);
    serving.await??;
    Ok(got)
}
