//! A real RTSP server on loopback.

#![allow(dead_code)]

use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPAuth, RTSPMediaFactory, RTSPServer, RTSPToken, gst, gst_rtsp};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub struct Rtsp {
    pub url: String,
    main_loop: gst::glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    settings: Arc<Mutex<Settings>>,
}

/// What the pipeline is told while it runs, and each that is built later for another client.
#[derive(Default)]
struct Settings {
    running: Option<gst::Element>,
    /// Element, property, value.
    properties: Vec<(String, String, String)>,
    /// Ticks that are added to the time stamps of its packets.
    shift: u32,
}

impl Settings {
    fn apply(&self) {
        let bin = self.running.as_ref().and_then(|media| media.downcast_ref::<gst::Bin>());
        for (element, property, value) in &self.properties {
            if let Some(element) = bin.and_then(|bin| bin.by_name(element)) {
                element.set_property_from_str(property, value);
            }
        }
    }
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
        Rtsp::start(port, launch, None)
    }

    /// Serves the pipeline to whoever knows the password.
    pub fn serve_guarded(launch: &str, user: &str, password: &str) -> Rtsp {
        Rtsp::start(0, launch, Some((user, password)))
    }

    fn start(port: u16, launch: &str, login: Option<(&str, &str)>) -> Rtsp {
        gst::init().expect("GStreamer");
        // Its own context: tests run side by side in one process.
        let context = gst::glib::MainContext::new();
        let server = RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&port.to_string());
        let factory = RTSPMediaFactory::new();
        factory.set_launch(launch);
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::TCP | gst_rtsp::RTSPLowerTrans::UDP);
        // One encoder for all who look, as in a camera; a file from its start for each.
        factory.set_shared(launch.contains("is-live=true"));
        if let Some((user, password)) = login {
            guard(&server, &factory, user, password);
        }
        let settings = Arc::new(Mutex::new(Settings::default()));
        let current = settings.clone();
        factory.connect_media_configure(move |_, media| {
            let element = media.element();
            shift_time_stamps(&element, current.clone());
            let mut settings = current.lock().expect("no panic");
            settings.running = Some(element);
            settings.apply();
        });
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
        // A loop that is told to end before it began does not hear it.
        while !main_loop.is_running() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Rtsp { url, main_loop, thread: Some(thread), settings }
    }

    /// Sets a property of an element of the pipeline, for those who look now and who will.
    pub fn set(&self, element: &str, property: &str, value: &str) {
        let mut settings = self.settings.lock().expect("no panic");
        settings.properties.retain(|(e, p, _)| (e.as_str(), p.as_str()) != (element, property));
        settings.properties.push((element.into(), property.into(), value.into()));
        settings.apply();
    }

    /// Adds so many ticks of 1/90000 s to the time stamps of all packets from now on.
    pub fn shift(&self, ticks: u32) {
        self.settings.lock().expect("no panic").shift = ticks;
    }

    pub fn port(&self) -> u16 {
        self.url.split([':', '/']).nth(4).and_then(|port| port.parse().ok()).expect("a port in the URL")
    }
}

fn shift_time_stamps(media: &gst::Element, settings: Arc<Mutex<Settings>>) {
    let payloader = media.downcast_ref::<gst::Bin>().and_then(|bin| bin.by_name("pay0"));
    let pad = payloader.and_then(|payloader| payloader.static_pad("src")).expect("pay0");
    let move_on = move |buffer: &mut gst::BufferRef| {
        let shift = settings.lock().expect("no panic").shift;
        let mut packet = buffer.map_writable().expect("a packet");
        let stamp: &mut [u8; 4] = (&mut packet[4..8]).try_into().expect("four bytes");
        *stamp = u32::from_be_bytes(*stamp).wrapping_add(shift).to_be_bytes();
    };
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(mask, move |_, info| {
        match &mut info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => move_on(buffer.make_mut()),
            Some(gst::PadProbeData::BufferList(list)) => list.make_mut().foreach_mut(|mut buffer, _| {
                move_on(buffer.make_mut());
                std::ops::ControlFlow::Continue(Some(buffer))
            }),
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

fn guard(server: &RTSPServer, factory: &RTSPMediaFactory, user: &str, password: &str) {
    let auth = RTSPAuth::new();
    auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
    let role = gst::Structure::builder("viewer")
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    factory.add_role_from_structure(&role);
    let token = RTSPToken::builder().field("media.factory.role", "viewer").build();
    auth.add_digest(user, password, &token);
    server.set_auth(Some(&auth));
}

impl Drop for Rtsp {
    fn drop(&mut self) {
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
