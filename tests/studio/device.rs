//! A device that runs: its camera shows one picture until it is given another.

use crate::ajard::{Ajard, LIMIT};
use crate::cli::Sandbox;
use crate::http_camera::HttpCamera;
use crate::lot::Spot;
use std::path::Path;
use std::time::{Duration, Instant};

pub struct Device {
    pub camera: HttpCamera,
    pub ajard: Ajard,
    /// Of the camera in the device's configuration.
    pub name: &'static str,
}

impl Device {
    /// Everything lies in the sandbox. It trusts the keys in `trusted`.
    pub fn start(sandbox: &Sandbox, name: &'static str, picture: Vec<u8>) -> Device {
        let camera = HttpCamera::of(picture);
        let source = camera.url("still.jpg");
        std::fs::create_dir_all(sandbox.path("trusted")).expect("a folder");
        let [store, keys, socket] = ["store", "trusted", "control.sock"].map(|file| sandbox.path(file));
        let text = format!(
            "[device]\nid = \"shed\"\nstore = {store:?}\ntrusted_keys = {keys:?}\ncontrol_socket = {socket:?}\n\
             trial = {{ attempts = 2, minutes = 0.02 }}\n[gallery]\nevery = 5\n\
             [cameras.{name}]\nsource = {source:?}\nfrozen_after = 0\n"
        );
        let config = sandbox.write("device.toml", text);
        let device = Device { ajard: Device::run(sandbox, &config), camera, name };
        device.wait_for_answer(sandbox);
        device
    }

    fn run(sandbox: &Sandbox, config: &Path) -> Ajard {
        Ajard::spawn(&mut Ajard::command_in(sandbox, config))
    }

    /// Adds this to its configuration and starts it again, as its owner would.
    pub fn configure(&mut self, sandbox: &Sandbox, more: &str) {
        let path = sandbox.path("device.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        std::fs::write(&path, format!("{text}\n{more}")).expect("a written configuration");
        self.ajard.signal("TERM");
        assert!(self.ajard.wait(LIMIT).success());
        self.ajard = Device::run(sandbox, &path);
        self.wait_for_answer(sandbox);
    }

    fn wait_for_answer(&self, sandbox: &Sandbox) {
        let deadline = Instant::now() + LIMIT;
        let picture = format!("http://ajard/v1/cameras/{}/snapshot", self.name);
        loop {
            let mut curl = sandbox.command("curl");
            curl.args([
                "-sS",
                "--fail",
                "--unix-socket",
                "control.sock",
                "--output",
                "snapshot.jpg",
                &picture,
            ]);
            if sandbox.run(&mut curl).code == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "the device gives no picture");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn show(&self, spot: &Spot) {
        self.camera.show(std::fs::read(&spot.path).expect("a picture"));
    }
}
