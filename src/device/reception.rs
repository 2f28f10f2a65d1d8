//! Reception: the pictures of RTSP cameras, without GStreamer's receiver, which costs more than all the rest together
//! where only a keyframe now and then is decoded.
//!
//! One thread for all cameras. A picture that need not be decoded ends here and never wakes GStreamer.

use super::sieve::{Picture, Sieve};
use crate::camera::{CameraError, split_login};
use crate::config::Codec;
use futures_util::StreamExt;
use gstreamer::BufferFlags;
use gstreamer_app::AppSrc;
use retina::client::{Credentials, PlayOptions, Playing, Session, SessionOptions, SetupOptions, Stream};
use retina::codec::{CodecItem, FrameFormat, VideoFrame};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

/// From the first packet to the camera's consent to play.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Bytes that may wait for a decoder which does not keep up. With more it goes on at the next keyframe.
const MAX_WAITING: u64 = 4 << 20;

/// Why a stream ended.
#[derive(Debug)]
pub enum Ended {
    Failed(CameraError),
    /// The camera sends something else than what the pipeline was made for.
    OtherCodec(Codec),
    /// It sent the one picture that it sends at a time.
    Picture,
}

/// The thread.
pub struct Receivers {
    runtime: Handle,
    _stop: oneshot::Sender<Infallible>,
}

/// One stream that is being received, until it is dropped.
pub struct Reception {
    task: tokio::task::JoinHandle<()>,
    ended: Arc<Mutex<Option<Ended>>>,
}

impl Receivers {
    pub fn start() -> std::io::Result<Receivers> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let body = move || run(&runtime, stopped);
        std::thread::Builder::new().name("reception".into()).spawn(body)?;
        Ok(Receivers { runtime: handle, _stop: stop })
    }

    /// Begins to receive `url` into `inlet`.
    pub fn receive(&self, url: &str, codec: Codec, inlet: AppSrc, mut sieve: Sieve) -> Reception {
        let ended = Arc::new(Mutex::new(None));
        let (url, end) = (url.to_string(), ended.clone());
        let task = self.runtime.spawn(async move {
            let why = match stream(&url, codec, &inlet, &mut sieve).await {
                Err(why) => why,
                Ok(never) => match never {},
            };
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        });
        Reception { task, ended }
    }
}

/// Ends when nobody can start a stream any more.
fn run(runtime: &Runtime, stopped: oneshot::Receiver<Infallible>) {
    let _ = runtime.block_on(stopped);
}

impl Reception {
    /// Why it ended, once.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn stream(url: &str, codec: Codec, inlet: &AppSrc, sieve: &mut Sieve) -> Result<Infallible, Ended> {
    let connected = tokio::time::timeout(CONNECT_LIMIT, connect(url, codec)).await;
    let none = || failed(format!("no answer within {} s", CONNECT_LIMIT.as_secs()));
    let session = connected.map_err(|_| none())??;
    let mut items = session.demuxed().map_err(explain)?;
    loop {
        match items.next().await {
            Some(Ok(CodecItem::VideoFrame(picture))) => take(codec, picture, inlet, sieve)?,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(explain(error)),
            // A live source has no end.
            None => return Err(failed("the stream ended")),
        }
    }
}

async fn connect(url: &str, codec: Codec) -> Result<Session<Playing>, Ended> {
    let (bare, login) = split_login(url);
    let bare = bare.parse().map_err(|error| Ended::Failed(refused(format!("the URL: {error}"))))?;
    let credentials = login.map(|(username, password)| Credentials { username, password });
    let options = SessionOptions::default().creds(credentials).user_agent("ajard".into());
    let mut session = Session::describe(bare, options).await.map_err(explain)?;
    let is_video = |stream: &Stream| stream.media() == "video";
    let videos = || session.streams().iter().enumerate().filter(|(_, stream)| is_video(stream));
    let known = |stream: &Stream| codec_named(stream.encoding_name());
    let Some((index, found)) = videos().find_map(|(index, stream)| Some((index, known(stream)?))) else {
        let names: Vec<&str> = videos().map(|(_, stream)| stream.encoding_name()).collect();
        let what = if names.is_empty() { "no video".into() } else { names.join(", ") };
        return Err(Ended::Failed(refused(format!("the camera sends {what}; want H.264, H.265 or MJPEG"))));
    };
    if found != codec {
        return Err(Ended::OtherCodec(found));
    }
    let setup = SetupOptions::default().frame_format(FrameFormat::SIMPLE);
    session.setup(index, setup).await.map_err(explain)?;
    session.play(PlayOptions::default()).await.map_err(explain)
}

/// By its name in SDP.
fn codec_named(name: &str) -> Option<Codec> {
    match name {
        "h264" => Some(Codec::H264),
        "h265" => Some(Codec::H265),
        "jpeg" => Some(Codec::Mjpeg),
        _ => None,
    }
}

fn take(codec: Codec, picture: VideoFrame, inlet: &AppSrc, sieve: &mut Sieve) -> Result<(), Ended> {
    let late = inlet.current_level_bytes() > MAX_WAITING;
    let key = picture.is_random_access_point() || codec == Codec::H265 && is_irap(picture.data());
    let kind = match (picture.loss(), key) {
        _ if late => Picture::Late,
        (0, true) => Picture::Key,
        (0, false) => Picture::Delta,
        _ => Picture::Damaged,
    };
    if !sieve.passes(embassy_time::Instant::now(), kind) {
        return Ok(());
    }
    let mut buffer = gstreamer::Buffer::from_mut_slice(picture.into_data());
    if let Some(buffer) = buffer.get_mut().filter(|_| kind == Picture::Delta) {
        buffer.set_flags(BufferFlags::DELTA_UNIT);
    }
    // What is wrong with the pipeline stands on its bus.
    inlet.push_buffer(buffer).map(drop).map_err(|_| failed("the decoder stopped"))
}

/// Whether an H.265 picture in Annex B can be decoded without another (ITU-T H.265, table 7-1: types 16 to 23). The
/// library takes only two of these for such.
fn is_irap(picture: &[u8]) -> bool {
    const FIRST_THAT_IS_NO_SLICE: u8 = 32;
    let units = picture.windows(5).filter(|bytes| bytes[..4] == [0, 0, 0, 1]);
    let slice = units.map(|bytes| bytes[4] >> 1 & 0x3f).find(|kind| *kind < FIRST_THAT_IS_NO_SLICE);
    slice.is_some_and(|kind| (16..24).contains(&kind))
}

fn failed(why: impl Into<String>) -> Ended {
    Ended::Failed(CameraError::Stream(why.into()))
}

fn refused(why: String) -> CameraError {
    CameraError::Refused(why)
}

fn explain(error: retina::Error) -> Ended {
    Ended::Failed(match error.status_code() {
        Some(401 | 403) => refused(CameraError::WRONG_PASSWORD.into()),
        Some(404) => refused(CameraError::NO_SUCH_STREAM.into()),
        // Behind the first line there are addresses and packets for whoever mends the library.
        _ => CameraError::Stream(error.to_string().lines().next().unwrap_or_default().to_string()),
    })
}
