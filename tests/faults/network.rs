//! Bad networks: a namespace of the kernel's that loses packets, and a proxy that changes bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

static NAMESPACES: AtomicUsize = AtomicUsize::new(0);

/// A network of its own with nothing in it but a loopback.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// The error says why there can be none here.
    pub fn new() -> Result<Namespace, String> {
        let number = NAMESPACES.fetch_add(1, Ordering::Relaxed);
        let name = format!("ajar-{}-{number}", std::process::id());
        run(&["ip", "netns", "add", &name])?;
        let namespace = Namespace { name };
        run(&["ip", "-n", &namespace.name, "link", "set", "lo", "up"])?;
        namespace.nft("add table inet faults")?;
        namespace.nft("add chain inet faults in { type filter hook input priority 0 ; }")?;
        Ok(namespace)
    }

    /// Loses so many of a hundred packets from now on.
    pub fn lose(&self, percent: u32) -> Result<(), String> {
        self.nft("flush chain inet faults in")?;
        match percent {
            0 => Ok(()),
            100 => self.nft("add rule inet faults in drop"),
            _ => self.nft(&format!("add rule inet faults in numgen random mod 100 < {percent} drop")),
        }
    }

    fn nft(&self, rule: &str) -> Result<(), String> {
        run(&["ip", "netns", "exec", &self.name, "nft", rule])
    }

    /// The words that run a program in it.
    pub fn words(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name].map(str::to_string).to_vec()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(&["ip", "netns", "delete", &self.name]);
    }
}

fn run(words: &[&str]) -> Result<(), String> {
    let output =
        Command::new(words[0]).args(&words[1..]).output().map_err(|e| format!("{}: {e}", words[0]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", words.join(" "), said.trim())) }
}

/// Which bytes the proxy changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Where {
    Anywhere,
    /// Only in the pictures, so that no frame of the protocol tells.
    Pictures,
}

/// Bytes at the start of a connection that stay as they are, so that it comes about at all.
const PREFACE: usize = 4096;

/// Stands between a camera and `ajard` and changes some of what the camera sends.
pub struct Proxy {
    pub port: u16,
    /// Of a million bytes.
    changed: Arc<AtomicU32>,
}

impl Proxy {
    pub fn start(camera: u16, place: Where) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let changed = Arc::new(AtomicU32::new(0));
        let rate = changed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", camera)) else { continue };
                let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { continue };
                std::thread::spawn(move || copy(from, to));
                let rate = rate.clone();
                std::thread::spawn(move || spoil(server, client, place, &rate));
            }
        });
        Proxy { port, changed }
    }

    pub fn change(&self, of_a_million: u32) {
        self.changed.store(of_a_million, Ordering::Relaxed);
    }

    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Where in the camera's part of an RTSP connection the next byte is.
enum Position {
    Text,
    /// Bytes of the four before a packet that have come.
    Head(usize, [u8; 4]),
    /// Bytes of a packet that have come, and its length.
    Packet(usize, usize),
}

/// Bytes at the start of a packet that its sender and receiver need to know it by.
const PACKET_HEAD: usize = 14;

fn spoil(mut from: TcpStream, mut to: TcpStream, place: Where, rate: &AtomicU32) {
    let (mut buffer, mut sent, mut position) = ([0; 16 << 10], 0, Position::Text);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    while let Ok(count) = from.read(&mut buffer) {
        for byte in &mut buffer[..count] {
            let in_picture = advance(&mut position, *byte);
            sent += 1;
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let hit = seed % 1_000_000 < u64::from(rate.load(Ordering::Relaxed));
            if hit && sent > PREFACE && (place == Where::Anywhere || in_picture) {
                *byte ^= 1 << (seed >> 32 & 7);
            }
        }
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Whether this byte belongs to a picture.
fn advance(position: &mut Position, byte: u8) -> bool {
    let (next, in_picture) = match *position {
        Position::Text if byte == b'$' => (Position::Head(1, [byte; 4]), false),
        Position::Text => (Position::Text, false),
        Position::Head(at, mut head) => {
            head[at] = byte;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let next = if at == 3 { Position::Packet(0, length) } else { Position::Head(at + 1, head) };
            (next, false)
        }
        Position::Packet(at, length) => {
            let next = if at + 1 < length { Position::Packet(at + 1, length) } else { Position::Text };
            (next, at >= PACKET_HEAD)
        }
    };
    *position = next;
    in_picture
}
