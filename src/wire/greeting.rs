//! The server's first line: a status with the reply codes that FTP and SMTP use (RFC 959, section
//! 4.2, and RFC 5321, section 4.2). Everything after it is data.

/// Why a peer is refused.
pub(crate) const TOO_MANY_CLIENTS: &str = "too many clients";

/// The text of a refusal.
pub(crate) const REFUSAL: &str = "Server rejected due to too many clients";

/// The meaning of the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// `220`: the client is admitted.
    Ready,
    /// `421`: the hub is full and closes the connection.
    Refused,
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
        match line.get(..4) {
            Some(b"220 ") => Some(Self::Ready),
            Some(b"421 ") => Some(Self::Refused),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_greetings_of_a_server() {
        let parse = |line: String| Greeting::parse(line.trim_end().as_bytes());
        assert_eq!(parse(ready(3, 4)), Some(Greeting::Ready));
        assert_eq!(parse(refused()), Some(Greeting::Refused));
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n".to_owned()), None);
        assert_eq!(parse("220".to_owned()), None);
    }
}
