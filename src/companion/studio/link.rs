//! A device that is asked again and again, by one connection.

use super::lock;
use crate::companion::moment::{self, Moment};
use crate::companion::remote::{Address, Device, NotReached, Refused};
use crate::companion::workspace::model::CropFile;
use anyhow::{Result, anyhow};
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A page asks for the cameras many times, and a device that is gone lets each wait.
const CAMERAS_LAST: Duration = Duration::from_secs(5);
/// Two crops whose edges differ by no more of the frame are the same: nobody draws more exactly.
const SAME_CROP: f64 = 0.01;
/// A page asks for each of its pictures.
const RECENT_LASTS: Duration = Duration::from_secs(2);

pub struct Link {
    address: Address,
    open: Mutex<Option<Arc<Device>>>,
    cameras: Known<Vec<String>>,
    recent: Known<Arc<Value>>,
}

/// A picture that a device has kept.
pub struct Kept {
    pub path: String,
    pub moment: Option<Moment>,
    pub extent: Extent,
}

/// How much of a camera's frame a picture shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Extent {
    Whole,
    /// What a device looked at, in fractions of the frame; `None` from one that does not tell where it was cut.
    Crop(Option<[f64; 4]>),
}

impl Extent {
    /// As a device tells it of an attempt or a frame that it kept.
    pub fn told(whole: bool, crop: &Value) -> Extent {
        if whole {
            return Extent::Whole;
        }
        Extent::Crop(<[f64; 4]>::deserialize(crop).ok())
    }

    /// Whether it shows all of a crop and nothing else once it was cut: a crop cannot become another one.
    pub fn gives(&self, CropFile { crop, .. }: &CropFile) -> bool {
        let near = |edges: &[f64; 4]| edges.iter().zip(crop).all(|(a, b)| (a - b).abs() <= SAME_CROP);
        match self {
            Extent::Whole => true,
            Extent::Crop(edges) => edges.as_ref().is_some_and(near),
        }
    }
}

/// What a device said a moment ago, or why it did not. All who ask in between share it.
struct Known<T> {
    lasts: Duration,
    said: Mutex<Option<(Instant, Result<T, String>)>>,
}

impl<T: Clone> Known<T> {
    fn new(lasts: Duration) -> Known<T> {
        Known { lasts, said: Mutex::new(None) }
    }

    fn get(&self, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut known = lock(&self.said);
        let fresh = known.take().filter(|(asked, _)| asked.elapsed() < self.lasts);
        let (asked, said) = fresh.unwrap_or_else(|| {
            let said = ask().map_err(|why| format!("{why:#}"));
            // Counted from the answer: it may have taken long.
            (Instant::now(), said)
        });
        *known = Some((asked, said.clone()));
        said.map_err(|why| anyhow!(why))
    }
}

impl Link {
    pub fn new(address: Address) -> Link {
        let (cameras, recent) = (Known::new(CAMERAS_LAST), Known::new(RECENT_LASTS));
        Link { address, open: Mutex::new(None), cameras, recent }
    }

    pub fn name(&self) -> String {
        match &self.address {
            Address::Socket(path) => path.display().to_string(),
            Address::Ssh { destination, .. } => destination.clone(),
        }
    }

    /// Asks the device. Without a connection, one is made anew, once. What may have been heard is never said twice: going back
    /// twice is another thing than going back.
    fn ask<T>(&self, question: impl Fn(&Device) -> Result<T>) -> Result<T> {
        let known = lock(&self.open).clone();
        let device = known.map_or_else(|| self.connect(), Ok)?;
        match self.ask_by(&device, &question) {
            Err(error) if error.is::<NotReached>() => self.ask_by(&self.connect()?, &question),
            answered => answered,
        }
    }

    /// A connection that failed serves nobody any more.
    fn ask_by<T>(&self, device: &Arc<Device>, question: impl Fn(&Device) -> Result<T>) -> Result<T> {
        question(device).inspect_err(|error| {
            if !error.is::<Refused>() {
                lock(&self.open).take_if(|open| Arc::ptr_eq(open, device));
            }
        })
    }

    /// One connection for all who ask at the same time.
    fn connect(&self) -> Result<Arc<Device>> {
        let mut open = lock(&self.open);
        if let Some(device) = &*open {
            return Ok(device.clone());
        }
        let device = Arc::new(Device::open(&self.address)?);
        *open = Some(device.clone());
        Ok(device)
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask(|device| device.get(path))
    }

    pub fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        self.ask(|device| device.get_bytes(path))
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Result<Value> {
        self.ask(|device| device.post(path, body.to_vec()))
    }

    /// What it saw lately, the newest first.
    pub fn recent(&self) -> Result<Arc<Value>> {
        self.recent.get(|| self.get("/v1/recent").map(Arc::new))
    }

    pub fn cameras(&self) -> Result<Vec<String>> {
        self.cameras.get(|| {
            let status = self.get("/v1/status")?;
            let names = status["cameras"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Ok(names.map(str::to_string).collect())
        })
    }

    /// What the device has kept of a camera, the oldest first: whole frames, and crops of this model. Empty from a device
    /// that keeps nothing.
    pub fn gallery(&self, camera: &str, model: &str) -> Result<Vec<Kept>> {
        let list = match self.get(&format!("/v1/cameras/{camera}/gallery")) {
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => {
                return Ok(Vec::new());
            }
            list => list?,
        };
        let kept = |row: &Value| {
            let id = plain_id(&row["id"])?;
            let own = row["model"].as_str().is_none_or(|of| of == model);
            own.then(|| Kept {
                path: format!("/v1/cameras/{camera}/gallery/{id}"),
                // A clock that was not set tells nothing.
                moment: of_time(&row["time"]).filter(|_| row["uncertain"] != true),
                extent: Extent::told(row["model"].is_null(), &row["crop"]),
            })
        };
        Ok(list["frames"].as_array().into_iter().flatten().filter_map(kept).collect())
    }
}

/// An id that a device gave, if it can be a part of a path.
pub fn plain_id(id: &Value) -> Option<String> {
    let text = id.as_str().map_or_else(|| id.to_string(), str::to_string);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let good = !text.is_empty() && text.len() <= 128 && text.chars().all(plain) && !text.starts_with('.');
    good.then_some(text)
}

/// A time that a device gave, in RFC 3339.
pub fn of_time(time: &Value) -> Option<Moment> {
    Some(moment::on_the_wall(time.as_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    /// Takes as many requests as there are answers, and tells how each began. An empty answer hangs up.
    fn device(socket: &Path, answers: &'static [&'static [u8]]) -> std::thread::JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(socket).unwrap();
        std::thread::spawn(move || {
            let heard = answers.iter().map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap();
                stream.write_all(answer).unwrap();
                String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_string()
            });
            heard.collect()
        })
    }

    #[test]
    fn what_a_device_may_have_heard_is_not_said_again() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let link = Link::new(Address::Socket(socket.clone()));
        assert!(link.post("/v1/models/gate/rollback", &[]).is_err(), "there is no device yet");
        let heard = device(&socket, &[b"", EMPTY]);
        assert!(link.post("/v1/models/gate/rollback", &[]).is_err(), "it hung up");
        link.get("/v1/status").unwrap();
        assert_eq!(
            heard.join().unwrap(),
            ["POST /v1/models/gate/rollback HTTP/1.1", "GET /v1/status HTTP/1.1"]
        );
    }
}
