//! Where frames come from, and how that is written.

use crate::board::Decoder;
use crate::config::{Codec, Receiver, Transport};
use gstreamer::prelude::*;
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use url::Url;

/// Where frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `rtsp://` or `rtsps://`. By [`Receiver::Lean`] the pipeline has no source of its own: somebody else puts whole
    /// pictures, still compressed, into its inlet.
    Rtsp {
        url: String,
        receiver: Receiver,
        transport: Transport,
    },
    /// `http://` or `https://`: a stream of JPEG pictures, or one picture, after which it ends.
    Http(String),
    /// `/dev/video*`.
    V4l2(PathBuf),
    /// GStreamer elements that end in raw video.
    Pipeline(String),
    File(PathBuf),
}

/// How fast a file is read. Other sources set their own pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// As the clock goes; a late frame is dropped.
    RealTime,
    /// As fast as frames are taken; none is dropped.
    EveryFrame,
}

/// Time that an RTSP camera by UDP has to send a packet that came too late, again.
const UDP_LATENCY_MS: u32 = 200;
/// Seconds without an answer of an HTTP camera.
const HTTP_TIMEOUT: u32 = 10;

impl Source {
    pub fn parse(text: &str) -> Source {
        let text = &with_small_scheme(text.trim());
        let starts = |scheme: &&str| text.starts_with(scheme);
        if ["rtsp://", "rtsps://"].iter().any(starts) {
            Source::rtsp(text, Receiver::Rtspsrc, Transport::Tcp)
        } else if text.contains('!') {
            Source::Pipeline(text.into())
        } else if ["http://", "https://"].iter().any(starts) {
            Source::Http(text.into())
        } else if ["/dev/video", "/dev/v4l/"].iter().any(starts) {
            Source::V4l2(text.into())
        } else {
            Source::File(text.strip_prefix("file://").unwrap_or(text).into())
        }
    }

    pub fn rtsp(url: &str, receiver: Receiver, transport: Transport) -> Source {
        Source::Rtsp { url: url.into(), receiver, transport }
    }

    /// For logs: without the password of a URL.
    pub fn redacted(&self) -> String {
        match self {
            Source::Rtsp { url: text, .. } | Source::Http(text) | Source::Pipeline(text) => redact(text),
            Source::V4l2(path) | Source::File(path) => path.display().to_string(),
        }
    }

    /// The pipeline in the words of gst-launch. Locations are set as properties later, so no
    /// path or URL is ever parsed as pipeline text.
    pub(super) fn launch_text(&self, codec: Codec, decoder: &Decoder, pacing: Pacing) -> String {
        let (depay, caps, decode) = match codec {
            Codec::H264 => ("rtph264depay wait-for-keyframe=true", "video/x-h264", &decoder.h264),
            Codec::H265 => ("rtph265depay", "video/x-h265", &decoder.h265),
            Codec::Mjpeg => ("rtpjpegdepay", "image/jpeg", &decoder.mjpeg),
        };
        let head = match self {
            Source::Rtsp { receiver: Receiver::Lean, .. } => {
                let framing = match codec {
                    Codec::H264 | Codec::H265 => ",stream-format=byte-stream,alignment=au",
                    Codec::Mjpeg => "",
                };
                let live = "is-live=true format=time do-timestamp=true";
                format!("appsrc name=source {live} caps={caps}{framing} ! {decode}")
            }
            Source::Rtsp { transport: Transport::Tcp, .. } => {
                format!("rtspsrc name=source latency=0 protocols=tcp ! {depay} ! {decode}")
            }
            Source::Rtsp { transport: Transport::Udp, .. } => {
                format!("rtspsrc name=source latency={UDP_LATENCY_MS} protocols=udp ! {depay} ! {decode}")
            }
            Source::Http(_) => {
                // The parser finds pictures in whatever the camera puts between them.
                let source = "souphttpsrc name=source is-live=true retries=0";
                format!("{source} timeout={HTTP_TIMEOUT} ! jpegparse ! {}", decoder.mjpeg)
            }
            Source::V4l2(_) => "v4l2src name=source ! decodebin".into(),
            Source::File(_) => "filesrc name=source ! decodebin".into(),
            Source::Pipeline(text) => text.clone(),
        };
        let sink = match (self, pacing) {
            (Source::File(_), Pacing::RealTime) => "sync=true max-buffers=1 drop=true",
            (_, Pacing::RealTime) => "sync=false max-buffers=1 drop=true",
            (_, Pacing::EveryFrame) => "sync=false max-buffers=2",
        };
        format!("{head} ! videoconvert ! video/x-raw,format={{I420,NV12}} ! appsink name=frames {sink}")
    }

    /// Tells the pipeline's first element where it is.
    pub(super) fn locate(&self, element: &gstreamer::Element) {
        match self {
            Source::Rtsp { receiver: Receiver::Lean, .. } | Source::Pipeline(_) => {}
            Source::Rtsp { url, .. } => element.set_property("location", url),
            Source::V4l2(path) => element.set_property("device", path),
            Source::File(path) => element.set_property("location", path),
            Source::Http(url) => {
                let (bare, login) = split_login(url);
                element.set_property("location", bare);
                if let Some((user, password)) = login {
                    element.set_property("user-id", user);
                    element.set_property("user-pw", password);
                }
            }
        }
    }
}

/// `RTSP://` is as good as `rtsp://`.
fn with_small_scheme(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
            format!("{}://{rest}", scheme.to_ascii_lowercase())
        }
        _ => text.to_string(),
    }
}

/// A URL without the user and the password in it, and both of these with their escapes undone.
pub fn split_login(text: &str) -> (String, Option<(String, String)>) {
    let Ok(mut url) = Url::parse(text) else { return (text.to_string(), None) };
    let plain = |escaped: &str| percent_decode_str(escaped).decode_utf8_lossy().into_owned();
    let login = (plain(url.username()), plain(url.password().unwrap_or_default()));
    // Refused for URLs without a host, which have no login.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    (url.into(), Some(login).filter(|(user, _)| !user.is_empty()))
}

/// The text with `***` for every password in it: before the `@` of a URL, and as a parameter.
pub fn redact(text: &str) -> String {
    const PARAMETERS: [&str; 5] = ["password=", "passwd=", "pass=", "pwd=", "-pw="];
    let mut safe = redact_urls(text);
    for parameter in PARAMETERS {
        let mut from = 0;
        while let Some(found) = safe[from..].to_ascii_lowercase().find(parameter) {
            let start = from + found + parameter.len();
            let length = safe[start..].find(['&', ' ', '"', '\'', '/']).unwrap_or(safe.len() - start);
            safe.replace_range(start..start + length, "***");
            from = start;
        }
    }
    safe
}

fn redact_urls(text: &str) -> String {
    let mut parts = text.split("://");
    let mut safe = parts.next().unwrap_or_default().to_string();
    for part in parts {
        // An address ends at white space or a quotation mark.
        let end = part.find([' ', '"', '\'']).unwrap_or(part.len());
        let (address, rest) = part.split_at(end);
        let visible = address.rfind('@').map_or(address.to_string(), |at| format!("***{}", &address[at..]));
        safe += &format!("://{visible}{rest}");
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let rtsp = Source::rtsp("rtsp://a/b!c", Receiver::Rtspsrc, Transport::Tcp);
        assert_eq!(Source::parse(" rtsp://a/b!c "), rtsp);
        assert_eq!(Source::parse("RTSP://a/b!c"), rtsp);
        assert_eq!(Source::parse("http://a/b.jpg"), Source::Http("http://a/b.jpg".into()));
        assert_eq!(Source::parse("/dev/video0"), Source::V4l2("/dev/video0".into()));
        let by_id = "/dev/v4l/by-id/usb-cam-index0";
        assert_eq!(Source::parse(by_id), Source::V4l2(by_id.into()));
        assert_eq!(Source::parse("file:///a b.mp4"), Source::File("/a b.mp4".into()));
        assert_eq!(Source::parse("clip.avi"), Source::File("clip.avi".into()));
        let pipeline = "videotestsrc ! videorate";
        assert_eq!(Source::parse(pipeline), Source::Pipeline(pipeline.into()));
    }

    #[test]
    fn a_login_is_taken_out_of_a_url() {
        let split = |url: &str| {
            let (bare, login) = split_login(url);
            (bare, login.map(|(user, password)| format!("{user}|{password}")))
        };
        let with = |bare: &str, login: &str| (bare.to_string(), Some(login.to_string()));
        let none = |bare: &str| (bare.to_string(), None);
        assert_eq!(split("rtsp://cam:8554/a@b"), none("rtsp://cam:8554/a@b"));
        assert_eq!(split("rtsp://me:secret@cam:554/a?b=c@d"), with("rtsp://cam:554/a?b=c@d", "me|secret"));
        assert_eq!(split("http://me@cam/"), with("http://cam/", "me|"));
        assert_eq!(split("http://me:p%40s%2Fs@cam/x"), with("http://cam/x", "me|p@s/s"));
        assert_eq!(split("http://me:p@ss%zz@cam/x"), with("http://cam/x", "me|p@ss%zz"));
        assert_eq!(split("clip.mp4"), none("clip.mp4"));
    }

    #[test]
    fn passwords_do_not_reach_the_log() {
        let source = Source::parse("rtsp://admin:p@ss@10.0.0.2:554/live");
        assert_eq!(source.redacted(), "rtsp://***@10.0.0.2:554/live");
        assert_eq!(Source::parse("rtsp://10.0.0.2/live").redacted(), "rtsp://10.0.0.2/live");
        let query = Source::parse("rtsp://10.0.0.2/user=admin&password=hunter2&channel=1");
        assert_eq!(query.redacted(), "rtsp://10.0.0.2/user=admin&password=***&channel=1");
        let pipeline = Source::parse("souphttpsrc location=\"http://me:secret@cam/a.jpg\" ! jpegdec");
        assert_eq!(pipeline.redacted(), "souphttpsrc location=\"http://***@cam/a.jpg\" ! jpegdec");
    }
}
