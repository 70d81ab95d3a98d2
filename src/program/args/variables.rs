//! Arguments from environment variables.

use std::{env, ffi::OsString, fmt::Display};

use crate::config::{NotAToken, Token};

/// Sets an argument that was not given to what the environment variable says, read by the flag's own
/// parser.
pub(super) fn fill<T, E: Display>(
    argument: &mut Option<T>,
    name: &str,
    flag: &str,
    parse: fn(&str) -> Result<T, E>,
) -> Result<(), String> {
    let Some(value) = variable(name).filter(|_| argument.is_none()) else {
        return Ok(());
    };
    let text = value.to_str().ok_or_else(|| format!("{name}: expected UTF-8"))?;
    let value = parse(text)
        .map_err(|expected| format!("{name}: invalid value '{text}' for '{flag}': {expected}"))?;
    *argument = Some(value);
    Ok(())
}

/// The token for the admin side. An error does not repeat it.
pub(super) fn admin_token() -> Result<Option<Token>, String> {
    let name = "LINEHUB_ADMIN_TOKEN";
    let token = variable(name).map(|value| value.to_str().unwrap_or_default().parse());
    token.transpose().map_err(|wrong: NotAToken| format!("{name}: {wrong}"))
}

/// The value of an environment variable. An empty one counts as not set.
pub(super) fn variable(name: &str) -> Option<OsString> {
    let value = env::var_os(name).filter(|value| !value.is_empty())?;
    // For a service named linehub, Kubernetes sets LINEHUB_PORT to a URL such as tcp://10.0.0.1:4444.
    let is_url = name == "LINEHUB_PORT" && value.to_string_lossy().contains("://");
    (!is_url).then_some(value)
}
