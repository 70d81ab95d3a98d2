//! The example is a whole conversation, and it works.

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
