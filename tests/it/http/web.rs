//! A hub with its admin side, and a client of HTTP that is as simple as can be.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Deref,
};

use serde_json::Value;

use crate::support::{Hub, PATIENCE, config_file, server_command};

/// The token of the hubs here.
pub(crate) const SECRET: &str = "a-token-for-the-tests";

/// A hub whose admin side listens at a free port.
pub(crate) struct Web {
    pub(crate) hub: Hub,
    pub(crate) api: Api,
}

/// The admin side of a hub.
#[derive(Clone, Copy)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
}

impl Deref for Web {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header; its name is in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// Expects an error with this status, and returns its sentence.
    #[track_caller]
    pub(crate) fn failed(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json();
        assert_eq!(error.as_object().unwrap().len(), 1);
        error["error"].as_str().unwrap().to_owned()
    }
}

impl Web {
    pub(crate) fn start() -> Self {
        Self::with_config("")
    }

    /// A hub with this configuration.
    pub(crate) fn with_config(config: &str) -> Self {
        let file = config_file(config);
        let mut command = server_command();
        command.env("LINEHUB_ADMIN_TOKEN", SECRET).args(["--admin", "127.0.0.1:0"]);
        command.args(["--bind", "127.0.0.1", "--config"]).arg(file.path()).arg("0");
        Self::of(Hub::start_as(&mut command))
    }

    /// The hub's second line is the address of its admin side.
    pub(crate) fn of(hub: Hub) -> Self {
        let line = hub.program.out.find("Web console at http://").replace("> ", "");
        let address = line.strip_prefix("Web console at http://").unwrap();
        let address = address.trim_end_matches('/').parse().unwrap();
        Self { hub, api: Api { address } }
    }
}

impl Api {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A request with the token, with these further header lines.
    pub(crate) fn send(&self, request: &str, headers: &str, body: &[u8]) -> Answer {
        let token = format!("Authorization: Bearer {SECRET}\r\n{headers}");
        self.send_raw(request, &format!("Host: {}\r\n{token}", self.address), body)
    }

    /// A request with exactly these headers, and those that frame it.
    pub(crate) fn send_raw(&self, request: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        let length =
            if length > 0 { format!("Content-Length: {length}\r\n") } else { String::new() };
        let head = format!("{request} HTTP/1.1\r\n{headers}{length}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // The hub may answer without having read all.
        let _ = stream.write_all(body);
        answer(stream)
    }

    /// A request with the token whose body comes in these chunks.
    pub(crate) fn send_chunked(&self, request: &str, chunks: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {SECRET}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The hub may answer without having read all.
        let _ = stream.write_all(chunks);
        answer(stream)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), "", b"")
    }

    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(&format!("POST {path}"), "Content-Type: text/plain\r\n", body.as_ref())
    }

    pub(crate) fn sessions(&self) -> Value {
        self.get("/api/v1/sessions").json()
    }

    /// Reads events from now on, or with these further header lines.
    pub(crate) fn events(&self, query: &str, headers: &str) -> Events {
        let mut stream = self.connect();
        let head = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {SECRET}\r\n\
             {headers}\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut status = String::new();
        reader.read_line(&mut status).unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK\r\n");
        while reader.read_line(&mut status).unwrap() > 2 {}
        Events { reader, text: String::new() }
    }
}

/// Reads an answer up to the end of the connection.
pub(crate) fn answer(mut stream: TcpStream) -> Answer {
    let mut text = Vec::new();
    // A reset after the answer is no failure of the answer.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or(0), head: head.to_owned(), body: body.to_owned() }
}

/// A stream of events.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    text: String,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Event {
    pub(crate) fn number(&self) -> u64 {
        self.id.split_once('-').unwrap().1.parse().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        self.data["text"].as_str().unwrap()
    }
}

impl Events {
    /// The next event, or none at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event != ":" {
                    return Some(parse(&event));
                }
                continue;
            }
            let chunk = self.chunk()?;
            self.text.push_str(&chunk);
        }
    }

    /// The next event, which there must be.
    pub(crate) fn expect(&mut self) -> Event {
        self.next().unwrap_or_else(|| panic!("the stream has ended"))
    }

    /// The next event of this kind; those before it are skipped.
    pub(crate) fn find(&mut self, kind: &str) -> Event {
        loop {
            let event = self.expect();
            if event.kind == kind {
                return event;
            }
        }
    }

    /// The next chunk (RFC 9112, section 7.1).
    fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        self.reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).unwrap();
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }
}

fn parse(event: &str) -> Event {
    let mut lines = event.lines();
    let mut field = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
    let (id, kind, data) = (field("id: "), field("event: "), field("data: "));
    Event { id, kind, data: serde_json::from_str(&data).unwrap() }
}
