//! `IP:PORT`, or `None` for `"off"`.

use std::net::SocketAddr;

use super::*;

const EXPECTED: &str = "\"off\" or IP:PORT such as \"127.0.0.1:4480\" or \"[::1]:4480\"";

pub(crate) fn serialize<S: Serializer>(
    address: &Option<SocketAddr>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => to.collect_str(address),
        None => to.serialize_str("off"),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SocketAddr>, D::Error> {
    scalar(from, EXPECTED, |value| value.or_off(|value| value.text()?.parse().ok()))
}

/// The value of a flag.
pub(crate) fn parse(text: &str) -> Result<Option<SocketAddr>, String> {
    Scalar::Text(text)
        .or_off(|value| value.text()?.parse().ok())
        .ok_or_else(|| "expected off or IP:PORT such as 127.0.0.1:4480".to_owned())
}
