//! The transcripts of both programs over pipes, byte for byte, beginning with the lab's own.

use crate::support::{Hub, Peer, Program, client_command};

fn client(hub: &Hub) -> Program {
    let (ip, port) = (hub.address.ip().to_string(), hub.address.port().to_string());
    Program::start(client_command().args([port, ip]))
}

/// Expects that this is everything the client printed after its first line.
#[track_caller]
fn assert_transcript(client: &Program, hub: &Hub, rest: &str) {
    let (ip, port) = (hub.address.ip(), hub.address.port());
    let connected = format!("> Connected to server IP = {ip} and PORT = {port}\n");
    assert_eq!(client.out.rest(), connected + rest);
}

/// The peer in the next line, which says `New connection`: `[127.0.0.1:13442]`.
fn connected(hub: &Hub) -> String {
    let line = hub.program.out.next();
    line.strip_prefix("> New connection ").unwrap().to_owned()
}

#[test]
fn both_transcripts_match_the_lab() {
    let mut hub = Hub::start(&["--max-sessions", "3"]);
    let mut clients = Vec::new();
    let mut peers = Vec::new();
    let lines = ["Line 1 sending to server", "racecar", "taco cat"];
    for (line, shown) in lines.into_iter().zip(["revres ot gnidnes 1 eniL", "racecar", "tac ocat"])
    {
        let mut client = client(&hub);
        let peer = connected(&hub);
        client.enter(line);
        hub.says(&format!("> {peer} Client message = {shown}"));
        clients.push(client);
        peers.push(peer);
    }
    let mut rejected = client(&hub);
    rejected.ends_with(3);
    assert_eq!(
        rejected.out.rest(),
        "> Server rejected due to too many clients\n> Closing client...\n"
    );
    assert!(hub.program.err.next().ends_with(": too many clients"));

    hub.program.enter("I have 3 clients");
    hub.says("> Enter message to send to all clients : I have 3 clients");
    for client in &clients {
        client.out.find("> Server response : stneilc 3 evah I");
    }
    let mut leaver = clients.pop().unwrap();
    leaver.enter("exit");
    hub.says(&format!("> Closing connection for client {}...", peers[2]));
    leaver.ends_with(0);

    let mut again = client(&hub);
    let peer = connected(&hub);
    again.end_input();
    hub.says(&format!("> Closing connection for client {peer}..."));
    again.ends_with(0);
    assert_transcript(&again, &hub, "\n> Enter string : \n> Closing client...\n");

    hub.program.stop();
    let mut rest: Vec<String> = hub.program.out.rest().lines().map(str::to_owned).collect();
    rest.sort();
    let mut closing: Vec<String> = peers[..2]
        .iter()
        .map(|peer| format!("> Closing connection for client {peer}..."))
        .collect();
    closing.sort();
    assert_eq!(rest, closing);
    for client in &mut clients {
        client.ends_with(1);
        // The transcript says why.
        assert_eq!(client.err.rest(), "");
        assert!(client.out.rest().ends_with(
            "\n> Enter string : \n> Server closed the connection\n> Closing client...\n"
        ));
    }
}

#[test]
fn a_client_prints_its_prompt_before_each_line_and_after_each_response() {
    let mut hub = Hub::start(&[]);
    let mut client = client(&hub);
    connected(&hub);
    client.enter("Line 1 sending to server");
    hub.program.out.find("eniL");
    hub.program.enter("I have 1 client");
    hub.program.enter("and another line");
    hub.program.out.find("another");
    let mut peer = hub.peer();
    hub.program.enter("to both");
    assert_eq!(peer.line(), "to both");
    peer.leave();
    client.enter("one");
    hub.program.out.find(" = eno");
    client.enter("two");
    hub.program.out.find(" = owt");
    client.enter("exit");
    client.ends_with(0);
    assert_transcript(
        &client,
        &hub,
        "\n> Enter string : Line 1 sending to server\n\
         > Server response : tneilc 1 evah I\n\
         \n> Enter string : \n\
         > Server response : enil rehtona dna\n\
         \n> Enter string : \n\
         > Server response : htob ot\n\
         \n> Enter string : one\n\
         \n> Enter string : two\n\
         \n> Enter string : exit\n\
         > Closing client...\n",
    );
}

#[test]
fn an_ipv6_peer_is_shown_with_its_own_brackets() {
    let hub = Hub::start_as(crate::support::server_command().args(["--bind", "::1", "0"]));
    let peer = hub.peer();
    let port = peer.address().port();
    hub.says(&format!("> New connection [[::1]:{port}]"));
}

#[test]
fn text_from_the_other_side_cannot_control_a_terminal() {
    let mut hub = Hub::start(&[]);
    let mut client = client(&hub);
    connected(&hub);
    let hostile = "\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}31m\r\u{2028}\u{202e}\u{7f}";
    let shown = "\\u{7f}\\u{202e}\\u{2028}\\rm13\\u{9b}J2[\\u{1b}\\u{7}x;0]\\u{1b}";
    client.enter(hostile);
    assert!(hub.program.out.next().ends_with(&format!("Client message = {shown}")));
    hub.program.enter(hostile);
    client.out.find(&format!("> Server response : {shown}"));
    let safe = "a\tb\\u{1b} 👩\u{200d}👩\u{200d}👧";
    client.enter(safe);
    let shown = "👩\u{200d}👩\u{200d}👧 }b1{u\\b\ta";
    hub.program.out.find(&format!("Client message = {shown}"));
    client.end_input();
    client.ends_with(0);
}

#[test]
fn lines_of_two_clients_are_never_mixed() {
    let hub = Hub::start(&[]);
    let mut peers: Vec<Peer> = (0..2).map(|_| hub.peer()).collect();
    peers[0].send("half of ");
    peers[1].send("a whole line\n");
    assert!(hub.program.out.find("Client message").ends_with(" = enil elohw a"));
    peers[0].send("mine\n");
    assert!(hub.program.out.next().ends_with(" = enim fo flah"));
}
