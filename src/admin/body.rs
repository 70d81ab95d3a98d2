//! The bodies of requests: whole, in time, and divided into lines.

use std::{error::Error, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;
use tokio_util::codec::Decoder;

use super::answers::Failure;
use crate::wire::lines::{Decoded, LineDecoder, Lines};

/// The longest body, in bytes.
const MAX: usize = 1 << 20;

/// How long a body may take.
const TIME: Duration = Duration::from_secs(10);

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The body of a request that takes text.
pub(super) async fn read(request: Request) -> Result<Bytes, Failure> {
    check_type(request.headers())?;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX as u64) {
        return Err(too_large());
    }
    match timeout(TIME, collect(request.into_body())).await {
        Ok(body) => body,
        Err(_) => {
            let why = "the body did not come within 10 seconds";
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, why).closing())
        }
    }
}

async fn collect(body: Body) -> Result<Bytes, Failure> {
    match Limited::new(body, MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if is_too_large(&*error) => Err(too_large()),
        Err(_) => Err(Failure::new(StatusCode::BAD_REQUEST, "the body is broken").closing()),
    }
}

fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_too_large)
}

fn too_large() -> Failure {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB").closing()
}

/// Text is the only type; a request need not name it.
fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let is_text = parts.next() == Some("text/plain");
    let mut charsets = parts.filter_map(|part| part.strip_prefix("charset="));
    let is_utf8 = charsets.all(|set| matches!(set.trim_matches('"'), "utf-8" | "us-ascii"));
    if is_text && is_utf8 {
        return Ok(());
    }
    let why = "expected Content-Type: text/plain in UTF-8";
    Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
}

/// The body's text.
pub(super) fn utf8(body: &[u8]) -> Result<&str, Failure> {
    let body = body.strip_prefix(BOM).unwrap_or(body);
    str::from_utf8(body)
        .map_err(|_| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "the body is not UTF-8"))
}

/// The body's lines, in batches of at most `max_batch` bytes (or one longest line).
pub(super) fn lines(body: &[u8], max_line: usize, max_batch: usize) -> Result<Vec<Lines>, Failure> {
    let mut rest = BytesMut::from(utf8(body)?);
    let mut decoder = LineDecoder::with_batch(max_line, max_batch);
    let mut batches = Vec::new();
    while let Some(decoded) = decoder.decode_eof(&mut rest).map_err(broken)? {
        match decoded {
            // A line that is queued must not keep the whole body alive.
            Decoded::Lines(lines) => batches.push(lines.compact()),
            Decoded::Discarded(bytes) => {
                let why = format!(
                    "a line of {bytes} bytes is longer than limits.max_line ({max_line} bytes)"
                );
                return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, why));
            }
        }
    }
    Ok(batches)
}

/// Decoding from memory does not fail.
fn broken(error: std::io::Error) -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error)
}
