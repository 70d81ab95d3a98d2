//! `[admin]`: where the web console and the HTTP API are served, and the token that they need.

use std::{
    fmt::{self, Debug, Formatter},
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, Unexpected},
};

use super::{Conflict, values};
use crate::events::wording::os_error_text;

/// The shortest token, in bytes.
const MIN_TOKEN: usize = 16;

/// The longest token file. A longer one is not a token file.
const MAX_FILE: u64 = 4096;

/// The web console and the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Where they are served; port 0 picks a free one. Default: `None`, nowhere.
    #[serde(with = "values::socket_or_off")]
    pub listen: Option<SocketAddr>,
    /// The file with the token. Default: none; then the token is random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Host names by which browsers may reach it, besides `localhost`. Default: none.
    #[serde(deserialize_with = "host_names")]
    pub hosts: Vec<String>,
    /// Whether `/metrics` needs no token. Default: false.
    pub open_metrics: bool,
    /// Whether it may speak plain HTTP beyond loopback, because a proxy in front of it does TLS.
    /// Default: false.
    pub plain: bool,
    /// Bytes of lines that are kept for readers of the events. Default: 1 MiB.
    #[serde(with = "values::size")]
    pub backlog: usize,
    /// A token that overrides `token_file`. It is not part of the file. Default: none.
    #[serde(skip)]
    pub token: Option<Token>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: None,
            token_file: None,
            hosts: Vec::new(),
            open_metrics: false,
            plain: false,
            backlog: 1 << 20,
            token: None,
        }
    }
}

/// Names as they are in a Host header, without its port.
fn host_names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let names: Vec<String> = Vec::deserialize(from)?;
    let wrong = names.iter().find(|name| name.is_empty() || !name.bytes().all(is_part));
    match wrong {
        None => Ok(names),
        Some(wrong) => Err(D::Error::invalid_value(
            Unexpected::Str(wrong),
            &"host names such as \"hub.example\", without a scheme or a port",
        )),
    }
}

/// A token for the web console and the HTTP API. It is not printed, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The text, for the code that must show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The text is not a token. It does not say which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a token of at least 16 printable ASCII characters without spaces")]
pub struct NotAToken;

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        // Anything else could not be sent as a header.
        let is_token = text.len() >= MIN_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token { Ok(Self(text.to_owned())) } else { Err(NotAToken) }
    }
}

/// The token in a file, and whether everybody can read that file.
pub(crate) struct TokenFile {
    pub(crate) token: Token,
    pub(crate) is_public: bool,
}

/// Reads the token from a file. White space around it does not belong to it.
pub(crate) fn read_token(path: &Path) -> Result<TokenFile, String> {
    let name = path.display();
    let cannot = |error: io::Error| format!("cannot read {name}: {}", os_error_text(&error));
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(format!("{name} is not a file"));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(cannot)?;
    let token = text.trim().parse().map_err(|wrong| format!("{name}: {wrong}"))?;
    Ok(TokenFile { token, is_public: metadata.permissions().mode() & 0o004 != 0 })
}

impl AdminConfig {
    /// What is wrong with values that are possible by themselves.
    pub(super) fn conflict(&self) -> Option<Conflict> {
        let address = self.listen?;
        let at_listen = |problem| Conflict { keys: ["admin.listen", "admin.plain"], problem };
        if !cfg!(feature = "admin") {
            return Some(at_listen(format!(
                "admin.listen ({address}) needs the Cargo feature `admin`, without which this \
                 program was built: expected \"off\""
            )));
        }
        if !address.ip().to_canonical().is_loopback() && !self.plain {
            return Some(at_listen(format!(
                "admin.listen ({address}) is not a loopback address, and there would be no TLS: \
                 expected a loopback address, or admin.plain = true if a proxy does TLS"
            )));
        }
        let problem = match (&self.token, &self.token_file) {
            (None, Some(file)) => read_token(file).err()?,
            _ => return None,
        };
        let keys = ["admin.token_file", "admin.listen"];
        Some(Conflict { keys, problem: format!("admin.token_file: {problem}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_and_can_be_sent_in_a_header() {
        assert!("0123456789abcdef".parse::<Token>().is_ok());
        for text in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdé"] {
            assert_eq!(text.parse::<Token>(), Err(NotAToken), "{text}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token: Token = "0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
