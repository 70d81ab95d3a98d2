//! Who may ask: the `Host`, where a request comes from, and the token, in this order.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header, request::Parts, uri::Authority};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::answers::Failure;
use crate::config::{AdminConfig, Token};

/// Wrong tokens from one address in [`WINDOW`] before further ones are refused.
const WRONG: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// The addresses whose wrong tokens are counted at once.
const ADDRESSES: usize = 1024;

/// See the [module's documentation](self).
pub(super) struct Checks {
    hosts: Vec<String>,
    open_metrics: bool,
    token: Token,
    wrong: Mutex<HashMap<IpAddr, Wrong>>,
}

/// The wrong tokens of one address.
struct Wrong {
    since: Instant,
    count: u32,
}

impl Checks {
    pub(super) fn new(config: &AdminConfig, token: Token) -> Self {
        let hosts = config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let wrong = Mutex::default();
        Self { hosts, open_metrics: config.open_metrics, token, wrong }
    }

    /// Whether this request may be routed.
    pub(super) fn check(&self, request: &Parts, peer: IpAddr) -> Result<(), Failure> {
        let host = self.host(request)?;
        let path = request.uri.path();
        if path == "/api" || path.starts_with("/api/") || path == "/metrics" {
            check_origin(&request.headers, &host)?;
        }
        if self.is_open(path) { Ok(()) } else { self.check_token(&request.headers, peer) }
    }

    fn is_open(&self, path: &str) -> bool {
        match path {
            "/" | "/app.js" | "/style.css" | "/healthz" | "/readyz" => true,
            "/metrics" => self.open_metrics,
            _ => false,
        }
    }

    /// The host that the request is for, if it is one of this server's.
    fn host(&self, request: &Parts) -> Result<Authority, Failure> {
        let bad = |why| Failure::new(StatusCode::BAD_REQUEST, why);
        let host = single(&request.headers, &header::HOST)
            .ok_or_else(|| bad("expected one Host header"))?;
        let host: Authority = host.parse().map_err(|_| bad("the Host header is not a host"))?;
        // A proxy may ask for a whole URL. What is in it is as good as a Host.
        for host in [Some(&host), request.uri.authority()].into_iter().flatten() {
            if !self.is_allowed(host) {
                let why = "this host name is not in admin.hosts";
                return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, why));
            }
        }
        Ok(host)
    }

    fn is_allowed(&self, authority: &Authority) -> bool {
        let host = authority.host().to_ascii_lowercase();
        let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        let is_known = host == "localhost" || self.hosts.contains(&host);
        !authority.as_str().contains('@') && (is_known || ip.parse::<IpAddr>().is_ok())
    }

    fn check_token(&self, headers: &HeaderMap, peer: IpAddr) -> Result<(), Failure> {
        let given = single(headers, &header::AUTHORIZATION).and_then(bearer);
        let Some(given) = given else {
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "expected a token: Bearer"));
        };
        if given.as_bytes().ct_eq(self.token.reveal().as_bytes()).into() {
            return Ok(());
        }
        match self.count_wrong(peer) {
            None => Err(Failure::new(StatusCode::UNAUTHORIZED, "the token is wrong")),
            Some(wait) => {
                let why = "too many wrong tokens: try again later";
                Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, why).retry_after(wait))
            }
        }
    }

    /// Counts a wrong token. If there were too many, returns how long they are refused.
    fn count_wrong(&self, peer: IpAddr) -> Option<Duration> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if !wrong.contains_key(&peer) && wrong.len() >= ADDRESSES {
            wrong.retain(|_, wrong| wrong.since.elapsed() < WINDOW);
            if wrong.len() >= ADDRESSES {
                // Counting starts anew rather than never for the others.
                wrong.clear();
            }
        }
        let entry = wrong.entry(peer).or_insert(Wrong { since: Instant::now(), count: 0 });
        let age = entry.since.elapsed();
        if age >= WINDOW {
            *entry = Wrong { since: Instant::now(), count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        (entry.count > WRONG).then(|| WINDOW.saturating_sub(age))
    }
}

/// The value of a header, if there is exactly one.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The token in an `Authorization` header.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Refuses what another site's page asks for.
fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Failure> {
    let foreign = |why| Err(Failure::new(StatusCode::FORBIDDEN, why));
    if headers.contains_key(header::ORIGIN)
        && !single(headers, &header::ORIGIN).is_some_and(|origin| is_same(origin, host))
    {
        return foreign("the request comes from another origin");
    }
    let site = HeaderName::from_static("sec-fetch-site");
    let is_own = |site| matches!(site, "same-origin" | "none");
    if headers.contains_key(&site) && !single(headers, &site).is_some_and(is_own) {
        return foreign("the request comes from another site");
    }
    Ok(())
}

/// Whether an origin has this host and port, whatever its scheme.
fn is_same(origin: &str, host: &Authority) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let usual = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let place = |authority: &Authority| {
        (authority.host().to_ascii_lowercase(), authority.port_u16().unwrap_or(usual))
    };
    origin.authority().is_some_and(|origin| place(origin) == place(host))
}
