//! The server's first line: a status with the reply codes that FTP and SMTP use (RFC 959, section
//! 4.2, and RFC 5321, section 4.2). Everything after it is data.

/// Why a peer is refused.
pub(crate) const TOO_MANY_CLIENTS: &str = "too many clients";

/// The text that a refused peer gets.
pub(crate) const REFUSAL: &str = "Server rejected due to too many clients";

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// `220`: this client is one of the sessions.
    Ready,
    /// `421`: the hub is full, and closes.
    Refused,
}

/// The line for a client that is admitted, with the sessions there are now, itself included.
pub(crate) fn ready(sessions: usize, max_sessions: usize) -> String {
    format!("220 linehub ready: client {sessions} of {max_sessions}\n")
}

/// The line for a client that is refused.
pub(crate) fn refused() -> String {
    format!("421 {REFUSAL}\n")
}

impl Greeting {
    /// What the line says, given without its end. None: whoever sent it is no hub.
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
    fn a_client_understands_what_a_server_says() {
        let parse = |line: String| Greeting::parse(line.trim_end().as_bytes());
        assert_eq!(parse(ready(3, 4)), Some(Greeting::Ready));
        assert_eq!(parse(refused()), Some(Greeting::Refused));
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n".to_owned()), None);
        assert_eq!(parse("220".to_owned()), None);
    }
}
