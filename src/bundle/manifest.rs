//! The manifest: what the model is, and the size and SHA-256 of every part.

use super::golden::{Golden, MAX_GOLDEN};
use super::names::{check_model_name, check_states};
use super::reference::{self, REFERENCE, ReferenceSpec};
use super::{Code, Refusal};
use crate::engine::features::Block;
use crate::engine::head::Head;
use crate::engine::unseen::Unseen;
use crate::watch::crop::{INPUT_SIDE, Region};
use crate::watch::quantise::{MEAN, STD};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Backbone family, input, quantisation and post-processing that this Ajar runs. A bundle made
/// for another combination is refused.
pub const COMPAT: &str = "mobilenetv2-1.0-128-int8/2";
pub const MAX_PARTS: usize = 16;
/// Longest dwell, in seconds.
const MAX_DWELL: f32 = 3600.0;
/// Required by a bundle with an unseen test: a reader that skipped it would publish states of what it never saw.
pub const UNSEEN: &str = "unseen";
/// Names of features a manifest may require.
const KNOWN_FEATURES: [&str; 2] = [UNSEEN, REFERENCE];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    /// Features the reader must know; a name it does not know makes it refuse the bundle.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Strictly increasing for each signing key.
    pub seq: u64,
    /// When it was signed, by the signer's clock. Informational.
    pub created: String,
    pub model: String,
    pub uuid: String,
    pub compat: String,
    /// The oldest `ajard` that runs it.
    pub min_ajard: String,
    /// Boards, device ids or CPU architectures that may run it; any if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    pub states: Vec<String>,
    pub input: InputSpec,
    pub head: HeadSpec,
    pub decision: DecisionSpec,
    /// Absent from a model of too few pictures to tell how far is too far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<UnseenSpec>,
    pub backbone: BackboneSpec,
    #[serde(default)]
    pub limits: LimitsSpec,
    /// Absent from a bundle that carries no part of the role `selftest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selftest: Option<SelftestSpec>,
    pub calibration: Calibration,
    /// By camera: where in its frame the training's pictures were cut.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub crops: BTreeMap<String, CropSpec>,
    /// In the order of their pictures in the part of the role `reference`.
    #[serde(default, rename = "reference", skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ReferenceSpec>,
    #[serde(rename = "part")]
    pub parts: Vec<Part>,
}

/// How a crop becomes the backbone's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Height, width, channels.
    pub shape: [u32; 3],
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub resize: String,
}

impl Default for InputSpec {
    /// What this Ajar does.
    fn default() -> Self {
        let side = INPUT_SIDE as u32;
        InputSpec { shape: [side, side, 3], mean: MEAN, std: STD, resize: "triangle".into() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSpec {
    pub blocks: Vec<Block>,
    pub temperature: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionSpec {
    pub threshold: f32,
    pub verification: u8,
    /// By state: seconds that the attempts must agree on it before it is published. None for a state that is not here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dwell: BTreeMap<String, f32>,
}

/// What a device grants the model; more is a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    /// Of one attempt.
    pub infer_ms: u32,
    /// Of the program that runs this model alone.
    pub rss_mib: u32,
    /// Of the engine's activations.
    pub arena_kib: u32,
}

impl Default for LimitsSpec {
    /// Several times what the shipped backbone takes on the slowest board.
    fn default() -> Self {
        LimitsSpec { infer_ms: 1000, rss_mib: 128, arena_kib: 2048 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelftestSpec {
    /// Most that a probability may differ from the expected one.
    pub tolerance: f32,
}

/// A crop as it was when the pictures were cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropSpec {
    /// x1, y1, x2, y2 in fractions of the frame.
    pub crop: [f64; 4],
    /// Width divided by height of the frame; 0 if that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub frame_aspect: f64,
}

/// When a crop is farther from the training than a state may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnseenSpec {
    /// Distance from the nearest state's mean features above which a crop is unseen.
    pub limit: f32,
    /// Share of familiar crops that the limit was set to take for unseen.
    pub false_alarms: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneSpec {
    /// Of the ONNX file, whether it is a part of this bundle or already in the store.
    pub sha256: String,
}

/// What the training measured. Informational.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of the dataset part's bytes: every picture's hash and its state.
    pub dataset_sha256: String,
    /// Pictures of each state, in the order of `states`.
    pub pictures: Vec<u32>,
    /// Cross-validated.
    pub accuracy: f32,
    /// The accuracy's 95 % confidence interval.
    pub interval: [f32; 2],
    /// Cross-validated expected calibration error.
    pub ece: f32,
    /// Program and version that trained it.
    pub tool: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub name: String,
    pub size: u64,
    pub sha256: String,
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Head,
    /// The means of the unseen test.
    Unseen,
    /// The pictures it was trained on, by hash: for the companion, which compares models.
    Dataset,
    /// Crops with what the model must say of them.
    Selftest,
    /// Small pictures of what the cameras shall look at.
    Reference,
    Backbone,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Manifest {
    /// Reads a manifest whose signature has been verified.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, Refusal> {
        let malformed = |why: String| Refusal::new(Code::E30, format!("manifest: {why}"));
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let manifest: Manifest = toml::from_str(text).map_err(|error| malformed(flat(&error.to_string())))?;
        manifest.check_fields().map_err(malformed)?;
        manifest.check_compat()?;
        Ok(manifest)
    }

    pub fn part(&self, role: Role) -> Option<&Part> {
        self.parts.iter().find(|part| part.role == role)
    }

    /// Width by height of the camera's frames, as far as the bundle says: that of the crop before the pictures'.
    pub fn frame_aspect(&self, camera: &str) -> Option<f64> {
        let crop = self.crops.get(camera).map(|crop| crop.frame_aspect).filter(|aspect| !is_zero(aspect));
        let pictures = self.references.iter().filter(|spec| spec.camera == camera);
        crop.or_else(|| pictures.map(|spec| spec.frame_aspect).next())
    }

    /// Text that the signature's trusted comment must equal, so that a log of signatures alone
    /// tells what was signed. `sha256`: of the manifest's bytes.
    pub fn trusted_comment(&self, sha256: &str) -> String {
        format!("ajar seq={} model={} manifest={sha256}", self.seq, self.model)
    }

    fn check_fields(&self) -> Result<(), String> {
        if let Some(name) = self.requires.iter().find(|name| !KNOWN_FEATURES.contains(&name.as_str())) {
            return Err(format!("requires the feature {name:?}, which this Ajar does not know"));
        }
        if self.format != 1 {
            return Err(format!("format {}, this Ajar reads format 1", self.format));
        }
        check_model_name(&self.model).map_err(|why| format!("model: {why}"))?;
        check_states(&self.states).map_err(|why| format!("states: {why}"))?;
        self.check_decision()?;
        let temperature = self.head.temperature;
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(format!("head.temperature: {temperature} is not above 0"));
        }
        let blocks = &self.head.blocks;
        if blocks.is_empty() || !blocks.is_sorted_by(|a, b| a < b) {
            return Err("head.blocks: want at least one, each once, in the order gap, p3, mid".into());
        }
        if !is_sha256(&self.backbone.sha256) {
            return Err("backbone.sha256: want 64 lower-case hex digits".into());
        }
        let Calibration { accuracy, ece, interval: [low, high], .. } = self.calibration;
        if ![accuracy, ece, low, high].iter().all(|x| x.is_finite()) {
            return Err("calibration: a number is not finite".into());
        }
        let LimitsSpec { infer_ms, rss_mib, arena_kib } = self.limits;
        if infer_ms == 0 || rss_mib == 0 || arena_kib == 0 {
            return Err("limits: each must be above 0".into());
        }
        for (camera, CropSpec { crop, frame_aspect }) in &self.crops {
            let [x1, y1, x2, y2] = crop.map(|x| x as f32);
            check_model_name(camera).map_err(|why| format!("crops: {why}"))?;
            if Region::new([x1, y1, x2, y2]).is_none() || !(0.0..=100.0).contains(frame_aspect) {
                return Err(format!(
                    "crops.{camera}: want x1 < x2 and y1 < y2 within 0 and 1, have {crop:?}"
                ));
            }
        }
        self.check_parts()?;
        self.check_selftest()?;
        reference::check(self)?;
        self.check_unseen()
    }

    fn check_decision(&self) -> Result<(), String> {
        let DecisionSpec { threshold, verification, dwell } = &self.decision;
        if !(0.0..=1.0).contains(threshold) {
            return Err(format!("decision.threshold: {threshold} is not within 0 and 1"));
        }
        if *verification == 0 {
            return Err("decision.verification: must be at least 1".into());
        }
        for (state, seconds) in dwell {
            if !self.states.contains(state) {
                return Err(format!("decision.dwell: {state:?} is no state of the model"));
            }
            if !(0.0..=MAX_DWELL).contains(seconds) {
                return Err(format!("decision.dwell.{state}: {seconds} is not within 0 and {MAX_DWELL}"));
            }
        }
        Ok(())
    }

    fn check_selftest(&self) -> Result<(), String> {
        match (&self.selftest, self.part(Role::Selftest)) {
            (None, None) => Ok(()),
            (Some(_), None) => Err("no part has the role selftest".into()),
            (None, Some(_)) => Err("selftest: its part is there, its tolerance is not".into()),
            (Some(SelftestSpec { tolerance }), _) if !(0.0..=1.0).contains(tolerance) => {
                Err(format!("selftest.tolerance: {tolerance} is not within 0 and 1"))
            }
            (Some(_), Some(part)) => {
                let each = Golden::byte_len(self.states.len()) as u64;
                if part.size == 0 || part.size % each != 0 || part.size / each > MAX_GOLDEN as u64 {
                    let size = part.size;
                    return Err(format!(
                        "the self-test has {size} bytes, want 1 to {MAX_GOLDEN} times {each}"
                    ));
                }
                Ok(())
            }
        }
    }

    /// Refuses a device that is none of `targets`. `names`: what the device is called.
    pub fn check_target(&self, names: &[&str]) -> Result<(), Refusal> {
        if self.targets.is_empty() || self.targets.iter().any(|target| names.contains(&target.as_str())) {
            return Ok(());
        }
        let (want, have) = (self.targets.join(", "), names.join(", "));
        Err(Refusal::new(Code::E32, format!("made for {want}; this device is {have}")))
    }

    fn check_unseen(&self) -> Result<(), String> {
        let Some(UnseenSpec { limit, false_alarms }) = self.unseen else {
            return match self.part(Role::Unseen) {
                Some(_) => Err("unseen: its part is there, its limit is not".into()),
                None => Ok(()),
            };
        };
        if !(limit.is_finite() && limit > 0.0) {
            return Err(format!("unseen.limit: {limit} is not above 0"));
        }
        if !(0.0..=1.0).contains(&false_alarms) {
            return Err(format!("unseen.false_alarms: {false_alarms} is not within 0 and 1"));
        }
        if !self.requires.iter().any(|name| name == UNSEEN) {
            return Err(format!("unseen: a reader must know of it, so requires must name {UNSEEN:?}"));
        }
        let part = self.part(Role::Unseen).ok_or("no part has the role unseen")?;
        let want = Unseen::byte_len(self.states.len()) as u64;
        if part.size != want {
            return Err(format!(
                "the means have {} bytes, {} states need {want}",
                part.size,
                self.states.len()
            ));
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), String> {
        if self.parts.len() > MAX_PARTS {
            return Err(format!("{} parts, at most {MAX_PARTS}", self.parts.len()));
        }
        for (i, part) in self.parts.iter().enumerate() {
            let bad = |why: &str| Err(format!("part[{i}]: {why}"));
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
            if part.name.is_empty() || part.name.len() > 64 || !part.name.chars().all(plain) {
                return bad("name: want 1 to 64 of a-z 0-9 . _ -");
            }
            // Parts lie beside these in the store and after `unpack`.
            if part.name.starts_with('.') || part.name.starts_with("manifest.") {
                return bad("name: reserved");
            }
            if !is_sha256(&part.sha256) {
                return bad("sha256: want 64 lower-case hex digits");
            }
            let earlier = &self.parts[..i];
            if earlier.iter().any(|other| other.name == part.name || other.role == part.role) {
                return bad("a second part of this name or role");
            }
        }
        let head = self.part(Role::Head).ok_or("no part has the role head")?;
        let want = Head::byte_len(&self.head.blocks, self.states.len()) as u64;
        if head.size != want {
            return Err(format!("the head has {} bytes, its blocks and states need {want}", head.size));
        }
        match self.part(Role::Backbone) {
            Some(part) if part.sha256 != self.backbone.sha256 => {
                Err("backbone.sha256 is not that of the backbone part".into())
            }
            _ => Ok(()),
        }
    }

    fn check_compat(&self) -> Result<(), Refusal> {
        if self.compat != COMPAT {
            let why = format!("made for {:?}, this Ajar runs {COMPAT:?}", self.compat);
            return Err(Refusal::new(Code::E31, why));
        }
        if self.input != InputSpec::default() {
            let [height, width, _] = self.input.shape;
            let why = format!(
                "made for another input ({width} x {height}, resize {:?}) than this Ajar's",
                self.input.resize
            );
            return Err(Refusal::new(Code::E31, why));
        }
        let have = env!("CARGO_PKG_VERSION");
        match (version(&self.min_ajard), version(have)) {
            (Some(want), Some(have)) if want <= have => Ok(()),
            _ => Err(Refusal::new(Code::E31, format!("needs ajard {}, this is {have}", self.min_ajard))),
        }
    }
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = text.splitn(3, '.').map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// A TOML error's several lines as one.
fn flat(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert_eq!(version("1.2"), None);
        assert_eq!(version("1.2.x"), None);
    }
}
