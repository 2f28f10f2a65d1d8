//! A real RTSP server on loopback.

#![allow(dead_code)]

use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPMediaFactory, RTSPServer, gst, gst_rtsp};
use std::path::Path;
use std::thread::JoinHandle;

pub struct Rtsp {
    pub url: String,
    main_loop: gst::glib::MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl Rtsp {
    /// Serves a Matroska file of H.264, from its start for each client, as fast as a camera would.
    pub fn serve_file(path: &Path) -> Rtsp {
        let path = path.display();
        Rtsp::serve(&format!(
            "( filesrc location=\"{path}\" ! matroskademux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
        ))
    }

    /// Serves the pipeline on a free port, or on `port`.
    pub fn serve(launch: &str) -> Rtsp {
        Rtsp::serve_on(0, launch)
    }

    pub fn serve_on(port: u16, launch: &str) -> Rtsp {
        gst::init().expect("GStreamer");
        // Its own context: tests run side by side in one process.
        let context = gst::glib::MainContext::new();
        let server = RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&port.to_string());
        let factory = RTSPMediaFactory::new();
        factory.set_launch(launch);
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::TCP);
        server.mount_points().expect("mount points").add_factory("/cam", factory);
        server.attach(Some(&context)).expect("the RTSP server's port");
        let url = format!("rtsp://127.0.0.1:{}/cam", server.bound_port());
        let main_loop = gst::glib::MainLoop::new(Some(&context), false);
        let running = main_loop.clone();
        let thread = std::thread::spawn(move || {
            context.with_thread_default(|| running.run()).expect("the server's main loop");
            // Clients are cut off as by a camera that lost its power.
            server.client_filter(Some(&mut |_, _| gstreamer_rtsp_server::RTSPFilterResult::Remove));
        });
        Rtsp { url, main_loop, thread: Some(thread) }
    }

    pub fn port(&self) -> u16 {
        self.url.split([':', '/']).nth(4).and_then(|port| port.parse().ok()).expect("a port in the URL")
    }
}

impl Drop for Rtsp {
    fn drop(&mut self) {
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
