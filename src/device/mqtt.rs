//! MQTT: a fixed table of retained topics that is published whole on every connection.
//!
//! rumqttc neither waits between attempts to connect nor keeps messages over a broker's restart,
//! so both are done here: any error drops the client, the thread backs off, and the table makes
//! up for whatever was lost.

use super::backoff::Backoff;
use super::notify::Heartbeat;
use super::threads::join_within;
use embassy_time::Duration;
use rumqttc::{
    Client, ConnectReturnCode, Connection, Event, LastWill, MqttOptions, Outgoing, Packet, QoS,
    RecvTimeoutError,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(15);
const CONNECT_LIMIT_SECONDS: u64 = 5;
/// The whole table is published again this often: a broker may have lost its retained messages.
const REPUBLISH: std::time::Duration = std::time::Duration::from_secs(60);
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LONGEST: Duration = Duration::from_secs(60);
/// A connection that lasted this long starts over with the shortest back-off. Sooner, two devices with
/// one client id would throw each other out without pause.
const GOOD_TIME: std::time::Duration = std::time::Duration::from_secs(60);
/// Time a clean stop may take to say `offline`.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
const SLICE: std::time::Duration = std::time::Duration::from_millis(200);

/// Where the broker is and who we are.
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub login: Option<(String, String)>,
}

/// A topic: its row in the table given to [`Mqtt::start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic(pub usize);

pub struct Mqtt {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    availability: String,
    connected: Mutex<Connected>,
    stop: AtomicBool,
}

/// The table, and the client while there is a connection.
struct Connected {
    rows: Vec<(String, String)>,
    client: Option<Client>,
}

impl Mqtt {
    /// `rows`: every topic but `availability` with its first payload.
    pub fn start(
        broker: Broker,
        availability: String,
        rows: Vec<(String, String)>,
        heartbeat: Heartbeat,
    ) -> std::io::Result<Mqtt> {
        let connected = Mutex::new(Connected { rows, client: None });
        let shared = Arc::new(Shared { availability, connected, stop: AtomicBool::new(false) });
        let for_thread = shared.clone();
        let serve = move || for_thread.serve(&broker, &heartbeat);
        let thread = std::thread::Builder::new().name("mqtt".into()).spawn(serve)?;
        Ok(Mqtt { shared, thread: Some(thread) })
    }

    /// Changes a topic's payload; publishes it now if connected, else when next connected.
    pub fn set(&self, Topic(row): Topic, payload: String) {
        let mut connected = self.shared.lock();
        connected.rows[row].1 = payload;
        let (topic, payload) = &connected.rows[row];
        if let Some(client) = &connected.client {
            publish(client, topic, payload);
        }
    }
}

impl Drop for Mqtt {
    /// Says `offline` in an orderly way, if that is possible in time.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(client) = self.shared.lock().client.take() {
            publish(&client, &self.shared.availability, "offline");
            let _ = client.try_disconnect();
        }
        if let Some(thread) = self.thread.take() {
            join_within(thread, STOP_LIMIT);
        }
    }
}

impl Shared {
    fn serve(&self, broker: &Broker, heartbeat: &Heartbeat) {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_LONGEST);
        while !self.stopped() {
            let why = self.session(broker, heartbeat, &mut backoff);
            self.lock().client = None;
            if self.stopped() {
                return;
            }
            let wait = backoff.step();
            log::warn!("mqtt: {why}; again in {:.1} s", wait.as_millis() as f32 / 1e3);
            let until = Instant::now() + std::time::Duration::from_micros(wait.as_micros());
            while Instant::now() < until && !self.stopped() {
                heartbeat.beat();
                std::thread::sleep(SLICE);
            }
        }
    }

    /// One connection from its start to its end, and why it ended.
    fn session(&self, broker: &Broker, heartbeat: &Heartbeat, backoff: &mut Backoff) -> String {
        // Room for the whole table twice: what does not fit waits for the next republication.
        let capacity = 2 * self.lock().rows.len() + 8;
        let (client, mut connection) = Client::new(self.options(broker), capacity);
        connection.eventloop.network_options.set_connection_timeout(CONNECT_LIMIT_SECONDS);
        let why = self.converse(broker, &client, &mut connection, heartbeat, backoff);
        // Dropping it waits for a name lookup that hangs, which can take longer than the watchdog
        // waits.
        let end = std::thread::Builder::new().name("mqtt-end".into());
        let _ = end.spawn(move || drop(connection));
        why
    }

    fn converse(
        &self,
        broker: &Broker,
        client: &Client,
        connection: &mut Connection,
        heartbeat: &Heartbeat,
        backoff: &mut Backoff,
    ) -> String {
        let (mut connected, mut republished) = (None::<Instant>, None::<Instant>);
        loop {
            heartbeat.beat();
            if connected.is_some_and(|at| at.elapsed() > GOOD_TIME) {
                backoff.reset();
            }
            // Until it is connected, waiting must not be cut short: that would start anew.
            let seconds = if connected.is_some() { 1 } else { 2 * CONNECT_LIMIT_SECONDS };
            match connection.recv_timeout(std::time::Duration::from_secs(seconds)) {
                Ok(Ok(Event::Incoming(Packet::ConnAck(ack)))) if ack.code == ConnectReturnCode::Success => {
                    log::info!("mqtt: connected to {}:{}", broker.host, broker.port);
                    connected = Some(Instant::now());
                    republished = Some(self.publish_all(client));
                }
                Ok(Ok(Event::Outgoing(Outgoing::Disconnect))) => return "stopped".into(),
                Ok(Ok(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Err(error)) => return format!("{}:{}: {error}", broker.host, broker.port),
                Err(RecvTimeoutError::Disconnected) => return "closed".into(),
            }
            if connected.is_none() && self.stopped() {
                return "stopped".into();
            }
            if republished.is_some_and(|at| at.elapsed() >= REPUBLISH) {
                republished = Some(self.publish_all(client));
            }
        }
    }

    fn options(&self, broker: &Broker) -> MqttOptions {
        let mut options = MqttOptions::new(&broker.client_id, &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(true);
        options.set_last_will(LastWill::new(&self.availability, "offline", QoS::AtLeastOnce, true));
        if let Some((user, password)) = &broker.login {
            options.set_credentials(user, password);
        }
        options
    }

    /// From here on, changes are published at once. The states first, so that nobody who sees `online` reads old ones.
    fn publish_all(&self, client: &Client) -> Instant {
        let mut connected = self.lock();
        for (topic, payload) in &connected.rows {
            publish(client, topic, payload);
        }
        publish(client, &self.availability, "online");
        connected.client = Some(client.clone());
        Instant::now()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Connected> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn publish(client: &Client, topic: &str, payload: &str) {
    if let Err(error) = client.try_publish(topic, QoS::AtLeastOnce, true, payload) {
        log::warn!("mqtt: {topic} waits for the next connection: {error}");
    }
}
