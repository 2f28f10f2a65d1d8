//! A real Mosquitto on loopback, and a client that records what it is told.

#![allow(dead_code)]

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

pub struct Mosquitto {
    pub port: u16,
    config: PathBuf,
    child: Child,
}

impl Mosquitto {
    /// Starts a broker on a free port; its files go to `directory`.
    pub fn start(directory: &std::path::Path) -> Mosquitto {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        Mosquitto::start_on(free.expect("a free port").port(), directory)
    }

    pub fn start_on(port: u16, directory: &std::path::Path) -> Mosquitto {
        let config = directory.join("mosquitto.conf");
        std::fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\n"))
            .expect("its file");
        let child = spawn(&config);
        let mut broker = Mosquitto { port, config, child };
        broker.wait();
        broker
    }

    /// Kills it the hard way and starts another on the same port: all retained messages are lost.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.config);
        self.wait();
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "Mosquitto does not listen; see scripts/install-deps");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(config: &std::path::Path) -> Child {
    // Debian keeps it out of the path of ordinary users.
    let program = ["/usr/sbin/mosquitto", "mosquitto"];
    let program = program.iter().find(|p| !p.starts_with('/') || std::path::Path::new(p).exists());
    let mut command = Command::new(program.expect("the list is not empty"));
    command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("mosquitto; scripts/install-deps installs it")
}

/// One message: when it came, whether it was a retained one, topic and payload.
#[derive(Clone, Debug)]
pub struct Message {
    pub time: SystemTime,
    pub retained: bool,
    pub topic: String,
    pub payload: String,
}

/// Listens to everything, for as long as it lives.
pub struct Listener {
    messages: Arc<Mutex<Vec<Message>>>,
    client: Client,
}

impl Listener {
    pub fn connect(port: u16) -> Listener {
        let mut options = MqttOptions::new(format!("listener-{:?}", Instant::now()), "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = Client::new(options, 10);
        client.subscribe("#", QoS::AtLeastOnce).expect("a subscription");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let record = messages.clone();
        std::thread::spawn(move || {
            for event in connection.iter() {
                let Ok(event) = event else { return };
                if let Event::Incoming(Packet::Publish(publish)) = event {
                    record.lock().expect("no panic").push(Message {
                        time: SystemTime::now(),
                        retained: publish.retain,
                        topic: publish.topic,
                        payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                    });
                }
            }
        });
        Listener { messages, client }
    }

    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().expect("no panic").clone()
    }

    /// Payloads of one topic in order.
    pub fn payloads(&self, topic: &str) -> Vec<String> {
        self.messages().into_iter().filter(|m| m.topic == topic).map(|m| m.payload).collect()
    }

    /// Waits until `done` says so of a topic's payloads.
    pub fn wait_for(&self, topic: &str, limit: Duration, done: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + limit;
        loop {
            let payloads = self.payloads(topic);
            if done(&payloads) {
                return payloads;
            }
            assert!(
                Instant::now() < deadline,
                "{topic}: waited {limit:?}, got {payloads:?} of {:?}",
                self.messages()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.client.disconnect();
    }
}
