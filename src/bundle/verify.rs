//! From untrusted bytes to a bundle whose every byte is covered by a trusted signature.

use super::format::{self, MAX_FILE, Pieces};
use super::manifest::{Manifest, Role};
use super::{Code, Refusal, sha256_hex};
use ct_codecs::{Base64, Decoder};
use minisign_verify::{Error as SignatureError, PublicKey, Signature};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub const UNTRUSTED_COMMENT: &str = "untrusted comment: ajar bundle";

/// Most keys that a device trusts.
pub const MAX_KEYS: usize = 8;
/// Beside the keys: ids of those that are never accepted again, one a line, each followed by anything.
pub const REVOKED: &str = "revoked";

/// A key that bundles may be signed with, unless it is revoked.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    /// File name without `.pub`.
    pub name: String,
    /// 16 hex digits, as minisign prints it.
    pub id: String,
    /// Wins over everything else.
    pub revoked: bool,
    key: PublicKey,
}

/// The keys of every `*.pub` file of a directory, in order of their names.
pub fn trusted_keys(directory: &Path) -> Result<Vec<TrustedKey>, Refusal> {
    trusted_keys_in(&[directory])
}

/// The keys of several directories. What is revoked in one of them is revoked in all.
pub fn trusted_keys_in(directories: &[&Path]) -> Result<Vec<TrustedKey>, Refusal> {
    let (mut keys, mut revoked) = (Vec::new(), Vec::new());
    for directory in directories {
        check_writers(directory)?;
        let failed = |error: std::io::Error| untrusted(directory, error.to_string());
        let entries = std::fs::read_dir(directory).map_err(failed)?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pub"));
        paths.sort();
        if paths.len() > MAX_KEYS {
            return Err(untrusted(
                directory,
                format!("{} keys, at most {MAX_KEYS} are trusted", paths.len()),
            ));
        }
        for path in &paths {
            check_writers(path)?;
            keys.push(trusted_key(path).map_err(|why| untrusted(path, why))?);
        }
        revoked.extend(revoked_ids(&directory.join(REVOKED))?);
    }
    keys.iter_mut().for_each(|key| key.revoked = revoked.contains(&key.id));
    Ok(keys)
}

fn revoked_ids(path: &Path) -> Result<Vec<String>, Refusal> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        // A list that cannot be read may name any key.
        Err(error) => return Err(untrusted(path, error.to_string())),
    };
    check_writers(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let id = line.split_whitespace().next().unwrap_or_default().to_uppercase();
            let good = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            good.then_some(id).ok_or_else(|| untrusted(path, format!("{line:?} is no key id")))
        })
        .collect()
}

/// Whoever may change a file of keys decides what a device runs: its owner must be root or this user, and nobody else
/// may write.
fn check_writers(path: &Path) -> Result<(), Refusal> {
    let meta = std::fs::metadata(path).map_err(|error| untrusted(path, error.to_string()))?;
    let own = std::fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or(0);
    if meta.mode() & 0o022 != 0 {
        return Err(untrusted(path, "others may write it; run: chmod go-w".into()));
    }
    if ![0, own].contains(&meta.uid()) {
        return Err(untrusted(
            path,
            format!("belongs to user {}; it must be root's or your own", meta.uid()),
        ));
    }
    Ok(())
}

fn untrusted(path: &Path, why: String) -> Refusal {
    Refusal::new(Code::E21, format!("{}: {why}", path.display()))
}

fn trusted_key(path: &Path) -> Result<TrustedKey, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    TrustedKey::parse(&name, &text)
}

impl TrustedKey {
    /// Reads a minisign public key's text.
    pub fn parse(name: &str, text: &str) -> Result<TrustedKey, String> {
        let key = PublicKey::decode(text).map_err(|error| format!("not a minisign public key: {error}"))?;
        let base64 = text.lines().nth(1).unwrap_or_default();
        let id = key_id(base64).ok_or("not a minisign public key")?;
        Ok(TrustedKey { name: name.into(), id, revoked: false, key })
    }
}

/// The key id in the base64 line of a minisign key or signature: after two bytes that name the
/// algorithm, eight bytes in little endian.
pub fn key_id(base64: &str) -> Option<String> {
    let bytes = Base64::decode_to_vec(base64, None).ok()?;
    let id = bytes.get(2..10)?;
    Some(id.iter().rev().map(|byte| format!("{byte:02X}")).collect())
}

/// A verified bundle.
#[derive(Debug)]
pub struct Verified<'a> {
    pub manifest: Manifest,
    /// Hex SHA-256 of the manifest's bytes.
    pub manifest_sha256: String,
    pub manifest_bytes: &'a [u8],
    pub signature: &'a str,
    pub key_id: String,
    /// In the manifest's order.
    pub parts: Vec<&'a [u8]>,
}

impl Verified<'_> {
    /// The bytes of the part with this role.
    pub fn part(&self, role: Role) -> Option<&[u8]> {
        let at = self.manifest.parts.iter().position(|part| part.role == role)?;
        Some(self.parts[at])
    }
}

/// Reads a bundle file into one buffer, which is then both verified and used. Anything but a
/// regular file of a possible size is refused before a byte is read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Refusal> {
    let failed = |error: std::io::Error| Refusal::new(Code::E41, format!("{}: {error}", path.display()));
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Refusal::new(Code::E10, format!("{}: not a regular file", path.display())));
    }
    if meta.len() > MAX_FILE as u64 {
        let why = format!("{}: {} bytes, a bundle has at most {MAX_FILE}", path.display(), meta.len());
        return Err(Refusal::new(Code::E12, why));
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read; one byte too many is enough to see that.
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Verifies everything, in the only safe order: header, signature, manifest, parts.
pub fn verify<'a>(file: &'a [u8], keys: &[TrustedKey]) -> Result<Verified<'a>, Refusal> {
    let Pieces { signature, manifest: manifest_bytes, body } = format::split(file)?;
    let signature = signature_text(signature)?;
    let (manifest, key_id) = verify_manifest(manifest_bytes, signature, keys)?;
    let parts = cut_parts(&manifest, body)?;
    let manifest_sha256 = sha256_hex(manifest_bytes);
    Ok(Verified { manifest, manifest_sha256, manifest_bytes, signature, key_id, parts })
}

/// Verifies the signature, and only then reads the manifest. Returns it and the key's id.
pub fn verify_manifest(
    bytes: &[u8],
    signature: &str,
    keys: &[TrustedKey],
) -> Result<(Manifest, String), Refusal> {
    let key_id = verify_signature(bytes, signature, keys)?;
    let manifest = Manifest::parse(bytes)?;
    let comment = signature.lines().nth(2).and_then(|line| line.strip_prefix("trusted comment: "));
    if comment != Some(manifest.trusted_comment(&sha256_hex(bytes)).as_str()) {
        let why = "the signature's trusted comment does not agree with the manifest";
        return Err(Refusal::new(Code::E30, why));
    }
    Ok((manifest, key_id))
}

pub fn signature_text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::new(Code::E23, "signature: not text"))
}

/// Checks the signature's form, then the signature. Returns the key's id.
fn verify_signature(manifest: &[u8], signature: &str, keys: &[TrustedKey]) -> Result<String, Refusal> {
    let malformed = |why: &str| Refusal::new(Code::E23, format!("signature: {why}"));
    // Exactly four lines, each ended by one LF: no byte of the text is without meaning.
    if signature.matches('\n').count() != 4 || !signature.ends_with('\n') || signature.contains('\r') {
        return Err(malformed("want exactly four lines"));
    }
    if signature.lines().next() != Some(UNTRUSTED_COMMENT) {
        return Err(malformed("the first line is not that of a bundle"));
    }
    let decoded = Signature::decode(signature).map_err(|error| malformed(&error.to_string()))?;
    let id = signature.lines().nth(1).and_then(key_id).ok_or_else(|| malformed("no key id"))?;
    let Some(trusted) = keys.iter().find(|trusted| trusted.id == id) else {
        let have = keys.iter().map(|key| format!("{} ({})", key.id, key.name)).collect::<Vec<_>>();
        let have = if have.is_empty() { "none".into() } else { have.join(", ") };
        return Err(Refusal::new(
            Code::E21,
            format!("signed by key {id}, which is not trusted; trusted: {have}"),
        ));
    };
    if trusted.revoked {
        let why = format!("signed by key {id} ({}), which is revoked", trusted.name);
        return Err(Refusal::new(Code::E22, why));
    }
    match trusted.key.verify(manifest, &decoded, false) {
        Ok(()) => Ok(id),
        Err(SignatureError::UnexpectedAlgorithm | SignatureError::UnsupportedLegacyMode) => {
            Err(malformed("a legacy signature; only prehashed ones are accepted"))
        }
        Err(_) => Err(Refusal::new(
            Code::E20,
            format!("manifest or signature differ from what key {id} ({}) signed", trusted.name),
        )),
    }
}

/// Cuts the body into the parts and checks their hashes.
fn cut_parts<'a>(manifest: &Manifest, body: &'a [u8]) -> Result<Vec<&'a [u8]>, Refusal> {
    let mut rest = body;
    let mut parts = Vec::new();
    for part in &manifest.parts {
        let size = usize::try_from(part.size).unwrap_or(usize::MAX);
        let Some((bytes, after)) = rest.split_at_checked(size) else {
            return Err(Refusal::new(Code::E11, format!("part {}: the body is too short", part.name)));
        };
        if sha256_hex(bytes) != part.sha256 {
            return Err(Refusal::new(Code::E20, format!("part {} differs from what was signed", part.name)));
        }
        parts.push(bytes);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Refusal::new(Code::E11, format!("{} bytes after the last part", rest.len())));
    }
    Ok(parts)
}
