//! Bundle files as a person handles them: inspect, verify, unpack, pack again, compare.

use super::bundles::{BundleFile, with_bundle};
use super::pack::{self, Carry};
use super::signed;
use crate::bundle::manifest::{Manifest, Role};
use crate::bundle::{Refusal, sha256_hex};
use crate::exit::UsageError;
use anyhow::{Context, Result};
use minisign::SecretKey;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

pub const MANIFEST: &str = "manifest.toml";

pub fn inspect(file: BundleFile) -> Result<()> {
    with_bundle(file, |bundle| {
        writeln!(stdout(), "# signed by {}, manifest {}", bundle.key_id, bundle.manifest_sha256)?;
        write!(stdout(), "{}", String::from_utf8_lossy(bundle.manifest_bytes))?;
        Ok(())
    })
}

pub fn check(file: BundleFile) -> Result<()> {
    with_bundle(file, |bundle| {
        let Manifest { model, seq, .. } = &bundle.manifest;
        let (path, key) = (file.path.display(), &bundle.key_id);
        writeln!(stdout(), "{path}: good; model {model}, sequence number {seq}, signed by {key}")?;
        Ok(())
    })
}

/// `out`: the directory to make; the bundle's name without its extension unless given.
pub fn unpack(file: BundleFile, out: Option<PathBuf>) -> Result<()> {
    with_bundle(file, |bundle| {
        let directory = out.unwrap_or_else(|| file.path.with_extension(""));
        if directory.exists() {
            return Err(UsageError(format!("{} exists; choose another --out", directory.display())).into());
        }
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let write = |name: &str, bytes: &[u8]| {
            let path = directory.join(name);
            fs::write(&path, bytes).with_context(|| path.display().to_string())
        };
        write(MANIFEST, bundle.manifest_bytes)?;
        write("manifest.toml.minisig", bundle.signature.as_bytes())?;
        let mut sums = String::new();
        for (part, bytes) in bundle.manifest.parts.iter().zip(&bundle.parts) {
            write(&part.name, bytes)?;
            sums += &format!("{}  {}\n", part.sha256, part.name);
        }
        write("SHA256SUMS", sums.as_bytes())?;
        writeln!(stdout(), "{}", directory.display())?;
        Ok(())
    })
}

/// Signs an unpacked directory again, changed or not, under the next sequence number of the key, and says so.
pub fn repack(directory: &Path, key_file: &Path, key: &SecretKey, out: &Path, carry: Carry) -> Result<()> {
    let manifest = sign_directory(directory, key_file, key, out, carry)?;
    writeln!(stdout(), "{} (model {}, sequence number {})", out.display(), manifest.model, manifest.seq)?;
    Ok(())
}

/// The same without a word.
pub fn sign_directory(
    directory: &Path,
    key_file: &Path,
    key: &SecretKey,
    out: &Path,
    carry: Carry,
) -> Result<Manifest> {
    let path = directory.join(MANIFEST);
    let wrong = |path: &Path, why: String| UsageError(format!("{}: {why}", path.display()));
    let text = fs::read(&path).map_err(|error| wrong(&path, error.to_string()))?;
    // Sizes and hashes are made anew, so they may be those of the parts before the change.
    let mut manifest: Manifest = std::str::from_utf8(&text)
        .map_err(|error| error.to_string())
        .and_then(|text| toml::from_str(text).map_err(|error: toml::de::Error| error.to_string()))
        .map_err(|why| wrong(&path, why))?;
    if carry == Carry::HeadOnly {
        manifest.parts.retain(|part| part.role != Role::Backbone);
    }
    let mut parts = Vec::new();
    for part in &mut manifest.parts {
        let path = directory.join(&part.name);
        let bytes = fs::read(&path).map_err(|error| wrong(&path, error.to_string()))?;
        (part.size, part.sha256) = (bytes.len() as u64, sha256_hex(&bytes));
        match part.role {
            Role::Backbone => manifest.backbone.sha256.clone_from(&part.sha256),
            Role::Dataset => manifest.calibration.dataset_sha256.clone_from(&part.sha256),
            _ => {}
        }
        parts.push(bytes);
    }
    pack::stamp(&mut manifest);
    // Before a sequence number is used up.
    let checked = toml::to_string(&manifest)?;
    Manifest::parse(checked.as_bytes()).map_err(|Refusal { why, .. }| wrong(&path, why))?;
    manifest.seq = pack::next_seq(key_file, key)?;
    pack::write_whole(out, &pack::sign(&manifest, &parts, key)?)?;
    signed::remember(&manifest, key)?;
    Ok(manifest)
}

/// Prints what differs, a line for each field: `-` as in the first, `+` as in the second.
pub fn diff(first: BundleFile, second: BundleFile) -> Result<()> {
    let [before, after] = [fields(first)?, fields(second)?];
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut out = stdout().lock();
    for key in keys {
        let (before, after) = (before.get(key), after.get(key));
        if before == after {
            continue;
        }
        for (sign, value) in [('-', before), ('+', after)] {
            if let Some(value) = value {
                writeln!(out, "{sign} {key} = {value}")?;
            }
        }
    }
    Ok(())
}

/// The manifest's fields by their path. Parts go by their name.
fn fields(file: BundleFile) -> Result<BTreeMap<String, String>> {
    with_bundle(file, |bundle| {
        let mut fields = BTreeMap::from([("signed by".to_string(), bundle.key_id.clone())]);
        let table: toml::Table = toml::from_str(std::str::from_utf8(bundle.manifest_bytes)?)?;
        flatten(String::new(), &toml::Value::Table(table), &mut fields);
        Ok(fields)
    })
}

fn flatten(path: String, value: &toml::Value, fields: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(name, value)| flatten(below(name), value, fields));
        }
        toml::Value::Array(rows) if rows.iter().any(toml::Value::is_table) => {
            for (i, row) in rows.iter().enumerate() {
                let name =
                    row.get("name").and_then(toml::Value::as_str).map_or(i.to_string(), str::to_string);
                flatten(format!("{path}[{name}]"), row, fields);
            }
        }
        value => drop(fields.insert(path, value.to_string())),
    }
}
