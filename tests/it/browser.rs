//! The web console in a real browser. Controls are found by their roles and accessible names, as a
//! screen reader finds them.

mod driver;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use self::driver::{Browser, Element};
use crate::support::{Hub, Peer, config_file, heavy, nap};

const TOKEN: &str = "token-of-the-tests";
/// What WebDriver calls the Enter key, and the key up.
const ENTER: char = '\u{e007}';
const UP: char = '\u{e013}';
const UNKNOWN_GAP: &str = "does not know how much it missed";

/// A hub with the admin side on, and the address of its console.
struct Desk {
    hub: Hub,
    admin: SocketAddr,
}

impl Desk {
    fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    fn at(admin: &str) -> Self {
        let token = config_file(TOKEN);
        let path = token.path().to_str().unwrap();
        let config = format!("[admin]\nlisten = \"{admin}\"\ntoken_file = \"{path}\"\n");
        let hub = Hub::with_config(&config, &["--format", "json", "--no-reverse"]);
        let admin = hub.event_named("admin")["address"].as_str().unwrap().parse().unwrap();
        Self { hub, admin }
    }

    /// Opens the console and waits until it is connected.
    fn open(&self, browser: &Browser) -> Page {
        browser.open(&format!("http://{}/#token={TOKEN}", self.admin));
        let page =
            Page { log: browser.control("log", "Lines"), status: browser.control("status", "") };
        browser.shows(&page.status, "Live");
        page
    }

    /// A client, and the name that the console calls it by.
    fn client(&self) -> (Peer, String) {
        let client = self.hub.peer();
        let address = client.address().to_string();
        (client, address)
    }
}

struct Page {
    log: Element,
    status: Element,
}

/// Expects that neither a script nor the content security policy had anything to complain about.
fn no_complaints(browser: &Browser) {
    for entry in browser.console() {
        // The browser itself reports requests that fail, and no script can prevent it.
        assert_eq!(entry["source"], "network", "{entry}");
    }
}

#[test]
fn text_from_clients_is_never_markup() {
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    let (mut client, _) = desk.client();
    let page = desk.open(&browser);
    client.send("<script>document.title = 'owned'</script><img src=x onerror=alert(1)>\n");
    client.send("evil\u{202e}gnp.exe \u{1b}[2J\u{2028}end\ttab\n");
    browser
        .shows(&page.log, "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>");
    browser.shows(&page.log, "evil\\u{202e}gnp.exe \\u{1b}[2J\\u{2028}end\ttab");
    let markup =
        browser.run("return document.querySelectorAll('[role=log] :is(script, img)').length");
    assert_eq!(markup, 0);
    assert_ne!(browser.run("return document.title"), "owned");
    no_complaints(&browser);
}

#[test]
fn the_console_sends_to_all_and_to_one() {
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    let ((mut first, _), (mut second, address)) = (desk.client(), desk.client());
    let page = desk.open(&browser);
    let message = browser.control("textbox", "Message");
    browser.enter(&message, &format!("to everybody{ENTER}"));
    assert_eq!([first.line(), second.line()], ["to everybody", "to everybody"]);

    let to = browser.control("combobox", "To");
    browser.wait("the second client can be chosen", || {
        browser.property(&to, "textContent").contains(&address).then_some(())
    });
    browser.enter(&to, &address);
    browser.enter(&message, &format!("to you{ENTER}"));
    assert_eq!(second.line(), "to you");
    browser.enter(&message, &format!("{UP}, again{ENTER}"));
    assert_eq!(second.line(), "to you, again");
    browser.shows(&page.log, "to you, again");

    browser.enter(&to, "all");
    browser.enter(&message, "one\u{e008}\n\u{e000}two");
    browser.enter(&message, &ENTER.to_string());
    // Nothing of it is sent before it is confirmed.
    browser.click(&browser.control("button", "Cancel"));
    browser.enter(&message, &ENTER.to_string());
    browser.click(&browser.control("button", "Send 2 lines"));
    // The first client got nothing that was meant for the other.
    assert_eq!([first.line(), first.line()], ["one", "two"]);
    no_complaints(&browser);
}

#[test]
fn the_console_renames_and_kicks() {
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    let (mut client, address) = desk.client();
    let page = desk.open(&browser);
    browser.click(&browser.control("button", &format!("Rename {address}")));
    let name = browser.control("textbox", "New name");
    browser.enter(&name, &format!("scope{ENTER}"));
    let kick = browser.control("button", "Kick scope");
    browser.click(&kick);
    assert_eq!(client.rest(), "");
    let left = desk.hub.event_named("disconnected");
    assert_eq!((left["reason"].as_str(), left["by"].as_str()), (Some("kicked"), Some("http")));
    browser.shows(&page.log, "scopewas kicked");
    browser.wait("it is no longer listed", || {
        browser.try_control("button", "Kick scope").is_none().then_some(())
    });
    no_complaints(&browser);
}

#[test]
fn the_log_can_be_filtered_paused_and_cleared() {
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    let (mut client, address) = desk.client();
    let page = desk.open(&browser);
    client.send("apple\nbanana\n");
    browser.shows(&page.log, "banana");
    let filter = browser.control("textbox", "Filter");
    browser.enter(&filter, "APP");
    assert!(!browser.property(&page.log, "textContent").contains("banana"));
    assert!(browser.property(&page.log, "textContent").contains("apple"));
    browser.enter(&filter, "\u{e003}\u{e003}\u{e003}");
    browser.shows(&page.log, "banana");

    let pause = browser.control("button", "Pause");
    browser.click(&pause);
    client.send("cherry\n");
    desk.hub.event_named("message");
    browser.control("button", "Paused · 1 newer event · Follow ↓");
    assert!(!browser.property(&page.log, "textContent").contains("cherry"));
    browser.click(&pause);
    browser.shows(&page.log, "cherry");

    browser.click(&browser.control("button", "Clear"));
    assert_eq!(browser.property(&page.log, "textContent"), "");
    client.send("date\n");
    browser.shows(&page.log, &format!("{address}date"));
    no_complaints(&browser);
}

#[test]
fn the_token_is_asked_for_and_leaves_no_trace_in_the_address() {
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    desk.open(&browser);
    assert_eq!(browser.address(), format!("http://{}/", desk.admin));
    no_complaints(&browser);
    // A tab keeps its token over a reload. One with a wrong token stops and asks.
    browser.open(&format!("http://{}/", desk.admin));
    browser.shows(&browser.control("status", ""), "Live");
    browser.run("sessionStorage.clear()");
    browser.open(&format!("http://{}/#token=wrong", desk.admin));
    browser.shows(&browser.control("status", ""), "Token needed");
    let token = browser.control("textbox", "Token");
    browser.enter(&token, &format!("{TOKEN}{ENTER}"));
    browser.shows(&browser.control("status", ""), "Live");
    assert_eq!(browser.property(&token, "value"), "");
}

#[test]
fn the_page_survives_a_restart_of_the_hub_and_says_that_it_may_have_missed_something() {
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    let (mut client, _) = desk.client();
    let page = desk.open(&browser);
    client.send("before\n");
    browser.shows(&page.log, "before");
    let admin = desk.admin.to_string();
    let mut old = desk;
    old.hub.program.stop();
    browser.shows(&page.status, "Trying again");

    let desk = Desk::at(&admin);
    let (mut client, _) = desk.client();
    browser.shows(&page.status, "Live");
    browser.shows(&page.log, UNKNOWN_GAP);
    client.send("after\n");
    browser.shows(&page.log, "after");
    let message = browser.control("textbox", "Message");
    browser.enter(&message, &format!("still here{ENTER}"));
    assert_eq!(client.line(), "still here");
    no_complaints(&browser);
}

#[test]
fn a_click_is_answered_while_5_000_lines_a_second_arrive() {
    const PER_BATCH: u32 = 50;
    const BATCHES: u32 = 1_000;
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    let (client, _) = desk.client();
    let page = desk.open(&browser);
    let sender = thread::spawn(move || send_at_a_rate(client, BATCHES, PER_BATCH));
    // From the time of the input event to the frame after its handlers.
    let measure = "document.addEventListener('click', (event) => requestAnimationFrame(() => \
        setTimeout(() => (window.answers ??= []).push(performance.now() - event.timeStamp))), true)";
    browser.run(measure);
    // It is clicked an even number of times, so that the log follows at the end.
    let pause = browser.control("button", "Pause");
    let (mut clicks, mut most_rows) = (0, 0);
    while !sender.is_finished() {
        for pressed in ["true", "false"] {
            browser.click(&pause);
            clicks += 1;
            assert_eq!(browser.property(&pause, "ariaPressed"), pressed);
        }
        let rows = browser.run("return document.querySelectorAll('[role=log] time').length");
        most_rows = most_rows.max(rows.as_u64().unwrap());
        nap(Duration::from_millis(200));
    }
    assert!((4_900..=5_000).contains(&most_rows), "{most_rows} rows");
    let (mut client, took) = sender.join().unwrap();
    client.send("the last line\n");
    browser.shows(&page.log, "the last line");
    let answers = browser.run("return window.answers");
    let mut answers: Vec<f64> =
        answers.as_array().unwrap().iter().map(|time| time.as_f64().unwrap()).collect();
    answers.sort_by(f64::total_cmp);
    let (median, slowest) = (answers[answers.len() / 2], answers[answers.len() - 1]);
    eprintln!(
        "{} lines in {took:.1?}: {clicks} clicks, answered in {median:.0} ms (median), \
         {slowest:.0} ms (slowest)",
        PER_BATCH * BATCHES
    );
    assert_eq!(answers.len(), clicks, "every click has been answered");
    no_complaints(&browser);
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let _turn = heavy();
    let Some(browser) = Browser::logging_requests() else { return };
    let desk = Desk::start();
    let (mut client, _) = desk.client();
    // What the browser's own first page has loaded is not meant.
    browser.open("about:blank");
    browser.requests();
    let page = desk.open(&browser);
    client.send("a line\n");
    browser.shows(&page.log, "a line");
    let mut requests = browser.requests();
    browser.wait("the page has asked for everything", || {
        requests.extend(browser.requests());
        requests.iter().any(|found| found.contains("/sessions")).then_some(())
    });
    let home = format!("http://{}/", desk.admin);
    for file in ["app.js", "style.css", "api/v1/server", "api/v1/events?since=0"] {
        assert!(requests.contains(&format!("{home}{file}")), "{requests:?}");
    }
    for request in requests {
        let is_own = request.starts_with(&home) || request.starts_with("data:image/svg+xml");
        assert!(is_own, "{request}");
    }
    no_complaints(&browser);
}

#[test]
fn a_page_of_a_foreign_origin_cannot_post() {
    let _turn = heavy();
    let Some(browser) = Browser::start() else { return };
    let desk = Desk::start();
    let (mut client, _) = desk.client();
    browser.open(&format!("http://{}/", foreign_site()));
    let url = format!("http://{}/api/v1/broadcast", desk.admin);
    let fetch = |options: &str| {
        let script = format!(
            "const answer = await fetch('{url}', {{ method: 'POST', body: 'forged', {options} }}); \
             return answer.type;"
        );
        browser.run_async(&script)
    };
    // With the token it would take a CORS header that the hub never sends. Without it the request
    // arrives and is refused, and the page does not even learn how.
    let failed = "TypeError: Failed to fetch";
    assert_eq!(fetch(&format!("headers: {{ Authorization: 'Bearer {TOKEN}' }}")), failed);
    assert_eq!(fetch(""), failed);
    assert_eq!(fetch("mode: 'no-cors'"), failed);
    browser.run(&format!(
        "const form = document.createElement('form'); form.method = 'post'; form.enctype = 'text/plain'; \
         form.action = '{url}'; document.body.append(form); form.submit();"
    ));
    browser.wait("the form has been answered", || {
        browser
            .run("return document.body.textContent")
            .as_str()
            .unwrap()
            .contains("error")
            .then_some(())
    });

    desk.open(&browser);
    browser.enter(&browser.control("textbox", "Message"), &format!("genuine{ENTER}"));
    assert_eq!(client.line(), "genuine");
}

/// Sends this many batches of numbered lines, one every 10 ms. Returns the client and the time it took.
fn send_at_a_rate(mut client: Peer, batches: u32, per_batch: u32) -> (Peer, Duration) {
    let start = Instant::now();
    for batch in 0..batches {
        let numbers = batch * per_batch..(batch + 1) * per_batch;
        client.send(numbers.map(|n| format!("line {n:07} of many\n")).collect::<String>());
        let due = Duration::from_millis(10) * (batch + 1);
        nap(due.saturating_sub(start.elapsed()));
    }
    (client, start.elapsed())
}

/// A site with one empty page.
fn foreign_site() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test program: nothing tells it when the browser is done.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let page = "<!doctype html><title>elsewhere</title>";
                let length = page.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{page}"
                )
            });
        }
    });
    address
}
