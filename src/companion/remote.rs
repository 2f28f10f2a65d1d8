//! A device from afar: its control socket, forwarded by the user's own OpenSSH.

use crate::exit::UsageError;
use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::UnixStream;

const SOCKET: &str = "/run/ajard/control.sock";
/// A device that is switched off does not even refuse.
const CONNECT_TIMEOUT: &str = "ConnectTimeout=10";
/// Time to type a password in.
const SSH_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
/// An installation tries the model and may wait for a slow card.
const CHANGE_LIMIT: Duration = Duration::from_secs(300);
/// Whatever else takes longer comes from a device that hangs, or is not reached any more.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 << 20;

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A control socket on this computer.
    Socket(PathBuf),
    Ssh {
        destination: String,
        port: Option<u16>,
        socket: PathBuf,
    },
}

impl Default for Address {
    fn default() -> Address {
        Address::Socket(SOCKET.into())
    }
}

impl FromStr for Address {
    type Err = String;

    /// `ssh://[user@]host[:port][/path/of/the/socket]`, or the path of a socket.
    fn from_str(text: &str) -> Result<Address, String> {
        let Some(rest) = text.strip_prefix("ssh://") else {
            return match text.contains("://") {
                true => Err("want ssh://user@host, or the path of a control socket".into()),
                false => Ok(Address::Socket(text.into())),
            };
        };
        let (host, socket) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let socket = if socket.len() > 1 { socket } else { SOCKET };
        let (destination, port) = match host.rsplit_once(':') {
            // Colons inside brackets belong to an IPv6 address.
            Some((name, port)) if !port.ends_with(']') => {
                (name, Some(port.parse().map_err(|_| format!("{port:?} is not a port"))?))
            }
            _ => (host, None),
        };
        // ssh would take it for an option.
        if destination.is_empty() || destination.starts_with('-') {
            return Err("want ssh://user@host".into());
        }
        let destination = destination.replace(['[', ']'], "");
        Ok(Address::Ssh { destination, port, socket: socket.into() })
    }
}

/// An answer that is a refusal.
#[derive(Debug, thiserror::Error)]
#[error("{}{why}", .code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default())]
pub struct Refused {
    pub status: u16,
    /// Of a bundle or the store.
    pub code: Option<String>,
    pub why: String,
}

/// There was no connection: the device has heard nothing.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotReached(#[from] std::io::Error);

/// A device that can be asked.
pub struct Device {
    socket: PathBuf,
    /// For messages.
    name: String,
    _tunnel: Option<Tunnel>,
}

/// An ssh that forwards the socket; ended when it is dropped.
struct Tunnel {
    child: Child,
    _directory: TempDir,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Device {
    pub fn open(address: &Address) -> Result<Device> {
        match address {
            Address::Socket(path) => {
                Ok(Device { socket: path.clone(), name: path.display().to_string(), _tunnel: None })
            }
            Address::Ssh { destination, port, socket } => {
                let (local, tunnel) = tunnel(destination, *port, socket)?;
                let name = format!("{} on {destination}", socket.display());
                Ok(Device { socket: local, name, _tunnel: Some(tunnel) })
            }
        }
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, Vec::new())
    }

    pub fn post(&self, path: &str, body: Vec<u8>) -> Result<Value> {
        self.ask(Method::POST, path, body)
    }

    /// An answer that is no JSON, such as a picture.
    pub fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.answer(Method::GET, path, Vec::new())?.to_vec())
    }

    fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Value> {
        Ok(serde_json::from_slice(&self.answer(method, path, body)?).unwrap_or(Value::Null))
    }

    /// The answer; [`Refused`] if the device gave none.
    fn answer(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let limit = if method == Method::GET { ANSWER_LIMIT } else { CHANGE_LIMIT };
        let exchange = exchange(&self.socket, method, path, body);
        let answered = runtime.block_on(async { tokio::time::timeout(limit, exchange).await });
        let (status, bytes) = answered
            .map_err(|_| anyhow!("no answer within {} s", limit.as_secs()))
            .and_then(|answer| answer)
            .with_context(|| {
                format!("{}: is ajard running, and are you root or in the group ajar?", self.name)
            })?;
        if status.is_success() {
            return Ok(bytes);
        }
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let why = value["why"].as_str().map_or_else(|| status.to_string(), str::to_string);
        let code = value["code"].as_str().map(str::to_string);
        Err(Refused { status: status.as_u16(), code, why }.into())
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(hyper::StatusCode, Bytes)> {
    let stream = UnixStream::connect(socket).await.map_err(NotReached)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "ajard")
        .body(Full::new(Bytes::from(body)))?;
    // Whoever reads the answer hears of a connection that breaks.
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let answer = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let answer = answer.map_err(|why| anyhow!("an answer that breaks off, or is too long: {why}"))?;
    Ok((status, answer.to_bytes()))
}

/// Forwards the remote socket to one in a private directory.
fn tunnel(destination: &str, port: Option<u16>, remote: &Path) -> Result<(PathBuf, Tunnel)> {
    let directory = tempfile::Builder::new().prefix("ajar-").tempdir()?;
    let local = directory.path().join("s");
    let mut ssh = Command::new("ssh");
    ssh.args(["-N", "-T", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"]);
    ssh.args(["-o", CONNECT_TIMEOUT]);
    if let Some(port) = port {
        ssh.args(["-p", &port.to_string()]);
    }
    // Questions and errors of ssh go to the terminal as they are.
    ssh.arg("-L").arg(format!("{}:{}", local.display(), remote.display())).arg("--").arg(destination);
    let child = ssh.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let child =
        child.map_err(|error| UsageError(format!("ssh cannot be run: {error}; install openssh-client")))?;
    let mut tunnel = Tunnel { child, _directory: directory };
    let start = Instant::now();
    while !local.exists() {
        if let Some(status) = tunnel.child.try_wait()? {
            bail!("ssh {destination} failed ({status}); its own words are in the terminal");
        }
        if start.elapsed() > SSH_LIMIT {
            bail!("ssh {destination} has not connected within {} s", SSH_LIMIT.as_secs());
        }
        std::thread::sleep(POLL);
    }
    Ok((local, tunnel))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(destination: &str, port: Option<u16>, socket: &str) -> Result<Address, String> {
        Ok(Address::Ssh { destination: destination.into(), port, socket: socket.into() })
    }

    #[test]
    fn addresses() {
        let parse = |text: &str| text.parse::<Address>();
        assert_eq!(parse("ssh://pi@gate.local"), ssh("pi@gate.local", None, SOCKET));
        assert_eq!(parse("ssh://gate:2222/tmp/s"), ssh("gate", Some(2222), "/tmp/s"));
        assert_eq!(parse("ssh://pi@[fe80::1%eth0]:22"), ssh("pi@fe80::1%eth0", Some(22), SOCKET));
        assert_eq!(parse("ssh://[::1]"), ssh("::1", None, SOCKET));
        assert_eq!(parse("run/s"), Ok(Address::Socket("run/s".into())));
        for bad in ["ssh://", "ssh://-oProxyCommand=x", "ssh://a:b", "http://gate"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
