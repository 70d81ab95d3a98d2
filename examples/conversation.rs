//! A whole conversation in one process: a hub on a free port, its operator, and two clients, of
//! which one is a plain socket. Prints what the operator sees.
//!
//! `cargo run --example conversation`

use std::{
    error::Error,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use linehub::{Config, Outputs, Server, events::ServerTranscript};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, duplex},
    net::TcpStream,
    sync::oneshot,
};

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    io::stdout().write_all(conversation().await?.as_bytes())?;
    Ok(())
}

/// Holds the conversation and returns the operator's transcript.
///
/// # Errors
///
/// Anything that goes wrong; nothing should.
pub async fn conversation() -> Result<String, Box<dyn Error>> {
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;
    config.server.max_sessions = 1;

    let paper = Paper::default();
    let transcript = ServerTranscript {
        program: "conversation",
        at_terminal: false,
        timestamps: false,
        token: None,
    };
    let (mut operator, input) = duplex(1024);
    let server = Server::bind(config)?.operator(input).console(Outputs::new(
        transcript,
        paper.clone(),
        io::sink(),
    ));
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = actix::spawn(server.run(async {
        // It fails when the sender is dropped: that is the signal.
        let _ = stopped.await;
    }));

    // A client is anything that speaks lines over TCP.
    let mut client = BufReader::new(TcpStream::connect(address).await?);
    assert_eq!(line(&mut client).await?, "220 linehub ready: client 1 of 1\n");

    // The hub is full now, and says so.
    let mut refused = String::new();
    TcpStream::connect(address).await?.read_to_string(&mut refused).await?;
    assert_eq!(refused, "421 Server rejected due to too many clients\n");

    operator.write_all(b"Who is there?\n").await?;
    assert_eq!(line(&mut client).await?, "Who is there?\n");
    client.write_all("taco cat\nné👍🏽\n".as_bytes()).await?;

    // A client that closes its sending side has left; the hub closes when it has taken all.
    client.shutdown().await?;
    assert_eq!(line(&mut client).await?, "");

    drop(stop);
    serving.await??;
    Ok(paper.text().replace(&address.port().to_string(), "PORT"))
}

async fn line(client: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    client.read_line(&mut line).await?;
    Ok(line)
}

/// Something to write on that can still be read afterwards.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        let text = self.0.lock().map(|text| text.clone()).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::ErrorKind::Other)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
