//! Chromium, driven through chromedriver: the few commands of WebDriver that the tests need, over
//! HTTP/1.1 on 127.0.0.1. Dropping it ends both programs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Program, nap, skipped};

/// The key under which WebDriver sends the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// What can have a role and a name that a test asks for.
const CONTROLS: &str = "button, input, select, textarea, [role]";

pub(super) struct Browser {
    driver: Program,
    port: u16,
    /// The session's path.
    session: String,
    /// Its profile, deleted with it.
    profile: tempfile::TempDir,
}

/// An element of the page, by WebDriver's id.
pub(super) struct Element(String);

impl Browser {
    /// None if this machine has no browser. The calling test is then reported as skipped.
    pub(super) fn start() -> Option<Self> {
        Self::with_logs(&json!({ "browser": "ALL" }))
    }

    /// One that also logs what it requests, which makes it slow when much arrives.
    pub(super) fn logging_requests() -> Option<Self> {
        Self::with_logs(&json!({ "browser": "ALL", "performance": "ALL" }))
    }

    fn with_logs(logs: &Value) -> Option<Self> {
        for program in ["chromium", "chromedriver"] {
            let mut command = Command::new(program);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            if command.status().is_err() {
                skipped(&format!("no {program}"));
                return None;
            }
        }
        let driver = Program::start(Command::new("chromedriver").arg("--port=0"));
        let ready = driver.out.find("started successfully on port");
        let port = ready.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver, port, session: String::new(), profile };
        let session = browser.command("POST", "/session", &browser.capabilities(logs));
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn capabilities(&self, logs: &Value) -> Value {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let options = json!({ "args": [
            // In a container the sandbox and /dev/shm do not work.
            "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
            // It must talk to nobody but the hub.
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--no-first-run", "--disable-quic", "--window-size=1280,800", profile,
        ]});
        json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": logs,
        }}})
    }

    pub(super) fn open(&self, address: &str) {
        self.post("/url", &json!({ "url": address }));
    }

    pub(super) fn address(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    /// What the body of a JavaScript function returns.
    pub(super) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the body of an async JavaScript function returns.
    pub(super) fn run_async(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, e => done(String(e)));"
        );
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Polls until there is a value. Each poll is a question to the browser and takes its time.
    pub(super) fn wait<T>(&self, what: &str, mut is_there: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(value) = is_there() {
                return value;
            }
            nap(Duration::from_millis(10));
        }
        panic!("timed out: {what}; the browser's console: {:?}", self.console());
    }

    /// The visible control with this role and accessible name, once it is there.
    pub(super) fn control(&self, role: &str, name: &str) -> Element {
        self.wait(&format!("there is a {role} {name}"), || self.try_control(role, name))
    }

    pub(super) fn try_control(&self, role: &str, name: &str) -> Option<Element> {
        let query = json!({ "using": "css selector", "value": CONTROLS });
        let found = self.post("/elements", &query);
        found.as_array().unwrap().iter().find_map(|one| {
            let path = format!("/element/{}", one[ELEMENT].as_str().unwrap());
            // An element may vanish between two questions.
            let is = |what: &str, expected: &str| {
                self.try_command("GET", &format!("{}{path}/{what}", self.session), &Value::Null)
                    .is_ok_and(|value| value == expected)
            };
            let is_it = is("computedlabel", name) && is("computedrole", role);
            is_it.then_some(Element(path))
        })
    }

    pub(super) fn click(&self, element: &Element) {
        self.post(&format!("{}/click", element.0), &json!({}));
    }

    /// Types into the element, as at a keyboard.
    pub(super) fn enter(&self, element: &Element, text: &str) {
        self.post(&format!("{}/value", element.0), &json!({ "text": text }));
    }

    /// A property of the element, such as `textContent`.
    pub(super) fn property(&self, element: &Element, name: &str) -> String {
        let value = self.get(&format!("{}/property/{name}", element.0));
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Waits until the text of the element contains this.
    pub(super) fn shows(&self, element: &Element, part: &str) {
        self.wait(&format!("the page shows {part:?}"), || {
            self.property(element, "textContent").contains(part).then_some(())
        });
    }

    /// The messages in the browser's console since the last call.
    pub(super) fn console(&self) -> Vec<Value> {
        self.entries("browser")
    }

    /// The addresses of everything that was requested since the last call.
    pub(super) fn requests(&self) -> Vec<String> {
        let entries = self.entries("performance").into_iter();
        let messages = entries.map(|entry| {
            serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap()
        });
        let sent =
            messages.filter(|found| found["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|found| found["message"]["params"]["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    fn entries(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().unwrap().clone()
    }

    fn get(&self, path: &str) -> Value {
        self.command("GET", &format!("{}{path}", self.session), &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.command("POST", &format!("{}{path}", self.session), body)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_command(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_command(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let (status, answer) = self.request(method, path, body).unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        let value = answer["value"].take();
        if status == 200 { Ok(value) } else { Err(value) }
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && reader.read_until(b'\n', &mut head)? > 0 {}
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let mut answer = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut answer)?;
        Ok((status, answer))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends the browser. chromedriver itself is killed by its own drop.
        let _ = self.request("DELETE", &self.session, &Value::Null);
        self.driver.end_input();
    }
}
