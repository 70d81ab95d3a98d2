//! How the admin side starts: its address, its token, and what is wrong with either.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Command};

use super::web::{Api, SECRET};
use crate::support::{Hub, server_command};

fn hub_server() -> Command {
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "0"]);
    command
}

/// The first line on stderr of a program that ends with this status.
fn error(command: &mut Command, status: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    error.lines().next().unwrap().to_owned()
}

#[test]
fn a_random_token_is_on_stderr_if_stdout_is_no_terminal() {
    let hub = Hub::start_as(&mut hub_server());
    let line = hub.program.out.next();
    let address = line.strip_prefix("> Web console at http://").unwrap().trim_end_matches('/');
    let line = hub.program.err.next();
    let token = line.strip_prefix("hub-server: the token of the web console is ").unwrap();
    assert_eq!(token.len(), 32);
    let api = Api { address: address.parse().unwrap() };
    let headers = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(api.send_raw("GET /api/v1/server", &headers, b"").status, 200);
}

#[test]
fn a_token_file_works_and_one_that_everybody_can_read_is_one_warning() {
    let dir = tempfile::tempdir().unwrap();
    let (token, config) = (dir.path().join("token"), dir.path().join("hub.toml"));
    fs::write(&token, format!("  {SECRET}\n")).unwrap();
    fs::write(&config, format!("[admin]\ntoken_file = {token:?}\n")).unwrap();
    for (mode, warns) in [(0o600, false), (0o644, true)] {
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let mut hub = Hub::start_as(hub_server().arg("--config").arg(&config));
        let line = hub.program.out.next();
        let address = line.strip_prefix("> Web console at http://").unwrap();
        let api = Api { address: address.trim_end_matches('/').parse().unwrap() };
        assert_eq!(api.get("/api/v1/server").status, 200);
        hub.program.stop();
        let err = hub.program.err.rest();
        assert_eq!(err.lines().count(), usize::from(warns), "{err}");
        assert_eq!(err.contains("everybody can read"), warns, "{err}");
    }
}

#[test]
fn a_token_file_that_is_missing_empty_or_too_short_is_one_sentence_and_status_2() {
    let dir = tempfile::tempdir().unwrap();
    let (token, config) = (dir.path().join("token"), dir.path().join("hub.toml"));
    fs::write(&config, format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = {token:?}\n"))
        .unwrap();
    let check = || error(server_command().args(["--check", "--config"]).arg(&config), 2);
    let place = format!("hub-server: {}:3: admin.token_file: ", config.display());
    let missing = check();
    assert_eq!(
        missing,
        format!("{place}cannot read {}: No such file or directory", token.display())
    );
    for text in ["", " \n", "too-short", "this is not one word"] {
        fs::write(&token, text).unwrap();
        let error = check();
        assert!(error.starts_with(&place), "{error}");
        assert!(error.ends_with(
            "expected a token of at least 16 printable ASCII characters without spaces"
        ));
    }
    fs::write(&token, SECRET).unwrap();
    assert!(
        server_command().args(["--check", "--config"]).arg(&config).status().unwrap().success()
    );
}

#[test]
fn a_bad_token_in_the_environment_is_not_repeated() {
    let error = error(hub_server().env("LINEHUB_ADMIN_TOKEN", "hunter2"), 2);
    assert!(error.starts_with("hub-server: LINEHUB_ADMIN_TOKEN: expected a token"), "{error}");
    assert!(!error.contains("hunter2"));
}

#[test]
fn an_address_in_use_is_one_sentence_and_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "--admin", &address.to_string(), "0"]);
    let expected = format!("hub-server: cannot listen on {address}: Address already in use");
    assert_eq!(error(&mut command, 1), expected);
}

#[test]
fn beyond_loopback_there_must_be_tls_or_a_proxy_that_does_it() {
    let mut command = server_command();
    let error = error(command.args(["--admin", "0.0.0.0:4480", "--check"]), 2);
    assert!(
        error.starts_with("hub-server: admin.listen (0.0.0.0:4480) is not a loopback"),
        "{error}"
    );
    let plain = crate::support::config_file("[admin]\nplain = true\nlisten = \"0.0.0.0:4480\"\n");
    let output =
        server_command().arg("--check").arg("--config").arg(plain.path()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("listen = \"0.0.0.0:4480\"") && text.contains("plain = true"), "{text}");
}

#[test]
fn off_is_an_address_too_and_anything_else_is_an_error() {
    let file = crate::support::config_file("[admin]\nlisten = \"127.0.0.1:4480\"\n");
    let mut off = server_command();
    let output =
        off.args(["--admin", "off", "--check", "--config"]).arg(file.path()).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("[admin]\nlisten = \"off\"\n"));
    let error = error(server_command().env("LINEHUB_ADMIN", "4480"), 2);
    assert_eq!(
        error,
        "hub-server: LINEHUB_ADMIN: invalid value '4480' for '--admin <ADDR>': expected off or \
         IP:PORT such as 127.0.0.1:4480"
    );
}

#[test]
fn hosts_are_names_without_a_scheme_or_a_port() {
    for host in ["http://hub.example", "hub.example:4480", ""] {
        let file = crate::support::config_file(&format!("[admin]\nhosts = [{host:?}]\n"));
        let place = format!("hub-server: {}:2: admin.hosts: ", file.path().display());
        let error = error(server_command().arg("--check").arg("--config").arg(file.path()), 2);
        assert!(error.starts_with(&place) && error.contains("without a scheme"), "{error}");
    }
}
