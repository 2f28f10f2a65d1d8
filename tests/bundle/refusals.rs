//! One table of what is refused, with which code and in which words.

use crate::cli::{Sandbox, need};
use crate::fixture::{Fixture, bundle, fixture};
use ajar::bundle::Code::{self, *};
use ajar::bundle::manifest::{CropSpec, Manifest, Role, SelftestSpec, UnseenSpec};
use ajar::bundle::reference::ReferenceSpec;
use ajar::bundle::sha256_hex;
use std::fs::{self, File};
use std::time::{Duration, Instant};

/// A bundle that must be refused.
struct Case {
    name: &'static str,
    code: Code,
    /// What the message must contain.
    says: String,
    bytes: Vec<u8>,
}

fn case(name: &'static str, code: Code, says: impl Into<String>, bytes: Vec<u8>) -> Case {
    Case { name, code, says: says.into(), bytes }
}

#[test]
fn every_wrong_bundle_is_refused_with_its_code() {
    let fixture = fixture();
    let sandbox = fixture.sandbox();
    let mut cases = containers(fixture);
    cases.extend(signatures(fixture, &sandbox));
    cases.extend(manifests(fixture));
    cases.extend(versions(fixture));
    println!("| fault | code | message |\n|---|---|---|");
    for case in &cases {
        let refusal = fixture.verify(&case.bytes).expect_err(case.name);
        println!("| {} | {:?} | {} |", case.name, refusal.code, refusal.why);
        assert_eq!(refusal.code, case.code, "{}: {}", case.name, refusal.why);
        assert!(refusal.why.contains(&case.says), "{}: want {:?} in {:?}", case.name, case.says, refusal.why);
        assert!(!refusal.why.contains('\n'), "{}: several lines: {}", case.name, refusal.why);
    }
    for case in &cases {
        sandbox.write("wrong.ajb", &case.bytes);
        let want = format!("error: {:?}: ", case.code);
        sandbox.ajar_line("deploy --store store wrong.ajb").expect_error(1, &want);
        assert!(!sandbox.path("store").exists(), "{}: something was written", case.name);
    }
}

/// Wrong before anything of it is parsed.
fn containers(fixture: &Fixture) -> Vec<Case> {
    let with = |at: usize, bytes: &[u8]| {
        let mut file = fixture.bundle.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let length = fixture.bundle.len();
    vec![
        case("a ZIP file", E10, "not an Ajar bundle", b"PK\x03\x04 and so on".to_vec()),
        case("a picture", E10, "not an Ajar bundle", b"\xFF\xD8\xFF\xE0\0\x10JFIF".to_vec()),
        case("a later format", E10, "bundle format 2, this Ajar reads format 1", with(7, b"\x02")),
        case("a reserved byte in use", E10, "reserved header bytes are not zero", with(63, b"\x01")),
        case("an empty file", E11, "truncated: 0 bytes", Vec::new()),
        case("half a header", E11, "truncated: 32 bytes, not even a header", fixture.bundle[..32].to_vec()),
        case("the last byte missing", E11, "truncated: ", fixture.bundle[..length - 1].to_vec()),
        case("a byte too many", E11, "trailing bytes: ", [&fixture.bundle[..], b"\n"].concat()),
        case("a bundle twice", E11, "trailing bytes: ", [&fixture.bundle[..], &fixture.bundle].concat()),
        case("a short signature", E11, "signature length 199", with(8, &199u32.to_le_bytes())),
        case("a long signature", E11, "signature length 1025", with(8, &1025u32.to_le_bytes())),
        case("no manifest", E12, "manifest length 0", with(12, &0u32.to_le_bytes())),
        case("a huge manifest", E12, "manifest length 4294967295", with(12, &u32::MAX.to_le_bytes())),
        case("a body over 32 MiB", E12, "body length 33554433", with(16, &((32u64 << 20) + 1).to_le_bytes())),
        case(
            "a body that overflows",
            E12,
            "body length 18446744073709551615",
            with(16, &u64::MAX.to_le_bytes()),
        ),
    ]
}

/// Well-formed files that nobody trusted signed.
fn signatures(fixture: &Fixture, sandbox: &Sandbox) -> Vec<Case> {
    let resigned = |signature: &str| bundle(signature, &fixture.manifest_bytes, &fixture.body());
    let edited = |from: &str, to: &str| {
        assert!(fixture.signature.contains(from), "{from}");
        resigned(&fixture.signature.replacen(from, to, 1))
    };
    let key = &fixture.keys[0].id;
    let differ = format!("manifest or signature differ from what key {key} (ajar) signed");
    let (stranger, signature) = stranger(fixture);
    let mut changed_body = fixture.bundle.clone();
    *changed_body.last_mut().expect("a byte") ^= 1;
    let mut changed_head = fixture.bundle.clone();
    changed_head[fixture.body_start()] ^= 1;
    let lines: Vec<&str> = fixture.signature.lines().collect();
    let swapped = [lines[0], lines[3], lines[2], lines[1], ""].join("\n");
    vec![
        case("the threshold changed", E20, &differ, {
            let text = String::from_utf8_lossy(&fixture.manifest_bytes).replace("= 0.8", "= 0.1");
            bundle(&fixture.signature, text.as_bytes(), &fixture.body())
        }),
        case("the trusted comment changed", E20, &differ, edited("ajar seq=", "ajar seq=9")),
        case("the backbone changed", E20, "part mobilenetv2-128-int8.onnx differs", changed_body),
        case("the head changed", E20, "part head.f32 differs", changed_head),
        case(
            "signed by a stranger",
            E21,
            format!("signed by key {stranger}, which is not trusted; trusted: {key} (ajar)"),
            resigned(&signature),
        ),
        case(
            "a legacy signature",
            E23,
            "a legacy signature; only prehashed ones are accepted",
            resigned(&legacy(fixture, sandbox)),
        ),
        case(
            "another untrusted comment",
            E23,
            "the first line is not that of a bundle",
            edited("ajar bundle", "ajar bumble"),
        ),
        case("a fifth line", E23, "want exactly four lines", resigned(&format!("{}\n", fixture.signature))),
        case("no final line break", E23, "want exactly four lines", resigned(fixture.signature.trim_end())),
        case(
            "Windows line ends",
            E23,
            "want exactly four lines",
            resigned(&fixture.signature.replace('\n', "\r\n")),
        ),
        case("lines exchanged", E23, "signature: ", resigned(&swapped)),
        case("a signature that is not base64", E23, "signature: ", edited(&lines[1][..4], "????")),
        case("a signature that is not text", E23, "signature: not text", {
            let mut file = fixture.bundle.clone();
            file[70] = 0xFF;
            file
        }),
    ]
}

/// A key nobody here trusts, and its signature of the manifest.
fn stranger(fixture: &Fixture) -> (String, String) {
    let sandbox = Sandbox::new();
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    let secret = ajar::companion::keys::load_secret(&sandbox.path("k")).expect("a key");
    let comment = fixture.manifest.trusted_comment(&sha256_hex(&fixture.manifest_bytes));
    let signature =
        minisign::sign(None, &secret, &fixture.manifest_bytes[..], Some(&comment), Some("ajar bundle"));
    let text = signature.expect("a signature").into_string().trim_end().to_string() + "\n";
    (ajar::companion::keys::public_id(&secret).expect("an id"), text)
}

/// The manifest signed by stock minisign with the trusted key, in the old way that does not hash first.
fn legacy(fixture: &Fixture, sandbox: &Sandbox) -> String {
    need("minisign");
    let comment = fixture.manifest.trusted_comment(&sha256_hex(&fixture.manifest_bytes));
    sandbox.write("legacy.toml", &fixture.manifest_bytes);
    let mut command = sandbox.command("minisign");
    command.args([
        "-S",
        "-l",
        "-W",
        "-s",
        "k/ajar.key",
        "-m",
        "legacy.toml",
        "-c",
        "ajar bundle",
        "-t",
        &comment,
    ]);
    sandbox.run(&mut command).expect(0);
    let signature = fs::read_to_string(sandbox.path("legacy.toml.minisig")).expect("a signature");
    // It is a good one, to those who take such signatures.
    let mut command = sandbox.command("minisign");
    sandbox.run(command.args(["-V", "-m", "legacy.toml", "-p", "k/ajar.pub"])).expect(0);
    assert_ne!(signature.lines().nth(1).map(|line| &line[..2]), Some("RU"));
    signature
}

/// Signed by the trusted key, and still nonsense.
fn manifests(fixture: &Fixture) -> Vec<Case> {
    let replaced = |from: &str, to: &str| fixture.replaced(from, to);
    let text = &fixture.manifest_bytes;
    let lied = fixture.sign(text, "ajar seq=1 model=gate manifest=0");
    let not_text = [&text[..], b"\n# \xFF\n"].concat();
    let padded = fixture.signed(text, &[&fixture.body()[..], b"more"].concat(), &fixture.manifest);
    let short = fixture.signed(text, &fixture.parts[..4].concat(), &fixture.manifest);
    let half = fixture.manifest.parts[0].size / 2;
    vec![
        case(
            "a trusted comment of another bundle",
            E30,
            "trusted comment does not agree",
            bundle(&lied, text, &fixture.body()),
        ),
        case(
            "an unknown field",
            E30,
            "unknown field `colour`",
            replaced("[input]", "colour = \"red\"\n\n[input]"),
        ),
        case(
            "an unknown field inside",
            E30,
            "unknown field `hysteresis`",
            replaced("verification = 3", "verification = 3\nhysteresis = 1"),
        ),
        case(
            "an unknown feature",
            E30,
            "requires the feature \"teleport\"",
            replaced("requires = [\"unseen\"]", "requires = [\"unseen\", \"teleport\"]"),
        ),
        case(
            "a missing field",
            E30,
            "missing field `uuid`",
            fixture.replaced(&format!("uuid = \"{}\"\n", fixture.manifest.uuid), ""),
        ),
        case("a field twice", E30, "duplicate key", replaced("format = 1", "format = 1\nformat = 1")),
        case(
            "a manifest that is not text",
            E30,
            "manifest: invalid utf-8",
            fixture.signed(&not_text, &fixture.body(), &fixture.manifest),
        ),
        case(
            "a manifest that is not TOML",
            E30,
            "manifest: ",
            fixture.signed(b"{}{}", &fixture.body(), &fixture.manifest),
        ),
        case(
            "a manifest of format 2",
            E30,
            "format 2, this Ajar reads format 1",
            replaced("format = 1", "format = 2"),
        ),
        case(
            "a threshold that is no number",
            E30,
            "decision.threshold: NaN",
            replaced("threshold = 0.8", "threshold = nan"),
        ),
        case(
            "a threshold above one",
            E30,
            "decision.threshold: 1.5",
            replaced("threshold = 0.8", "threshold = 1.5"),
        ),
        case(
            "no verification",
            E30,
            "decision.verification: must be at least 1",
            replaced("verification = 3", "verification = 0"),
        ),
        case(
            "a temperature of zero",
            E30,
            "head.temperature: 0",
            fixture.changed(|m| m.head.temperature = 0.0),
        ),
        case(
            "an infinite accuracy",
            E30,
            "calibration: a number is not finite",
            fixture.changed(|m| m.calibration.accuracy = f32::INFINITY),
        ),
        case(
            "a state named unknown",
            E30,
            "states: \"unknown\" is reserved",
            fixture.changed(|m| m.states[1] = "unknown".into()),
        ),
        case(
            "a state twice",
            E30,
            "states: \"Closed\" twice",
            fixture.changed(|m| m.states[1] = "Closed".into()),
        ),
        case(
            "seventeen states",
            E30,
            "states: 17 states; a model has 2 to 16",
            fixture.changed(|m| m.states = (0..17).map(|i| format!("s{i}")).collect()),
        ),
        case(
            "a model name that is a path",
            E30,
            "model: \"../gate\"",
            fixture.changed(|m| m.model = "../gate".into()),
        ),
        case(
            "a part name that is a path",
            E30,
            "part[0]: name: want 1 to 64 of",
            fixture.changed(|m| m.parts[0].name = "../head".into()),
        ),
        case(
            "a part named like the manifest",
            E30,
            "part[0]: name: reserved",
            fixture.changed(|m| m.parts[0].name = "manifest.toml".into()),
        ),
        case(
            "a part that is hidden",
            E30,
            "part[0]: name: reserved",
            fixture.changed(|m| m.parts[0].name = "..".into()),
        ),
        case(
            "a part twice",
            E30,
            "part[1]: a second part of this name or role",
            fixture.changed(|m| m.parts[1].role = m.parts[0].role),
        ),
        case(
            "a part of unknown role",
            E30,
            "unknown variant `script`",
            replaced("role = \"backbone\"", "role = \"script\""),
        ),
        case("no head", E30, "no part has the role head", fixture.changed(|m| drop(m.parts.remove(0)))),
        case("a head of another size", E30, "the head has ", fixture.changed(|m| m.parts[0].size = half)),
        case(
            "another backbone than named",
            E30,
            "backbone.sha256 is not that of the backbone part",
            fixture.changed(|m| m.backbone.sha256 = "0".repeat(64)),
        ),
        case(
            "a hash in capitals",
            E30,
            "part[0]: sha256: want 64 lower-case hex digits",
            fixture.changed(|m| m.parts[0].sha256 = m.parts[0].sha256.to_uppercase()),
        ),
        case(
            "an unseen test that readers need not know",
            E30,
            "requires must name \"unseen\"",
            fixture.changed(|m| m.requires.clear()),
        ),
        case(
            "an unseen test without its means",
            E30,
            "no part has the role unseen",
            fixture.changed(|m| m.parts.retain(|part| part.role != Role::Unseen)),
        ),
        case(
            "an unseen test without its limit",
            E30,
            "unseen: its part is there, its limit is not",
            fixture.changed(|m| m.unseen = None),
        ),
        case("means of another size", E30, "the means have ", fixture.changed(|m| m.parts[1].size = half)),
        case(
            "a limit of nothing",
            E30,
            "unseen.limit: 0 is not above 0",
            fixture.changed(|m| m.unseen = Some(UnseenSpec { limit: 0.0, false_alarms: 0.01 })),
        ),
        case(
            "more false alarms than pictures",
            E30,
            "unseen.false_alarms: 1.5 is not within 0 and 1",
            fixture.changed(|m| m.unseen = Some(UnseenSpec { limit: 1.0, false_alarms: 1.5 })),
        ),
        case(
            "a reference picture that readers need not know",
            E30,
            "reference: a reader must know of it, so requires must name \"reference\"",
            fixture.changed(|m| m.references = vec![reference("drive", 1.5)]),
        ),
        case(
            "a reference picture without its part",
            E30,
            "the part reference has 0 bytes, 1 pictures need 14400",
            fixture.changed(|m| refer(m, vec![reference("drive", 1.5)])),
        ),
        case(
            "a reference part without a picture",
            E30,
            "the part reference has 12288 bytes, 0 pictures need 0",
            fixture.changed(|m| m.parts[1].role = Role::Reference),
        ),
        case(
            "a reference picture of no shape",
            E30,
            "reference[0].frame_aspect: inf is not within 0.01 and 100",
            fixture.changed(|m| refer(m, vec![reference("drive", f64::INFINITY)])),
        ),
        case(
            "a reference picture of no camera",
            E30,
            "reference[0].camera: \"Drive\"",
            fixture.changed(|m| refer(m, vec![reference("Drive", 1.5)])),
        ),
        case(
            "more reference pictures of a camera than are compared",
            E30,
            "reference: more than 4 pictures of drive",
            fixture.changed(|m| refer(m, vec![reference("drive", 1.5); 5])),
        ),
        case(
            "more reference pictures than there may be",
            E30,
            "reference: 17 pictures, at most 16",
            fixture.changed(|m| refer(m, vec![reference("drive", 1.5); 17])),
        ),
        case(
            "a self-test without its part",
            E30,
            "no part has the role selftest",
            fixture.changed(|m| m.parts.retain(|part| part.role != Role::Selftest)),
        ),
        case(
            "a self-test without its tolerance",
            E30,
            "selftest: its part is there, its tolerance is not",
            fixture.changed(|m| m.selftest = None),
        ),
        case(
            "a self-test of half a crop",
            E30,
            "the self-test has ",
            fixture.changed(|m| m.parts[3].size /= 4),
        ),
        case(
            "a tolerance that is no number",
            E30,
            "selftest.tolerance: NaN",
            fixture.changed(|m| m.selftest = Some(SelftestSpec { tolerance: f32::NAN })),
        ),
        case(
            "a dwell of a state there is not",
            E30,
            "decision.dwell: \"ajar\" is no state of the model",
            fixture.changed(|m| {
                m.decision.dwell.insert("ajar".into(), 1.0);
            }),
        ),
        case(
            "a dwell of a day",
            E30,
            "decision.dwell.open: 86400 is not within 0 and 3600",
            fixture.changed(|m| {
                m.decision.dwell.insert("open".into(), 86400.0);
            }),
        ),
        case(
            "no time to look",
            E30,
            "limits: each must be above 0",
            fixture.changed(|m| m.limits.infer_ms = 0),
        ),
        case(
            "a crop outside the frame",
            E30,
            "crops.drive: want x1 < x2 and y1 < y2 within 0 and 1",
            fixture.changed(|m| {
                m.crops.insert("drive".into(), CropSpec { crop: [0.5, 0.0, 1.5, 1.0], frame_aspect: 0.0 });
            }),
        ),
        case("a body longer than its parts", E11, "4 bytes after the last part", padded),
        case(
            "a body shorter than its parts",
            E11,
            "part mobilenetv2-128-int8.onnx: the body is too short",
            short,
        ),
        case(
            "a part of astronomic size",
            E11,
            "the body is too short",
            fixture.changed(|m| m.parts[4].size = i64::MAX as u64),
        ),
    ]
}

/// Made for something else than this program.
fn versions(fixture: &Fixture) -> Vec<Case> {
    let have = env!("CARGO_PKG_VERSION");
    vec![
        case(
            "another backbone family",
            E31,
            "made for \"resnet18-224-int8/1\", this Ajar runs \"mobilenetv2",
            fixture.changed(|m| m.compat = "resnet18-224-int8/1".into()),
        ),
        case(
            "another input size",
            E31,
            "made for another input (224 x 224",
            fixture.changed(|m| m.input.shape = [224, 224, 3]),
        ),
        case(
            "a newer ajard needed",
            E31,
            format!("needs ajard 99.0.0, this is {have}"),
            fixture.changed(|m| m.min_ajard = "99.0.0".into()),
        ),
        case(
            "a version that is none",
            E31,
            "needs ajard soon, this is",
            fixture.changed(|m| m.min_ajard = "soon".into()),
        ),
    ]
}

/// What is not a bundle-sized file is refused by its metadata.
#[test]
fn files_that_cannot_be_bundles_are_refused_unread() {
    let sandbox = fixture().sandbox();
    let sparse = File::create(sandbox.path("sparse.ajb")).expect("a file");
    sparse.set_len(1 << 40).expect("a sparse file of 1 TiB");
    sandbox.run(sandbox.command("mkfifo").arg("fifo.ajb")).expect(0);
    fs::create_dir(sandbox.path("directory.ajb")).expect("a directory");
    let cases = [
        ("sparse.ajb", "E12: sparse.ajb: 1099511627776 bytes, a bundle has at most"),
        ("fifo.ajb", "E10: fifo.ajb: not a regular file"),
        ("directory.ajb", "E10: directory.ajb: not a regular file"),
        ("/dev/zero", "E10: /dev/zero: not a regular file"),
    ];
    for (file, says) in cases {
        for command in ["bundle verify", "bundle inspect", "bundle unpack --out o", "deploy --store store"] {
            let start = Instant::now();
            // In one gigabyte of address space: the file is not mapped or read.
            let line = format!("ulimit -v 1048576 && exec \"$0\" {command} {file}");
            let output = sandbox.run(sandbox.command("sh").args(["-c", &line, crate::cli::AJAR]));
            output.expect_error(1, says);
            assert!(start.elapsed() < Duration::from_secs(5), "{command} {file}");
        }
    }
    assert!(!sandbox.path("store").exists() && !sandbox.path("o").exists());
}

/// Found out only by whoever uses the weights.
#[test]
fn weights_that_are_no_numbers_are_refused_before_use() {
    let fixture = fixture();
    let sandbox = fixture.sandbox();
    let mut head = fixture.parts[0].clone();
    head[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut manifest = fixture.manifest.clone();
    manifest.parts[0].sha256 = sha256_hex(&head);
    let text = toml::to_string(&manifest).expect("TOML");
    sandbox.write(
        "nan.ajb",
        fixture.signed(text.as_bytes(), &[head, fixture.parts[1..].concat()].concat(), &manifest),
    );
    sandbox.write("x.png", "");
    sandbox
        .ajar_line("classify --bundle nan.ajb x.png")
        .expect_error(1, "E60: a weight is not a finite number");
}

#[test]
fn a_bundle_without_backbone_classifies_where_this_program_has_it() {
    let sandbox = fixture().sandbox();
    sandbox.write("head.ajb", fixture().head_only(1));
    sandbox.write("x.png", "");
    sandbox.ajar_line("bundle verify head.ajb").expect(0);
    // It comes as far as the picture.
    sandbox.ajar_line("classify --bundle head.ajb x.png").expect_error(2, "pictures could not be read");
    let other = fixture().changed_head_only(|manifest| manifest.backbone.sha256 = "0".repeat(64));
    sandbox.write("other.ajb", other);
    sandbox
        .ajar_line("classify --bundle other.ajb x.png")
        .expect_error(1, "E33: the bundle carries no backbone, and this Ajar has another one");
}

#[test]
fn a_revoked_key_is_named() {
    let sandbox = fixture().sandbox();
    let key = &fixture().keys[0].id;
    sandbox.ajar_line(&format!("key revoke {}", key.to_lowercase())).expect(0);
    let says = format!("E22: signed by key {key} (gate), which is revoked");
    sandbox.ajar_line("bundle verify gate.ajb").expect_error(1, &says);
    sandbox.ajar_line("deploy --store store gate.ajb").expect_error(1, &says);
    let listed = sandbox.ajar_line("key list").expect(0);
    assert_eq!(listed.stdout, format!("{key}  revoked  gate\n"));
    // Trusting it again does not help.
    sandbox.ajar_line("key trust k/ajar.pub").expect_error(2, "is revoked, as gate");
}

fn reference(camera: &str, frame_aspect: f64) -> ReferenceSpec {
    ReferenceSpec { camera: camera.into(), frame_aspect }
}

fn refer(manifest: &mut Manifest, references: Vec<ReferenceSpec>) {
    manifest.references = references;
    manifest.requires.push("reference".into());
}
