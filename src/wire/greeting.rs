//! The server's first line: a status with the reply codes that FTP and SMTP use (RFC 959, section
//! 4.2, and RFC 5321, section 4.2). Everything after it is data.

/// Why a peer is refused.
pub(crate) const TOO_MANY_CLIENTS: &str = "too many clients";

/// The text of a refusal.
pub(crate) const REFUSAL: &str = "Server rejected due to too many clients";

/// The text of a refusal because the client's address has too many connections.
pub(crate) const TOO_MANY_FROM_ADDRESS: &str = "Too many connections from this address";

/// How the line for an admitted client begins. Other servers greet with 220, too.
const READY: &[u8] = b"220 linehub";

/// How the line for a refused client begins.
const REFUSED: &[u8] = b"421 ";

/// The UTF-8 byte order mark. One before the greeting is ignored.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The meaning of the first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// `220 linehub`: the client is admitted.
    Ready,
    /// `421`: the hub refuses the client, with this text, and closes the connection.
    Refused(String),
}

/// The line for an admitted client. `sessions` counts it, too.
pub(crate) fn ready(sessions: usize, max_sessions: usize) -> String {
    format!("220 linehub ready: client {sessions} of {max_sessions}\n")
}

/// The line for a refused client.
pub(crate) fn refused() -> String {
    format!("421 {REFUSAL}\n")
}

impl Greeting {
    /// Parses a line given without its line end. None means that the sender is not a hub.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        if line.starts_with(READY) {
            return Some(Self::Ready);
        }
        let text = line.strip_prefix(REFUSED)?;
        Some(Self::Refused(String::from_utf8_lossy(text).into_owned()))
    }
}

/// Whether a stream that begins with these bytes may begin with a greeting.
pub(crate) fn can_begin(bytes: &[u8]) -> bool {
    let agrees = |prefix: &[u8], bytes: &[u8]| prefix.iter().zip(bytes).all(|(a, b)| a == b);
    let text = bytes.strip_prefix(BOM).unwrap_or(bytes);
    BOM.starts_with(bytes) || agrees(READY, text) || agrees(REFUSED, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_greetings_of_a_server() {
        let parse = |line: String| Greeting::parse(line.trim_end().as_bytes());
        assert_eq!(parse(ready(3, 4)), Some(Greeting::Ready));
        assert_eq!(parse(refused()), Some(Greeting::Refused(REFUSAL.to_owned())));
        for other in ["SSH-2.0-OpenSSH", "220", "220 mail ESMTP", "421", "421-busy"] {
            assert_eq!(parse(other.to_owned()), None);
        }
    }

    #[test]
    fn every_beginning_of_a_greeting_can_begin_one() {
        for greeting in [ready(3, 4), refused()] {
            for text in [greeting.clone().into_bytes(), [BOM, greeting.as_bytes()].concat()] {
                assert!((0..=text.len()).all(|end| can_begin(&text[..end])));
            }
        }
        for other in [&b"S"[..], b"220-", b"220 m", b"4211", b"\n", b"\xef\xbb2", b"\xef\xbb\xbf3"]
        {
            assert!(!can_begin(other), "{other:?}");
        }
    }
}
