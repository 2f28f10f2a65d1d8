//! A camera that is asked by HTTP: one JPEG picture at `/still.jpg`, one after the other at `/stream`.
#![allow(dead_code)]

use gstreamer::prelude::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(100);

pub struct HttpCamera {
    pub port: u16,
    /// Pictures that were asked for one by one.
    pub stills: Arc<AtomicU32>,
    stopped: Arc<AtomicBool>,
    shown: Arc<Mutex<Arc<[u8]>>>,
}

impl HttpCamera {
    /// Shows a pattern of GStreamer's test source.
    pub fn serve(pattern: &str) -> HttpCamera {
        HttpCamera::of(jpeg(pattern))
    }

    /// Shows a JPEG picture.
    pub fn of(picture: Vec<u8>) -> HttpCamera {
        let shown: Arc<Mutex<Arc<[u8]>>> = Arc::new(Mutex::new(picture.into()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (stills, stopped) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (picture, count, stop) = (shown.clone(), stills.clone(), stopped.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let (picture, count, stop) = (picture.clone(), count.clone(), stop.clone());
                std::thread::spawn(move || answer(client, &picture, &count, &stop));
            }
        });
        HttpCamera { port, stills, stopped, shown }
    }

    /// Shows another picture from now on.
    pub fn show(&self, picture: Vec<u8>) {
        *self.shown.lock().expect("no panic") = picture.into();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for HttpCamera {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Until the client goes or the camera is switched off.
fn answer(
    mut client: TcpStream,
    shown: &Mutex<Arc<[u8]>>,
    stills: &AtomicU32,
    stopped: &AtomicBool,
) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let mut say = |text: &str| client.write_all(text.as_bytes()).ok();
    let picture = || shown.lock().expect("no panic").clone();
    if request.starts_with("get /secret.jpg") && !request.contains("authorization: basic bwu6c2vjcmv0") {
        say(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"\r\nContent-Length: 0\r\n\r\n",
        )
    } else if request.starts_with("get /still.jpg") || request.starts_with("get /secret.jpg") {
        stills.fetch_add(1, Ordering::Relaxed);
        let picture = picture();
        let length = picture.len();
        say(&format!("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"))?;
        client.write_all(&picture).ok()
    } else if request.starts_with("get /stream") {
        say("HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n")?;
        while !stopped.load(Ordering::Relaxed) {
            let picture = picture();
            let length = picture.len();
            let head = format!("--next\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
            client.write_all(head.as_bytes()).ok()?;
            client.write_all(&picture).ok()?;
            client.write_all(b"\r\n").ok()?;
            std::thread::sleep(PAUSE);
        }
        Some(())
    } else {
        say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    }
}

fn jpeg(pattern: &str) -> Vec<u8> {
    gstreamer::init().expect("GStreamer");
    let text = format!(
        "videotestsrc num-buffers=1 pattern={pattern} ! video/x-raw,width=320,height=240 ! jpegenc ! appsink name=out"
    );
    let pipeline = gstreamer::parse::launch(&text).expect("a pipeline").downcast::<gstreamer::Pipeline>();
    let pipeline = pipeline.expect("a pipeline");
    let sink = pipeline.by_name("out").and_then(|sink| sink.downcast::<gstreamer_app::AppSink>().ok());
    pipeline.set_state(gstreamer::State::Playing).expect("a playing pipeline");
    let sample = sink.expect("an appsink").pull_sample().expect("a picture");
    pipeline.set_state(gstreamer::State::Null).expect("a stopped pipeline");
    sample.buffer().expect("a buffer").map_readable().expect("bytes").to_vec()
}
