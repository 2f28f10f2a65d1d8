//! `ajar key new`, and what a key may be that `ajar train` signs with.

use crate::cli::{AJAR, Output, Sandbox, need};
use crate::pictures;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const TRAIN: [&str; 9] =
    ["train", "--name", "gate", "--dataset", "pictures", "--out", "gate.ajb", "--key", "k"];

fn mode(path: &Path) -> u32 {
    path.metadata().expect("a file").permissions().mode() & 0o777
}

fn ajar_with_password(sandbox: &Sandbox, password: &str, args: &[&str]) -> Output {
    sandbox.run(sandbox.command(AJAR).args(args).env("AJAR_KEY_PASSWORD", password))
}

/// A sandbox with the least dataset there can be.
fn with_pictures() -> Sandbox {
    let sandbox = Sandbox::new();
    pictures::dataset(&sandbox.path("pictures"), 1);
    sandbox
}

#[test]
fn a_new_key_is_private_public_and_trusted() {
    let sandbox = Sandbox::new();
    let output = sandbox.ajar_line("key new --out a/k --no-password").expect(0);
    let id =
        output.stdout.lines().next().and_then(|line| line.strip_prefix("key ")).expect("the id").to_string();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    let trusted = sandbox.path(&format!("home/.config/ajar/trusted-keys.d/ajar-{id}.pub"));
    let files =
        [("a/k/ajar.key", 0o600), ("a/k/ajar.pub", 0o644)].map(|(name, mode)| (sandbox.path(name), mode));
    for (path, want) in files.iter().map(|(path, mode)| (path, *mode)).chain([(&trusted, 0o644)]) {
        assert_eq!(mode(path), want, "{}", path.display());
    }
    let read = |path: &Path| fs::read_to_string(path).expect("a key");
    assert_eq!(read(&files[1].0), read(&trusted));
    assert!(read(&trusted).starts_with(&format!("untrusted comment: ajar public key {id}\n")));
    assert!(output.stdout.contains("keep a copy in a safe place"), "{}", output.stdout);
}

#[test]
fn a_key_is_never_overwritten() {
    for there in ["k/ajar.key", "k/ajar.pub"] {
        let sandbox = Sandbox::new();
        sandbox.write(there, "precious");
        let output = sandbox.ajar_line("key new --out k --no-password");
        output.expect_error(2, &format!("{there} exists; a key is never overwritten"));
        assert_eq!(fs::read(sandbox.path(there)).expect("the file"), b"precious");
        assert_eq!(fs::read_dir(sandbox.path("k")).expect("k").count(), 1, "half a pair was written");
    }
}

#[test]
fn an_encrypted_key_signs_with_its_password_only() {
    let sandbox = with_pictures();
    ajar_with_password(&sandbox, "correct horse", &["key", "new", "--out", "k"]).expect(0);
    assert_eq!(mode(&sandbox.path("k/ajar.key")), 0o600);
    ajar_with_password(&sandbox, "battery staple", &TRAIN).expect_error(2, "k/ajar.key: Wrong password");
    ajar_with_password(&sandbox, "", &TRAIN).expect(2);
    sandbox.ajar(&TRAIN).expect_error(2, "set AJAR_KEY_PASSWORD");
    assert!(!sandbox.path("gate.ajb").exists());
    ajar_with_password(&sandbox, "correct horse", &TRAIN).expect(0);
    sandbox.ajar_line("bundle verify gate.ajb").expect(0);
    // Neither the key nor anything that was said holds the password.
    let key = fs::read_to_string(sandbox.path("k/ajar.key")).expect("a key");
    assert!(!key.contains("correct horse"));
}

#[test]
fn a_password_is_asked_for_or_named() {
    let sandbox = Sandbox::new();
    sandbox.ajar_line("key new --out k").expect_error(2, "set AJAR_KEY_PASSWORD");
    ajar_with_password(&sandbox, "", &["key", "new", "--out", "k"]).expect_error(2, "--no-password");
    assert!(!sandbox.path("k").exists());
}

#[test]
fn a_secret_key_that_is_not_there_is_named() {
    let sandbox = with_pictures();
    fs::create_dir(sandbox.path("directory")).expect("a directory");
    let cases =
        [("nosuch.key", "nosuch.key: No such file"), ("directory", "directory/ajar.key: No such file")];
    for (key, says) in cases {
        let line = format!("train --name gate --dataset pictures --out gate.ajb --key {key}");
        sandbox.ajar_line(&line).expect_error(2, says);
    }
}

/// Nobody is asked for the password of a file that is no key.
#[test]
fn what_is_no_secret_key_is_named() {
    let sandbox = with_pictures();
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    sandbox.write("empty.key", "");
    sandbox.write("text.key", "untrusted comment: a key\nRWQAnonsense\n");
    for key in ["empty.key", "text.key", "k/ajar.pub"] {
        let line = format!("train --name gate --dataset pictures --out gate.ajb --key {key}");
        sandbox.ajar_line(&line).expect_error(2, &format!("{key}: not a minisign secret key"));
    }
}

/// Who signs with minisign already need not make another key.
#[test]
fn a_key_of_stock_minisign_signs_bundles() {
    need("minisign");
    let sandbox = with_pictures();
    fs::create_dir(sandbox.path("trusted")).expect("a directory");
    let args = ["-G", "-W", "-p", "trusted/own.pub", "-s", "own.key"];
    sandbox.run(sandbox.command("minisign").args(args)).expect(0);
    sandbox.ajar_line("train --name gate --dataset pictures --out gate.ajb --key own.key").expect(0);
    sandbox.ajar_line("bundle verify gate.ajb --trusted-keys trusted").expect(0);
    sandbox.ajar_line("bundle verify gate.ajb").expect_error(1, "E21: ");
}

#[test]
fn bundles_of_one_second_have_rising_numbers() {
    let sandbox = with_pictures();
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    for name in ["one.ajb", "two.ajb", "three.ajb"] {
        // The same key, named as its directory and as its file.
        let key = if name == "two.ajb" { "k/ajar.key" } else { "k" };
        sandbox
            .ajar_line(&format!("train --name gate --dataset pictures --out {name} --key {key}"))
            .expect(0);
        let output = sandbox.ajar_line(&format!("deploy --store store {name}")).expect(0);
        assert!(output.stdout.contains("is installed as"), "{}", output.stdout);
    }
}

#[test]
fn keys_are_listed_trusted_and_revoked() {
    let sandbox = Sandbox::new();
    assert!(sandbox.ajar_line("key list").expect(0).stdout.starts_with("no key is trusted; "));
    let id = |line: &str| {
        let output = sandbox.ajar_line(line).expect(0).stdout;
        output.lines().next().and_then(|line| line.strip_prefix("key ")).expect("an id").to_string()
    };
    let mine = id("key new --out mine --no-password");
    let other = id("key new --out other --no-password");
    let list = |standing: &str| sandbox.ajar_line("key list").expect(0).stdout.matches(standing).count();
    assert_eq!((list("  trusted  "), list("  revoked  ")), (2, 0));
    // On a device's directory, which need not be there.
    let device = "--trusted-keys device";
    let trusted = sandbox.ajar_line(&format!("key trust mine/ajar.pub {device}")).expect(0);
    assert_eq!(trusted.stdout, format!("key {mine} is trusted: device/ajar-{mine}.pub\n"));
    let again = format!("mine/ajar.pub: key {mine} is trusted already, as ajar-{mine}");
    sandbox.ajar_line(&format!("key trust mine/ajar.pub {device}")).expect_error(2, &again);
    sandbox
        .ajar_line(&format!("key trust mine/ajar.key {device}"))
        .expect_error(2, "not a minisign public key");
    sandbox.ajar_line(&format!("key revoke {mine} {device}")).expect(0);
    let listed = sandbox.ajar_line(&format!("key list {device}")).expect(0).stdout;
    assert_eq!(listed, format!("{mine}  revoked  ajar-{mine}\n"));
    // A key that nobody trusts yet can be revoked too, and twice is once.
    for _ in 0..2 {
        sandbox.ajar_line(&format!("key revoke {other} {device}")).expect(0);
    }
    let revoked = fs::read_to_string(sandbox.path("device/revoked")).expect("a list");
    assert_eq!(revoked.lines().count(), 2, "{revoked}");
    assert_eq!(mode(&sandbox.path("device/revoked")), 0o644);
    sandbox.ajar_line("key revoke 123 ").expect_error(2, "\"123\" is no key id: want 16 hex digits");
}

#[test]
fn keys_that_others_may_write_or_read_are_refused() {
    let sandbox = with_pictures();
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    set(&sandbox.path("k/ajar.key"), 0o640);
    sandbox.ajar(&TRAIN).expect_error(2, "ajar.key: others may read this secret key; run: chmod 600");
    set(&sandbox.path("k/ajar.key"), 0o400);
    sandbox.ajar(&TRAIN).expect(0);
    let directory = sandbox.path("home/.config/ajar/trusted-keys.d");
    let file = fs::read_dir(&directory).expect("keys").next().expect("a key").expect("a key").path();
    for (path, good, bad) in [(&directory, 0o755, 0o775), (&directory, 0o755, 0o757), (&file, 0o644, 0o664)] {
        set(path, bad);
        let says = format!("E21: {}: others may write it; run: chmod go-w", path.display());
        sandbox.ajar_line("bundle verify gate.ajb").expect_error(1, &says);
        set(path, good);
        sandbox.ajar_line("bundle verify gate.ajb").expect(0);
    }
    // A list of revoked keys that cannot be understood may name any key.
    sandbox.write("home/.config/ajar/trusted-keys.d/revoked", "# none yet\n\nnonsense\n");
    sandbox.ajar_line("bundle verify gate.ajb").expect_error(1, "revoked: \"nonsense\" is no key id");
}

#[test]
fn at_most_eight_keys_are_trusted() {
    let sandbox = Sandbox::new();
    for i in 0..9 {
        sandbox.ajar_line(&format!("key new --out k{i} --no-password")).expect(0);
    }
    sandbox.ajar_line("key list").expect_error(1, "9 keys, at most 8 are trusted");
    for i in 0..8 {
        sandbox.ajar_line(&format!("key trust k{i}/ajar.pub --trusted-keys d")).expect(0);
    }
    sandbox
        .ajar_line("key trust k8/ajar.pub --trusted-keys d")
        .expect_error(2, "8 keys are trusted already; remove one first");
}

#[test]
fn a_password_comes_from_a_file_too() {
    let sandbox = with_pictures();
    sandbox.write("password", "open sesame\n");
    let with_file = |args: &[&str], file: &str| {
        sandbox.run(sandbox.command(AJAR).args(args).env("AJAR_KEY_PASSWORD_FILE", sandbox.path(file)))
    };
    with_file(&["key", "new", "--out", "k"], "password").expect(0);
    with_file(&TRAIN, "password").expect(0);
    sandbox.write("wrong", "close sesame");
    with_file(&TRAIN, "wrong").expect_error(2, "Wrong password");
    with_file(&TRAIN, "nothing").expect_error(2, "AJAR_KEY_PASSWORD_FILE: ");
    // And the key's place from the environment.
    fs::remove_file(sandbox.path("gate.ajb")).expect("a bundle");
    let args = TRAIN.iter().copied().filter(|arg| !["--key", "k"].contains(arg));
    let mut command = sandbox.command(AJAR);
    let command = command.args(args).env("AJAR_KEY", "k").env("AJAR_KEY_PASSWORD", "open sesame");
    sandbox.run(command).expect(0);
}
