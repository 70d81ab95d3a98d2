//! Questions to a device that answers, is silent, answers late, leaves, or sends other lines.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::web::{Answer, Web};

const ASK: &str = "/api/v1/sessions/1/ask";

/// Asks from a thread of its own.
fn asking(web: &Web, path: &str, body: &str) -> JoinHandle<Answer> {
    let (api, path, body) = (web.api, path.to_owned(), body.to_owned());
    thread::spawn(move || api.post(&path, body))
}

#[test]
fn the_answer_is_the_line_as_it_was_sent_and_a_message_like_any_other() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let asked = asking(&web, ASK, "VOLTAGE?");
    assert_eq!(device.line(), "VOLTAGE?");
    // Reversing this twice would not give it back.
    device.send("\u{301}5.00 V\r\n");
    let answer = asked.join().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "\u{301}5.00 V\n"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    web.hub.program.out.find("Message to client = VOLTAGE?");
    web.hub.program.out.find("Client message = V 00.5");
}

#[test]
fn a_silent_device_is_504_with_the_lines_so_far() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let start = Instant::now();
    let path = format!("{ASK}?timeout=300ms&lines=2");
    let asked = asking(&web, &path, "?");
    assert_eq!(device.line(), "?");
    device.send("one\n");
    let answer = asked.join().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (504, "one\n"));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_line_between_two_questions_is_nobodys_answer() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let asked = asking(&web, "/api/v1/sessions/1/ask?timeout=50ms", "first");
    assert_eq!(device.line(), "first");
    assert_eq!(asked.join().unwrap().status, 504);
    device.send("late\n");
    web.hub.program.out.find("Client message = etal");
    let asked = asking(&web, ASK, "second");
    assert_eq!(device.line(), "second");
    device.send("in time\n");
    assert_eq!(asked.join().unwrap().body, "in time\n");
}

#[test]
fn a_line_that_has_arrived_but_was_not_read_is_no_answer_either() {
    let web = Web::start();
    let mut device = web.hub.peer();
    device.stream().set_nodelay(true).unwrap();
    // The line and the question reach the hub at about the same time.
    for round in 0..50 {
        device.send("before\n");
        let asked = asking(&web, ASK, "?");
        assert_eq!(device.line(), "?");
        device.send(format!("after {round}\n"));
        assert_eq!(asked.join().unwrap().body, format!("after {round}\n"));
    }
}

#[test]
fn unrelated_lines_count_as_many_as_are_expected() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let asked = asking(&web, "/api/v1/sessions/1/ask?lines=3", "a\nb\n");
    assert_eq!((device.line(), device.line()), ("a".to_owned(), "b".to_owned()));
    device.send("log: something\nanswer\n\nmore\n");
    assert_eq!(asked.join().unwrap().body, "log: something\nanswer\n\n");
}

#[test]
fn a_device_that_leaves_is_502_with_the_lines_so_far() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let asked = asking(&web, "/api/v1/sessions/1/ask?lines=2", "?");
    assert_eq!(device.line(), "?");
    let waiting = asking(&web, ASK, "its turn never comes");
    device.send("one\n");
    web.hub.program.out.find("Client message = eno");
    drop(device);
    let answer = asked.join().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (502, "one\n"));
    let answer = waiting.join().unwrap();
    // It may also have come after the session was gone.
    assert!(answer.status == 502 && answer.body.is_empty() || answer.status == 404);
}

#[test]
fn questions_take_turns() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let questions = ["q1", "q2", "q3", "q4"];
    let asked = questions.map(|question| (question, asking(&web, ASK, question)));
    for _ in questions {
        let question = device.line();
        device.send(format!("answer to {question}\n"));
    }
    for (question, asked) in asked {
        assert_eq!(asked.join().unwrap().body, format!("answer to {question}\n"));
    }
}

#[test]
fn a_question_that_nobody_waits_for_makes_room_for_the_next() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let path = format!("{ASK}?timeout=60s");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 1\r\n\r\nx",
        super::web::SECRET
    );
    let mut stream = web.connect();
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    assert_eq!(device.line(), "x");
    drop(stream);
    let asked = asking(&web, ASK, "?");
    assert_eq!(device.line(), "?");
    device.send("!\n");
    assert_eq!(asked.join().unwrap().body, "!\n");
}

#[test]
fn parameters_out_of_range_are_an_error_and_nothing_is_sent() {
    let web = Web::start();
    let mut device = web.hub.peer();
    for query in
        ["timeout=61s", "timeout=0s", "timeout=2", "lines=0", "lines=101", "lines=x", "x=1"]
    {
        web.post(&format!("{ASK}?{query}"), "x").failed(400);
    }
    web.post("/api/v1/sessions/1/lines", "first");
    assert_eq!(device.line(), "first");
    web.post("/api/v1/sessions/2/ask", "x").failed(404);
}

#[test]
fn an_empty_question_waits_for_lines_all_the_same() {
    let web = Web::start();
    let device = web.hub.peer();
    let answer = web.post(&format!("{ASK}?timeout=20ms"), "");
    assert_eq!((answer.status, answer.body.as_str()), (504, ""));
    drop(device);
}
