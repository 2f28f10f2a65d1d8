//! What is fuzzed: everything that reads bytes from outside. A target panics if something is wrong.
//!
//! cargo-fuzz runs these from `fuzz_targets`; `tests/corpus.rs` runs them on the seeds with every `make test`.
#![allow(dead_code)]

use ajar::bundle::format;
use ajar::bundle::manifest::Manifest;
use ajar::bundle::store::state::State;
use ajar::bundle::verify::{TrustedKey, verify};
use ajar::bundle::{Code, Refusal};
use ajar::config::Config;
use ajar::device::control::{Access, Control};
use ajar::device::gallery::Gallery;
use ajar::device::journal::Journal;
use ajar::device::keeper::Order;
use ajar::device::recent::Recent;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;
use tempfile::TempDir;

/// Signed the seed of a good bundle. Its secret half is thrown away.
const KEY: &str = include_str!("seeds/key.pub");

/// A bundle file from its first byte.
pub fn bundle(data: &[u8]) {
    static KEYS: OnceLock<Vec<TrustedKey>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| vec![TrustedKey::parse("seeds", KEY).expect("a key")]);
    if let Ok(pieces) = format::split(data) {
        assert_eq!(format::join(&pieces), data, "a byte of the file is without meaning");
    }
    if let Ok(verified) = verify(data, keys) {
        let size: u64 = verified.manifest.parts.iter().map(|part| part.size).sum();
        assert!(size < data.len() as u64);
    }
}

/// A manifest behind its signature.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        let text = toml::to_string(&manifest).expect("a manifest that can be written");
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
    }
}

/// The store's state file. Its checksum is mended first, which no fuzzer would come by.
pub fn state(data: &[u8]) {
    let _ = State::parse(data);
    let mended = [data, b"# sha256 ", ajar::bundle::sha256_hex(data).as_bytes(), b"\n"].concat();
    if let Ok(state) = State::parse(&mended) {
        let bytes = state.to_bytes().expect("a state that can be written");
        assert_eq!(State::parse(&bytes), Ok(state));
    }
}

/// The configuration.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(config) = Config::parse(text) {
        for (model, camera) in config.watches() {
            assert!(config.region(model, camera).is_some(), "{model} on {camera} has no crop");
        }
    }
}

/// What somebody writes into the control socket.
pub fn control(data: &[u8]) {
    static SERVER: OnceLock<(Control, PathBuf, TempDir)> = OnceLock::new();
    let (_, path, _) = SERVER.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let (orders, inbound) = mpsc::channel();
        std::thread::spawn(move || inbound.into_iter().for_each(refuse));
        let (journal, snapshots) = (Arc::new(Journal::new([].into_iter())), Arc::default());
        let mut config = Config::default();
        config.gallery.directory = Some(directory.path().join("gallery"));
        let (gallery, recent) = (Arc::new(Gallery::open(&config)), Arc::new(Recent::open(&config)));
        let (device, meters) = ("fuzzed".into(), Vec::new());
        let access = Access { device, orders, journal, snapshots, gallery, recent, meters };
        (Control::start(&path, access).expect("a control socket"), path, directory)
    });
    let mut stream = UnixStream::connect(path).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time limit");
    // The server may have heard enough before the end.
    let _ = stream.write_all(data);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("no end of the answer: {error}"),
    }
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answer));
}

fn refuse(order: Order) {
    let refusal = || Refusal::new(Code::E10, "fuzzed");
    match order {
        Order::Install { reply, .. } => reply(Err(refusal())),
        Order::Confirm { reply, .. } | Order::GoBack { reply, .. } => reply(Err(refusal())),
        Order::Generations { reply } => reply(Ok(State::default())),
        Order::Reject { .. } | Order::Stop => {}
    }
}
