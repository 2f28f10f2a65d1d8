//! The door: who may come in.
//!
//! On loopback, whoever has the one-time token of the printed URL gets a cookie for it. On any other address, whoever
//! knows the password. Requests that another page makes in the user's browser are refused by Host, Origin and
//! Sec-Fetch-Site.

use super::{lock, pages};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes of a token.
const TOKEN: usize = 24;
/// A wrong password costs this long, and only so many are tried at once.
const SECOND_THOUGHTS: Duration = Duration::from_secs(1);
const TRIES_AT_ONCE: usize = 4;
/// Everything comes from this server, and nothing is run that stands in a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub struct Door {
    /// The cookie's: two studios on one computer share the browser's cookies.
    cookie: String,
    /// What Host may say; anything where there is a password, which a foreign name does not know.
    hosts: Option<[String; 2]>,
    password: Option<String>,
    tries: Semaphore,
    /// Until it is used.
    token: Mutex<Option<String>>,
    sessions: Mutex<BTreeSet<String>>,
}

impl Door {
    pub fn new(address: SocketAddr, password: Option<String>) -> Result<Door, getrandom::Error> {
        let port = address.port();
        Ok(Door {
            cookie: format!("ajar-{port}"),
            hosts: password.is_none().then(|| [address.to_string(), format!("localhost:{port}")]),
            token: Mutex::new(if password.is_none() { Some(random()?) } else { None }),
            password,
            tries: Semaphore::new(TRIES_AT_ONCE),
            sessions: Mutex::default(),
        })
    }

    /// The token for the printed URL, if it opens the door.
    pub fn token(&self) -> Option<String> {
        lock(&self.token).clone()
    }

    fn knows_host(&self, host: &str) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|known| known == host))
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let sessions = lock(&self.sessions);
        pairs.into_iter().any(|(name, value)| name == self.cookie && sessions.contains(value))
    }

    fn take_token(&self, given: &str) -> bool {
        let mut token = lock(&self.token);
        let good = token.as_ref().is_some_and(|token| same(token, given));
        if good {
            *token = None;
        }
        good
    }

    /// `None` while too many are tried: nobody waits in line, or a crowd would keep the owner out.
    pub async fn is_password(&self, given: &str) -> Option<bool> {
        let _try = self.tries.try_acquire().ok()?;
        let good = self.password.as_ref().is_some_and(|password| same(password, given));
        if !good {
            tokio::time::sleep(SECOND_THOUGHTS).await;
        }
        Some(good)
    }

    /// Lets a browser in from now on.
    pub fn welcome(&self) -> Response {
        let Ok(session) = random() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let cookie = format!("{}={session}; HttpOnly; SameSite=Strict; Path=/", self.cookie);
        lock(&self.sessions).insert(session);
        ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
    }
}

/// Takes the same time wherever they differ.
fn same(a: &str, b: &str) -> bool {
    Sha256::digest(a.as_bytes()) == Sha256::digest(b.as_bytes())
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; TOKEN];
    getrandom::fill(&mut bytes)?;
    Ok(crate::bundle::hex(&bytes))
}

/// Before every request.
pub async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let mut response = match door.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Door {
    #[allow(clippy::result_large_err)] // It is answered at once.
    fn check(&self, request: &Request<Body>) -> Result<(), Response> {
        let headers = request.headers();
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if !self.knows_host(host) {
            return Err(refuse(
                StatusCode::FORBIDDEN,
                "This address is not the studio's. Use the one it printed.",
            ));
        }
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let own = format!("http://{host}");
        let foreign = match text(header::ORIGIN) {
            Some(origin) => origin != own,
            None => !reads,
        };
        let from = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
        if foreign || from.is_some_and(|from| !["same-origin", "none"].contains(&from)) {
            return Err(refuse(StatusCode::FORBIDDEN, "Another page may not use the studio."));
        }
        let path = request.uri().path();
        if path.starts_with("/assets/") || path == "/login" && self.password.is_some() {
            return Ok(());
        }
        if path == "/" && token_of(request.uri()).is_some_and(|token| self.take_token(token)) {
            return Err(self.welcome());
        }
        if self.has_session(headers) {
            return Ok(());
        }
        if self.password.is_some() && reads && !path.starts_with("/api/") {
            return Err(Redirect::to("/login").into_response());
        }
        let why = "This browser is not let in: the link opens the studio once. Start `ajar studio` again and open the \
                   address that it prints.";
        Err(refuse(StatusCode::UNAUTHORIZED, why))
    }
}

fn token_of(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, pages::message("Not let in", why)).into_response()
}
