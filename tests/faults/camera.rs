//! A camera that can be switched off, frozen and turned round: an RTSP server in a process of its own.

use crate::rtsp::Rtsp;
use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// What it shows: patterns of GStreamer's test source that the model knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lamp {
    On,
    Off,
}

impl Lamp {
    pub fn state(self) -> &'static str {
        match self {
            Lamp::On => "on",
            Lamp::Off => "off",
        }
    }

    pub fn pattern(self) -> &'static str {
        match self {
            Lamp::On => "smpte75",
            Lamp::Off => "checkers-8",
        }
    }

    pub fn other(self) -> Lamp {
        match self {
            Lamp::On => Lamp::Off,
            Lamp::Off => Lamp::On,
        }
    }
}

/// What encodes ten pictures a second, with a keyframe each second.
pub const ENCODER: &str = "videoconvert ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 \
     ! rtph264pay name=pay0 pt=96 config-interval=1";

/// The lamp, at a size that can be changed.
fn launch(lamp: Lamp) -> String {
    format!(
        "( videotestsrc name=lamp is-live=true pattern={} ! capsfilter name=size \
         caps=video/x-raw,format=I420,width=320,height=240,framerate=10/1 ! {ENCODER} )",
        lamp.pattern()
    )
}

pub struct Camera {
    pub port: u16,
    /// Runs it, such as `ip netns exec NAME`.
    around: Vec<String>,
    process: Option<(Child, ChildStdin)>,
}

impl Camera {
    fn off() -> Camera {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        Camera { port: free.expect("a free port").port(), around: Vec::new(), process: None }
    }

    pub fn start(lamp: Lamp) -> Camera {
        Camera::start_with(&launch(lamp))
    }

    /// In a network namespace, where every port is free. Nobody outside can see whether it answers.
    pub fn start_in(namespace: &str, lamp: Lamp) -> Camera {
        let around = ["ip", "netns", "exec", namespace].map(str::to_string).to_vec();
        let mut camera = Camera { port: 8554, around, process: None };
        camera.switch_on(lamp);
        camera
    }

    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }

    /// With a pipeline of its own.
    pub fn start_with(launch: &str) -> Camera {
        let mut camera = Camera::off();
        camera.switch_on_with(launch);
        camera
    }

    pub fn switch_on(&mut self, lamp: Lamp) {
        self.switch_on_with(&launch(lamp));
    }

    fn switch_on_with(&mut self, launch: &str) {
        let exe = std::env::current_exe().expect("this program");
        let mut command = match self.around.split_first() {
            Some((program, words)) => {
                let mut command = Command::new(program);
                command.args(words).arg(exe);
                command
            }
            None => Command::new(exe),
        };
        command.arg("serve").arg(self.port.to_string()).arg(launch).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a camera");
        let orders = child.stdin.take().expect("a pipe");
        self.process = Some((child, orders));
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.around.is_empty() && TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the camera does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As by a power cut.
    pub fn switch_off(&mut self) {
        if let Some((mut child, _)) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// STOP or CONT.
    pub fn signal(&self, name: &str) {
        let Some((child, _)) = &self.process else { return };
        let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
        assert!(status.expect("kill").success());
    }

    pub fn show(&mut self, lamp: Lamp) {
        self.set("lamp", "pattern", lamp.pattern());
    }

    /// Sets a property of an element of its pipeline.
    pub fn set(&mut self, element: &str, property: &str, value: &str) {
        self.order(&format!("set {element} {property} {value}"));
    }

    /// The size of its pictures from now on.
    pub fn resize(&mut self, width: u32, height: u32) {
        let caps = format!("video/x-raw,format=I420,width={width},height={height},framerate=10/1");
        self.set("size", "caps", &caps);
    }

    /// The time stamps of its pictures go on so much later or earlier.
    pub fn jump(&mut self, seconds: i64) {
        self.order(&format!("jump {seconds}"));
    }

    fn order(&mut self, line: &str) {
        let Some((_, orders)) = &mut self.process else { return };
        writeln!(orders, "{line}").expect("a camera that listens");
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.switch_off();
    }
}

/// What the process does: `serve PORT PIPELINE`, until its standard input ends.
pub fn serve(words: &[String]) {
    let server = Rtsp::serve_on(words[0].parse().expect("a port"), &words[1]);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["set", element, property, value] => server.set(element, property, value),
            ["jump", seconds] => {
                let seconds: i64 = seconds.parse().expect("seconds");
                server.shift((seconds * 90_000) as u32);
            }
            _ => panic!("what does {line:?} mean?"),
        }
    }
}
