//! Bundles: one signed file that carries a model to a device.
//!
//! ```text
//! format    header, signature, manifest, parts: where the bytes are
//! manifest  what the model is
//! names     what models, cameras and states may be called
//! reference pictures of what the cameras shall look at
//! golden    crops with what the model must say of them, for the self-test
//! verify    from untrusted bytes to a bundle whose every byte is covered by a trusted signature
//! store     where a device keeps what it has verified
//! ```
//!
//! Nothing is parsed before its signature or hash has been checked, except the fixed header and
//! the signature itself. See docs/bundle-format.md.

pub mod format;
pub mod golden;
pub mod manifest;
pub mod names;
pub mod reference;
pub mod store;
pub mod verify;

use serde::Serialize;
use std::fmt;

/// What is wrong with a bundle. The code is the same in messages, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Code {
    /// Not a bundle, or of another version.
    E10,
    /// Truncated, or with bytes after its end.
    E11,
    /// Larger than a bundle may be.
    E12,
    /// A byte differs from what was signed.
    E20,
    /// Signed by a key that is not trusted.
    E21,
    /// Signed by a key that was revoked.
    E22,
    /// Not a signature of the one kind that is accepted.
    E23,
    /// The manifest is malformed.
    E30,
    /// Made for another backbone or a newer Ajar.
    E31,
    /// Made for other devices, or a model that this device does not watch with.
    E32,
    /// What is needed is not there: the backbone, any bundle of the model, the generation asked for.
    E33,
    /// Older than what is installed.
    E34,
    /// Its sequence number was used for another bundle.
    E35,
    /// No room is left.
    E40,
    /// The store cannot be written or read.
    E41,
    /// The state file was lost and made anew from what else there is.
    W50,
    /// What is in the store is damaged.
    E51,
    /// The model does not have the shape its manifest says.
    E60,
    /// What it says is no number, or not what its maker saw.
    E61,
    /// It takes more time or memory than it may.
    E62,
    /// The self-test crashed, ran out of memory or came to no end.
    E63,
    /// It failed while it ran, and was rolled back.
    W64,
    /// Another installation is under way.
    E70,
}

impl Code {
    const ALL: [Code; 23] = {
        use Code::*;
        [
            E10, E11, E12, E20, E21, E22, E23, E30, E31, E32, E33, E34, E35, E40, E41, W50, E51, E60, E61,
            E62, E63, W64, E70,
        ]
    };

    pub fn named(name: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| format!("{code:?}") == name)
    }
}

/// A bundle that is not accepted, and why. The program exits with 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub why: String,
}

impl Refusal {
    pub fn new(code: Code, why: impl Into<String>) -> Refusal {
        Refusal { code, why: why.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.why)
    }
}

impl std::error::Error for Refusal {}

/// Lower-case hex of the SHA-256 of `bytes`.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
