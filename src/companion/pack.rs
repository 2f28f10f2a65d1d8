//! Packing: a trained head becomes a signed bundle.

use super::keys;
use super::train::{THRESHOLD, Trained, VERIFICATION};
use crate::bundle::format::{self, Pieces};
use crate::bundle::manifest::{
    BackboneSpec, COMPAT, Calibration, CropSpec, DecisionSpec, HeadSpec, InputSpec, LimitsSpec, Manifest,
    Part, Role, SelftestSpec, UNSEEN,
};
use crate::bundle::reference::{REFERENCE, ReferenceSpec};
use crate::bundle::sha256_hex;
use crate::bundle::verify::UNTRUSTED_COMMENT;
use crate::watch::thumbnail::Thumbnail;
use anyhow::{Context, Result, bail};
use minisign::SecretKey;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const HEAD_NAME: &str = "head.f32";
const UNSEEN_NAME: &str = "unseen.f32";
const SELFTEST_NAME: &str = "selftest.bin";
/// Kernels give the same bytes on every CPU; the head's sums differ in their last bits.
const SELFTEST_TOLERANCE: f32 = 0.01;
const REFERENCE_NAME: &str = "reference.y8";
const DATASET_NAME: &str = "dataset.txt";
const BACKBONE_NAME: &str = "mobilenetv2-128-int8.onnx";

/// What a bundle says beyond what was trained.
#[derive(Clone, Debug, Default)]
pub struct Label {
    pub name: String,
    pub seq: u64,
    /// Boards, device ids or CPU architectures; any if there are none.
    pub targets: Vec<String>,
    /// By camera: where the pictures were cut.
    pub crops: BTreeMap<String, CropSpec>,
    /// What the cameras shall look at.
    pub references: Vec<Reference>,
    /// By state: seconds that it must last.
    pub dwell: BTreeMap<String, f32>,
}

/// A picture of what a camera shall look at.
#[derive(Clone, Debug)]
pub struct Reference {
    pub camera: String,
    /// Width by height of the picture.
    pub frame_aspect: f64,
    pub thumbnail: Thumbnail,
}

/// Whether a bundle carries its backbone, or a store must have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    Backbone,
    HeadOnly,
}

impl Carry {
    pub fn of(head_only: bool) -> Carry {
        if head_only { Carry::HeadOnly } else { Carry::Backbone }
    }
}

/// Gives a manifest its own id, time and maker.
pub fn stamp(manifest: &mut Manifest) {
    manifest.created = jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string();
    manifest.uuid = uuid::Uuid::new_v4().to_string();
    manifest.min_ajard = env!("CARGO_PKG_VERSION").into();
}

/// The manifest and the parts' bytes of a newly trained model.
pub fn describe(label: Label, trained: &Trained, backbone: &[u8], carry: Carry) -> (Manifest, Vec<Vec<u8>>) {
    let Label { name, seq, targets, crops, references, dwell } = label;
    let report = &trained.report;
    let validation = report.cross_validation.as_ref().map(|cv| &cv.evaluation);
    let mut parts = vec![(HEAD_NAME, Role::Head, trained.head.to_bytes())];
    if let Some((unseen, _)) = &trained.unseen {
        parts.push((UNSEEN_NAME, Role::Unseen, unseen.to_bytes()));
    }
    parts.push((DATASET_NAME, Role::Dataset, trained.dataset.clone().into_bytes()));
    let golden: Vec<u8> = trained.golden.iter().flat_map(|golden| golden.to_bytes()).collect();
    if !golden.is_empty() {
        parts.push((SELFTEST_NAME, Role::Selftest, golden));
    }
    if !references.is_empty() {
        let cells = references.iter().flat_map(|reference| reference.thumbnail.cells).collect();
        parts.push((REFERENCE_NAME, Role::Reference, cells));
    }
    let requires = trained.unseen.iter().map(|_| UNSEEN).chain(references.first().map(|_| REFERENCE));
    let selftest = parts
        .iter()
        .any(|(_, role, _)| *role == Role::Selftest)
        .then_some(SelftestSpec { tolerance: SELFTEST_TOLERANCE });
    if carry == Carry::Backbone {
        parts.push((BACKBONE_NAME, Role::Backbone, backbone.to_vec()));
    }
    let mut manifest = Manifest {
        format: 1,
        requires: requires.map(str::to_string).collect(),
        seq,
        created: String::new(),
        model: name,
        uuid: String::new(),
        compat: COMPAT.into(),
        min_ajard: String::new(),
        targets,
        states: report.states.clone(),
        input: InputSpec::default(),
        head: HeadSpec { blocks: report.blocks.clone(), temperature: trained.head.temperature() },
        decision: DecisionSpec { threshold: THRESHOLD, verification: VERIFICATION, dwell },
        unseen: report.unseen.clone(),
        backbone: BackboneSpec { sha256: sha256_hex(backbone) },
        limits: LimitsSpec::default(),
        selftest,
        calibration: Calibration {
            dataset_sha256: sha256_hex(trained.dataset.as_bytes()),
            pictures: report.pictures.clone(),
            accuracy: validation.map_or(0.0, |v| v.accuracy as f32),
            interval: validation.map_or([0.0, 1.0], |v| v.interval.map(|x| x as f32)),
            ece: validation.map_or(1.0, |v| v.ece as f32),
            tool: concat!("ajar ", env!("CARGO_PKG_VERSION")).into(),
        },
        crops,
        references: references
            .into_iter()
            .map(|Reference { camera, frame_aspect, .. }| ReferenceSpec { camera, frame_aspect })
            .collect(),
        parts: parts
            .iter()
            .map(|(name, role, bytes)| Part {
                name: (*name).into(),
                size: bytes.len() as u64,
                sha256: sha256_hex(bytes),
                role: *role,
            })
            .collect(),
    };
    stamp(&mut manifest);
    (manifest, parts.into_iter().map(|(.., bytes)| bytes).collect())
}

/// Signs the manifest and puts the bundle together.
pub fn sign(manifest: &Manifest, parts: &[Vec<u8>], key: &SecretKey) -> Result<Vec<u8>> {
    let bytes = toml::to_string(manifest).context("the manifest cannot be written")?.into_bytes();
    // What is signed must be what a device will read.
    if Manifest::parse(&bytes)? != *manifest {
        bail!("the manifest does not read back as it was written");
    }
    let trusted_comment = manifest.trusted_comment(&sha256_hex(&bytes));
    let untrusted_comment = UNTRUSTED_COMMENT.strip_prefix("untrusted comment: ");
    let signature =
        minisign::sign(None, key, bytes.as_slice(), Some(&trusted_comment), untrusted_comment)?.into_string();
    let signature = signature.trim_end().to_string() + "\n";
    let pieces = Pieces { signature: signature.as_bytes(), manifest: &bytes, body: &parts.concat() };
    Ok(format::join(&pieces))
}

/// A sequence number that this key has not used: the clock's seconds, or one more than the last,
/// which is remembered beside the key.
pub fn next_seq(key_file: &Path, key: &SecretKey) -> Result<u64> {
    let path = seq_file(key_file, key)?;
    let directory = folder_of(&path);
    // Until the file is closed: two programs that sign at the same time get different numbers.
    let lock = fs::File::open(directory).with_context(|| directory.display().to_string())?;
    flock(&lock, FlockOperation::LockExclusive).with_context(|| directory.display().to_string())?;
    let last: u64 = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().with_context(|| format!("{}: not a number", path.display()))?,
        Err(_) => 0,
    };
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let next = last.checked_add(1).with_context(|| format!("{}: no number is left", path.display()))?;
    let seq = clock.max(next);
    write_whole(&path, format!("{seq}\n").as_bytes())?;
    Ok(seq)
}

fn seq_file(key_file: &Path, key: &SecretKey) -> Result<PathBuf> {
    let directory = if key_file.is_dir() { key_file } else { key_file.parent().unwrap_or(Path::new("")) };
    Ok(directory.join(format!("{}.seq", keys::public_id(key)?)))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces a file at once or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = folder_of(path);
    // Under a name that nobody else has, which is gone if this fails.
    let write = || {
        let mut new = tempfile::Builder::new()
            .prefix(".ajar-")
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(directory)?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        new.persist(path).map(drop).map_err(|error| error.error)
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn two_who_sign_at_the_same_time_get_different_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let key = minisign::KeyPair::generate_unencrypted_keypair().unwrap().sk;
        let numbers: Vec<u64> = std::thread::scope(|scope| {
            let signers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..10).map(|_| next_seq(directory.path(), &key).unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            signers.into_iter().flat_map(|signer| signer.join().unwrap()).collect()
        });
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 80);
    }
}
