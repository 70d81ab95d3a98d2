//! The examples in docs/http.md do what they say.

use std::process::Command;

use super::web::{SECRET, Web};

/// The lines of all blocks of shell code, without those that set the variables.
fn examples() -> Vec<&'static str> {
    let text = include_str!("../../../docs/http.md");
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).filter(|line| line.starts_with("curl ")).collect()
}

#[test]
fn every_example_succeeds() {
    let web = Web::start();
    let mut device = web.hub.peer();
    let examples = examples();
    assert!(examples.len() > 12, "{examples:?}");
    let answering = std::thread::spawn(move || {
        loop {
            match device.line().as_str() {
                "" => return,
                "MEASURE?" => device.send("5.00 V\n"),
                _ => {}
            }
        }
    });
    for example in examples {
        // A stream does not end by itself, and a status of 4xx must not pass for success.
        let example = example.replacen("curl -s", "curl -s -m 5 --fail-with-body", 1);
        let (example, is_stream) = match example.contains("-N ") {
            true => (example.replace("-m 5", "-m 1"), true),
            false => (example, false),
        };
        let shell = ["-c", &example];
        let mut command = Command::new("sh");
        command.args(shell).env("HUB", format!("http://{}", web.address)).env("TOKEN", SECRET);
        let output = command.output().unwrap();
        let code = output.status.code().unwrap();
        // 28: curl's own time-out.
        let is_good = code == 0 || is_stream && code == 28;
        assert!(is_good, "{example}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        if example.contains("/ask") {
            assert_eq!(text, "5.00 V\n");
        }
        if is_stream {
            assert!(text.contains("\"text\":\"hello, one\""), "{text}");
        }
    }
    answering.join().unwrap();
    assert_eq!(web.sessions().as_array().unwrap().len(), 0, "the last example kicks");
}
