//! Every codec an RTSP camera may send, from a real server.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/rtsp.rs"]
mod rtsp;

use cli::Sandbox;
use rtsp::Rtsp;

const PICTURE: &str =
    "videotestsrc is-live=true pattern=smpte75 ! video/x-raw,format=I420,width=320,height=240,framerate=10/1";

#[test]
fn pictures_are_cut_from_a_live_stream_of_every_codec() {
    for (codec, encoder) in [
        ("h264", "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay"),
        ("h265", "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay"),
        ("mjpeg", "jpegenc ! rtpjpegpay"),
    ] {
        let sandbox = Sandbox::new();
        let camera = Rtsp::serve(&format!("( {PICTURE} ! {encoder} name=pay0 )"));
        let url = &camera.url;
        let line =
            format!("cut --source {url} --codec {codec} --crop 0,0,1,1 --every 0.5 --to 1.4 --out out");
        sandbox.ajar_line(&line).expect(0);
        let pictures = std::fs::read_dir(sandbox.path("out")).expect("pictures").count();
        assert_eq!(pictures, 3, "{codec}");
    }
}
