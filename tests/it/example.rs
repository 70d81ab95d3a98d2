//! The examples work.

#[allow(dead_code, unreachable_pub, reason = "the example is a program of its own")]
#[path = "../../examples/conversation.rs"]
mod conversation;

#[actix::test]
async fn the_conversation_reads_as_it_should() {
    let transcript = conversation::conversation().await.unwrap();
    let lines: Vec<&str> = transcript.lines().collect();
    assert_eq!(lines[0], "> Server bound to IP : 127.0.0.1 and PORT : PORT");
    assert!(lines[1].starts_with("> New connection [127.0.0.1:"));
    assert_eq!(lines[2], "> Enter message to send to all clients : Who is there?");
    assert!(lines[3].ends_with("] Client message = tac ocat"));
    assert!(lines[4].ends_with("] Client message = 👍🏽én"));
    assert!(lines[5].starts_with("> Closing connection for client [127.0.0.1:"));
    assert_eq!(lines.len(), 6);
}

#[allow(dead_code, unreachable_pub, reason = "the example is a program of its own")]
#[path = "../../examples/answering.rs"]
mod answering;

#[actix::test]
async fn a_program_answers_one_client_by_itself() {
    let got = answering::conversation().await.unwrap();
    assert_eq!(got, "220 linehub ready: client 1 of 4\n5 bytes\n");
}
