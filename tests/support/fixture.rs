//! One bundle, trained once by the program itself, and the means to sign others that are wrong.
#![allow(dead_code)]

use crate::cli::Sandbox;
use crate::pictures;
use ajar::bundle::format::{Pieces, join};
use ajar::bundle::manifest::{Manifest, Role};
use ajar::bundle::verify::{TrustedKey, UNTRUSTED_COMMENT, trusted_keys, verify};
use ajar::bundle::{Refusal, sha256_hex};
use ajar::companion::{keys, pack};
use minisign::SecretKey;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

/// Pictures of each state.
const PICTURES: u32 = 6;

/// Everything in memory, so that nothing is left on disk when the tests end.
pub struct Fixture {
    pub bundle: Vec<u8>,
    pub manifest: Manifest,
    pub manifest_bytes: Vec<u8>,
    pub signature: String,
    pub parts: Vec<Vec<u8>>,
    pub keys: Vec<TrustedKey>,
    secret: SecretKey,
    secret_text: String,
    public_text: String,
}

pub fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(train)
}

fn train() -> Fixture {
    let sandbox = Sandbox::new();
    pictures::dataset(&sandbox.path("pictures"), PICTURES);
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    sandbox.ajar_line("train --name gate --dataset pictures --key k --out gate.ajb").expect(0);
    let bundle = fs::read(sandbox.path("gate.ajb")).expect("a bundle");
    let keys = trusted_keys(&sandbox.path("k")).expect("a key");
    let verified = verify(&bundle, &keys).expect("a good bundle");
    let read = |path: &str| fs::read_to_string(sandbox.path(path)).expect("a key");
    Fixture {
        manifest: verified.manifest.clone(),
        manifest_bytes: verified.manifest_bytes.to_vec(),
        signature: verified.signature.to_string(),
        parts: verified.parts.iter().map(|part| part.to_vec()).collect(),
        secret: keys::load_secret(&sandbox.path("k")).expect("a secret key"),
        secret_text: read("k/ajar.key"),
        public_text: read("k/ajar.pub"),
        bundle,
        keys,
    }
}

impl Fixture {
    /// A directory with `gate.ajb`, the key pair in `k`, and the public key trusted.
    pub fn sandbox(&self) -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.write("gate.ajb", &self.bundle);
        let secret = sandbox.write("k/ajar.key", &self.secret_text);
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).expect("permissions");
        sandbox.write("k/ajar.pub", &self.public_text);
        sandbox.write("home/.config/ajar/trusted-keys.d/gate.pub", &self.public_text);
        sandbox
    }

    /// The bundle's id in a store.
    pub fn id(&self) -> String {
        sha256_hex(&self.manifest_bytes)[..32].to_string()
    }

    pub fn verify(&self, bytes: &[u8]) -> Result<(), Refusal> {
        verify(bytes, &self.keys).map(drop)
    }

    /// Where the body begins.
    pub fn body_start(&self) -> usize {
        self.bundle.len() - self.body().len()
    }

    pub fn body(&self) -> Vec<u8> {
        self.parts.concat()
    }

    /// A good bundle of the same model with another sequence number.
    pub fn with_seq(&self, seq: u64) -> Vec<u8> {
        pack::sign(&Manifest { seq, ..self.manifest.clone() }, &self.parts, &self.secret).expect("a bundle")
    }

    /// The bundle without its backbone: for a store that has it.
    pub fn head_only(&self, seq: u64) -> Vec<u8> {
        let mut manifest = Manifest { seq, ..self.manifest.clone() };
        assert_eq!(manifest.parts.pop().map(|part| part.role), Some(Role::Backbone));
        pack::sign(&manifest, &self.parts[..manifest.parts.len()], &self.secret).expect("a bundle")
    }

    /// The same with its manifest changed by `change`.
    pub fn changed_head_only(&self, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        assert_eq!(manifest.parts.pop().map(|part| part.role), Some(Role::Backbone));
        change(&mut manifest);
        pack::sign(&manifest, &self.parts[..manifest.parts.len()], &self.secret).expect("a bundle")
    }

    /// The bundle with its manifest changed by `change`, signed, however wrong that is.
    pub fn changed(&self, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        change(&mut manifest);
        let text = toml::to_string(&manifest).expect("TOML");
        self.signed(text.as_bytes(), &self.body(), &manifest)
    }

    /// The bundle with `from` replaced in its manifest's text, signed.
    pub fn replaced(&self, from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(self.manifest_bytes.clone()).expect("text");
        assert_eq!(text.matches(from).count(), 1, "{from:?} in the manifest");
        self.signed(text.replace(from, to).as_bytes(), &self.body(), &self.manifest)
    }

    /// The bytes of the part with this role.
    pub fn part(&self, role: Role) -> &[u8] {
        let at = self.manifest.parts.iter().position(|part| part.role == role).expect("a part of this role");
        &self.parts[at]
    }

    /// These bytes as manifest and body, with the trusted comment that belongs to them.
    pub fn signed(&self, text: &[u8], body: &[u8], manifest: &Manifest) -> Vec<u8> {
        let comment = manifest.trusted_comment(&sha256_hex(text));
        bundle(&self.sign(text, &comment), text, body)
    }

    /// A signature's text that says `comment` under protection of the signature.
    pub fn sign(&self, text: &[u8], comment: &str) -> String {
        let untrusted = UNTRUSTED_COMMENT.strip_prefix("untrusted comment: ");
        let signature = minisign::sign(None, &self.secret, text, Some(comment), untrusted);
        signature.expect("a signature").into_string().trim_end().to_string() + "\n"
    }
}

/// The three pieces as a file.
pub fn bundle(signature: &str, manifest: &[u8], body: &[u8]) -> Vec<u8> {
    join(&Pieces { signature: signature.as_bytes(), manifest, body })
}
