//! Keys: minisign key pairs, and which public keys this computer trusts.

use super::pack::write_whole;
use crate::bundle::verify::{MAX_KEYS, REVOKED, TrustedKey, trusted_keys, trusted_keys_in};
use crate::exit::UsageError;
use anyhow::{Context, Result};
use ct_codecs::{Base64, Decoder};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub const SECRET_FILE: &str = "ajar.key";
const PUBLIC_FILE: &str = "ajar.pub";
/// Where a password comes from when nobody is there to type it: the variable, or the file that it names.
const PASSWORD_VARIABLE: &str = "AJAR_KEY_PASSWORD";
const PASSWORD_FILE_VARIABLE: &str = "AJAR_KEY_PASSWORD_FILE";
/// Bytes of a minisign secret key.
const SECRET_LEN: usize = 158;
const DEVICE_KEYS: &str = "/etc/ajar/trusted-keys.d";

/// Whether a new secret key is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    Password,
    None,
}

/// A new pair: where it is and what it is called.
pub struct NewKey {
    pub id: String,
    pub secret: PathBuf,
    pub public: PathBuf,
    /// The copy among this computer's trusted keys.
    pub trusted: Option<PathBuf>,
}

/// Writes `ajar.key` and `ajar.pub` into `directory`. Nothing is overwritten.
pub fn generate(directory: &Path, protection: Protection) -> Result<NewKey> {
    generate_with(directory, || match protection {
        Protection::None => Ok(None),
        Protection::Password => new_password().map(Some),
    })
}

/// The same with a password that is asked for in another way; `None` for none.
pub fn generate_with(directory: &Path, password: impl FnOnce() -> Result<Option<String>>) -> Result<NewKey> {
    let (secret, public) = (directory.join(SECRET_FILE), directory.join(PUBLIC_FILE));
    for path in [&secret, &public] {
        if path.exists() {
            let why = format!("{} exists; a key is never overwritten, choose another --out", path.display());
            return Err(UsageError(why).into());
        }
    }
    let pair = match password()? {
        None => KeyPair::generate_unencrypted_keypair()?,
        password => KeyPair::generate_encrypted_keypair(password)?,
    };
    let id = hex_id(pair.pk.keynum());
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let comment = format!("ajar secret key {id}");
    write_new(&secret, 0o600, &pair.sk.to_box(Some(&comment))?.into_string())?;
    let public_text = format!("untrusted comment: ajar public key {id}\n{}\n", pair.pk.to_base64());
    write_new(&public, 0o644, &public_text)?;
    let trusted = trust(&id, &public_text);
    Ok(NewKey { id, secret, public, trusted })
}

/// Whoever makes a key here trusts it here. Best effort: there may be no home.
fn trust(id: &str, public_text: &str) -> Option<PathBuf> {
    let path = own_keys()?.join(format!("ajar-{id}.pub"));
    make_directory(path.parent()?).ok()?;
    write_new(&path, 0o644, public_text).ok()?;
    Some(path)
}

/// Trusts the public key of a file, in `directory` or on this computer. Gives its id and where it is now.
pub fn trust_file(file: &Path, directory: Option<&Path>) -> Result<(String, PathBuf)> {
    let wrong = |why: String| UsageError(format!("{}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let key = TrustedKey::parse(&name, &text).map_err(wrong)?;
    let directory = place(directory)?;
    let known = trusted_keys(&directory)?;
    if let Some(known) = known.iter().find(|known| known.id == key.id) {
        let standing = if known.revoked { "revoked" } else { "trusted already" };
        return Err(wrong(format!("key {} is {standing}, as {}", key.id, known.name)).into());
    }
    if known.len() >= MAX_KEYS {
        return Err(wrong(format!("{MAX_KEYS} keys are trusted already; remove one first")).into());
    }
    let path = directory.join(format!("{name}-{}.pub", key.id));
    write_new(&path, 0o644, &text)?;
    Ok((key.id, path))
}

/// Adds a key to the revoked ones of `directory` or of this computer. Gives the list's place.
pub fn revoke(id: &str, directory: Option<&Path>) -> Result<PathBuf> {
    let id = id.to_uppercase();
    if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(
            UsageError(format!("{id:?} is no key id: want 16 hex digits; see `ajar key list`")).into()
        );
    }
    let path = place(directory)?.join(REVOKED);
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    let known = text
        .lines()
        .any(|line| line.split_whitespace().next().is_some_and(|id_| id_.eq_ignore_ascii_case(&id)));
    if !known {
        text += &format!("{id} {}\n", jiff::Timestamp::now().round(jiff::Unit::Second)?);
        write_whole(&path, text.as_bytes())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(path)
}

/// The directory that keys are added to.
fn place(directory: Option<&Path>) -> Result<PathBuf> {
    let own = || own_keys().ok_or_else(|| UsageError("no home directory; use --trusted-keys".into()));
    let directory = directory.map_or_else(own, |directory| Ok(directory.to_path_buf()))?;
    make_directory(&directory).with_context(|| directory.display().to_string())?;
    Ok(directory)
}

/// Nobody else may write there, whatever the umask.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
}

/// Reads a secret key; asks for its password if it has one. `path` may be the directory that
/// [`generate`] wrote to.
pub fn load_secret(path: &Path) -> Result<SecretKey> {
    load_secret_with(path, || password("Password of the signing key: "))
}

/// The same with a password that is asked for in another way, if it has one.
pub fn load_secret_with(path: &Path, password: impl FnOnce() -> Result<String>) -> Result<SecretKey> {
    let path = if path.is_dir() { path.join(SECRET_FILE) } else { path.to_path_buf() };
    let wrong = |why: String| UsageError(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let bytes = text.lines().nth(1).and_then(|line| Base64::decode_to_vec(line.trim(), None).ok());
    let Some(bytes) = bytes.filter(|bytes| bytes.len() == SECRET_LEN && bytes.starts_with(b"Ed")) else {
        return Err(wrong("not a minisign secret key".into()).into());
    };
    let mode = fs::metadata(&path).map_err(|error| wrong(error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(wrong("others may read this secret key; run: chmod 600".into()).into());
    }
    let secret = SecretKeyBox::from_string(&text).map_err(|error| wrong(error.to_string()))?;
    if bytes[2..4] == [0, 0] {
        // minisign 0.11 leaves out the checksum, the last 32 bytes, of a key without a password.
        let no_checksum = bytes[SECRET_LEN - 32..].iter().all(|&byte| byte == 0);
        let key =
            if no_checksum { SecretKey::from_bytes(&bytes) } else { secret.into_unencrypted_secret_key() };
        return Ok(key.map_err(|error| wrong(error.to_string()))?);
    }
    Ok(secret.into_secret_key(Some(password()?)).map_err(|error| wrong(error.to_string()))?)
}

/// The public key of a secret one, as a trusted key file's text would give it.
pub fn public_id(secret: &SecretKey) -> Result<String> {
    Ok(hex_id(PublicKey::from_secret_key(secret)?.keynum()))
}

/// The keys that bundles are verified with on this computer: those of `directory`, else the
/// user's own and the device's.
pub fn trusted(directory: Option<&Path>) -> Result<Vec<TrustedKey>> {
    if let Some(directory) = directory {
        return Ok(trusted_keys(directory)?);
    }
    let directories: Vec<PathBuf> = own_keys().into_iter().chain([PathBuf::from(DEVICE_KEYS)]).collect();
    let there: Vec<&Path> = directories.iter().map(PathBuf::as_path).filter(|path| path.is_dir()).collect();
    Ok(trusted_keys_in(&there)?)
}

fn own_keys() -> Option<PathBuf> {
    Some(own_directory()?.join("trusted-keys.d"))
}

/// `$XDG_CONFIG_HOME/ajar`, or the same under `~/.config`.
pub fn own_directory() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("ajar"))
}

fn new_password() -> Result<String> {
    let first = password("New password for the signing key: ")?;
    let typed =
        [PASSWORD_VARIABLE, PASSWORD_FILE_VARIABLE].iter().all(|name| std::env::var_os(name).is_none());
    if typed && password("The same again: ")? != first {
        return Err(UsageError("the two passwords differ".into()).into());
    }
    if first.is_empty() {
        return Err(
            UsageError("an empty password protects nothing; use --no-password to go without".into()).into()
        );
    }
    Ok(first)
}

fn password(prompt: &str) -> Result<String> {
    if let Ok(password) = std::env::var(PASSWORD_VARIABLE) {
        return Ok(password);
    }
    if let Some(path) = std::env::var_os(PASSWORD_FILE_VARIABLE).map(PathBuf::from) {
        let text = fs::read_to_string(&path)
            .map_err(|error| UsageError(format!("{PASSWORD_FILE_VARIABLE}: {}: {error}", path.display())))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_string());
    }
    if !std::io::stdin().is_terminal() {
        let why = format!(
            "the key's password is needed and nobody is there to type it: set {PASSWORD_VARIABLE} or {PASSWORD_FILE_VARIABLE}"
        );
        return Err(UsageError(why).into());
    }
    Ok(rpassword::prompt_password(prompt)?)
}

/// As minisign prints it: the eight bytes are a little-endian number.
fn hex_id(keynum: &[u8]) -> String {
    keynum.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(|| path.display().to_string())
}
