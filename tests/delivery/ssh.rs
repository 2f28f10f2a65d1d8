//! Deployment through a real sshd on loopback.

use crate::Device;
use crate::cli::need;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that lets one new key in, killed when the test ends.
struct Sshd(Child);

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_bundle_goes_through_ssh() {
    need("ssh");
    let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
    let Some(sshd) = sshd else {
        println!("skipped: sshd is not installed");
        return;
    };
    let device = Device::start();
    let sandbox = &device.scene.sandbox;
    let file = |name: &str| sandbox.path(name).display().to_string();
    for name in ["host", "user"] {
        let mut command = sandbox.command("ssh-keygen");
        sandbox.run(command.args(["-q", "-t", "ed25519", "-N", "", "-f", &file(name)])).expect(0);
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let (host, keys, user) = (file("host"), file("authorized"), file("user"));
    fs::copy(sandbox.path("user.pub"), sandbox.path("authorized")).expect("a copy");
    sandbox.write(
        "sshd.conf",
        format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {host}\nAuthorizedKeysFile {keys}\nStrictModes no\n\
             PidFile none\nUsePAM no\nPasswordAuthentication no\n"
        ),
    );
    // Without it sshd refuses to start as root.
    let _ = fs::create_dir_all("/run/sshd");
    let mut command = Command::new(sshd);
    command.args(["-D", "-e", "-f", &file("sshd.conf")]).stdout(Stdio::null());
    command.stderr(fs::File::create(sandbox.path("sshd.log")).expect("a log"));
    let _sshd = Sshd(command.spawn().expect("sshd"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = fs::read_to_string(sandbox.path("sshd.log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "sshd does not listen: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    // OpenSSH asks the system for the home directory, not the environment, so its options come by a wrapper.
    let wrapper = format!(
        "#!/bin/sh\nexec /usr/bin/ssh -F none -i {user} -o IdentitiesOnly=yes -o BatchMode=yes \
         -o StrictHostKeyChecking=no -o UserKnownHostsFile={} \"$@\"\n",
        file("known")
    );
    let path = sandbox.write("bin/ssh", wrapper);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    let me = String::from_utf8(Command::new("id").arg("-un").output().expect("id").stdout).expect("a name");
    let address = format!("ssh://{}@127.0.0.1:{port}{}", me.trim(), file("control.sock"));
    let ajar = |line: &str, address: &str| {
        let mut command = sandbox.command(crate::cli::AJAR);
        let search = format!("{}:{}", file("bin"), std::env::var("PATH").unwrap_or_default());
        let words = line.split_whitespace();
        sandbox.run(command.env("PATH", search).env("AJAR_DEVICE", address).args(words))
    };
    device.repack("next.ajb", |manifest| manifest.decision.threshold = 0.75);
    let status = ajar("status", &address).expect_error(1, "behind: lamp was signed as ");
    assert!(status.stdout.starts_with("device test: ajard "), "{}", status.stdout);
    assert!(ajar("deploy next.ajb", &address).expect(0).stdout.contains("runs on trial"));
    ajar("status", &address).expect(0);
    ajar("rollback lamp", &address).expect(0);
    ajar("rollback bins", &address).expect_error(1, "E33: model \"bins\": no generation came before");
    // What is wrong is told from what is not there.
    let nowhere = format!("{address}-not");
    ajar("status", &nowhere).expect_error(1, "is ajard running, and are you root or in the group ajar?");
    let closed = format!("ssh://127.0.0.1:{}", port ^ 1);
    ajar("status", &closed).expect_error(1, "ssh 127.0.0.1 failed");
}
