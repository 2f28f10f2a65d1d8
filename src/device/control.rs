//! The control socket: HTTP over a Unix socket, so that `curl --unix-socket` works. No TCP port is ever open.
//!
//! Whoever may open the socket may install what a trusted key has signed. Only root may allow an older bundle.

mod pictures;

use super::gallery::Gallery;
use super::journal::Journal;
use super::keeper::{Order, Receipt, Reply};
use super::recent::Recent;
use super::sieve::Meter;
use super::snapshots::Snapshots;
use crate::bundle::format::MAX_FILE;
use crate::bundle::store::install::Allow;
use crate::bundle::{Code, Refusal};
use axum::body::Body;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use http_body_util::LengthLimitError;
use rustix::fs::{Gid, chown};
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, oneshot};

/// Its members may use the socket.
const GROUP: &str = "ajar";
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);
const HELP: &str = "ajard's control socket\n\n\
    GET  /v1/status                      device and watches\n\
    GET  /v1/models                      generations of each model in the store\n\
    GET  /v1/recent                      the newest attempts; ?model=, ?camera=\n\
    GET  /v1/recent/ID/picture           what an attempt looked at, a JPEG file\n\
    GET  /v1/metrics                     counters, for Prometheus\n\
    GET  /v1/cameras/CAMERA/snapshot     the newest frame, a JPEG file\n\
    GET  /v1/cameras/CAMERA/gallery      the frames that are kept\n\
    GET  /v1/cameras/CAMERA/gallery/ID   one of them, a JPEG file; DELETE removes it\n\
    POST /v1/install                     installs the bundle in the body; ?again=true, ?older=true\n\
    POST /v1/models/MODEL/rollback       back to the generation before\n\
    POST /v1/models/MODEL/confirm        ends the trial of a new generation\n";

/// What the socket tells of and acts on.
pub struct Access {
    pub device: String,
    pub orders: Sender<Order>,
    pub journal: Arc<Journal>,
    pub snapshots: Arc<Snapshots>,
    pub gallery: Arc<Gallery>,
    pub recent: Arc<Recent>,
    /// What each camera sends, by its name.
    pub meters: Vec<(String, Arc<Meter>)>,
}

struct Shared {
    access: Access,
    /// A bundle is read into memory: one at a time.
    installing: Semaphore,
}

pub struct Control {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    pub fn start(path: &FilePath, access: Access) -> io::Result<Control> {
        let listener = bind(path)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = UnixListener::from_std(listener) else { return };
                let app = router(access).into_make_service_with_connect_info::<Peer>();
                tokio::select! {
                    result = axum::serve(listener, app) => log::error!("control: {result:?}"),
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("control".into()).spawn(serve)?;
        Ok(Control { path: path.into(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            super::threads::join_within(thread, STOP_LIMIT);
        }
    }
}

fn bind(path: &FilePath) -> io::Result<std::os::unix::net::UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another ajard listens there"));
    }
    // Left by a service that was killed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    // Under systemd the socket is the group's already, and the service may not change owners. Without the group, only
    // root and ajard itself get in.
    if let Some(group) = group_id(GROUP) {
        let _ = chown(path, None, Some(Gid::from_raw(group)));
    }
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// Who is at the other end.
#[derive(Clone, Copy)]
struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        Peer { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
}

impl Peer {
    /// Root, or whoever runs this ajard.
    fn is_administrator(self) -> bool {
        let own = fs::metadata("/proc/self").map(|meta| meta.uid()).ok();
        self.uid.is_some_and(|uid| uid == 0 || Some(uid) == own)
    }
}

fn router(access: Access) -> Router {
    Router::new()
        .route("/", get(async || HELP))
        .route("/v1/status", get(status))
        .route("/v1/models", get(models))
        .route("/v1/recent", get(pictures::recent))
        .route("/v1/recent/{id}/picture", get(pictures::attempt))
        .route("/v1/metrics", get(metrics))
        .route("/v1/cameras/{camera}/snapshot", get(pictures::snapshot))
        .route("/v1/cameras/{camera}/gallery", get(pictures::gallery))
        .route("/v1/cameras/{camera}/gallery/{id}", get(pictures::frame).delete(pictures::delete))
        .route("/v1/install", post(install))
        .route("/v1/models/{model}/rollback", post(roll_back))
        .route("/v1/models/{model}/confirm", post(confirm))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "no such path; GET / lists them"))
        .with_state(Arc::new(Shared { access, installing: Semaphore::new(1) }))
}

type Context = State<Arc<Shared>>;

async fn status(State(shared): Context) -> Json<serde_json::Value> {
    let Access { device, journal, meters, .. } = &shared.access;
    Json(json!({
        "device": device,
        "cameras": meters.iter().map(|(camera, _)| camera).collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": journal.uptime_seconds(),
        "watches": journal.watches(),
    }))
}

async fn models(State(shared): Context) -> Result<Json<serde_json::Value>, Failure> {
    let state = ask(&shared, |reply| Order::Generations { reply }).await?;
    Ok(Json(json!({ "models": state.models })))
}

async fn metrics(State(shared): Context) -> impl IntoResponse {
    let Access { journal, meters, gallery, recent, .. } = &shared.access;
    let mut text = journal.metrics() + &gallery.metrics() + &recent.metrics();
    for (name, help, count) in [
        (
            "ajar_pictures_decoded_total",
            "Pictures of the stream that were decoded.",
            Meter::decoded as fn(&_) -> _,
        ),
        ("ajar_pictures_skipped_total", "Pictures of the stream that need not be decoded.", Meter::skipped),
        ("ajar_pictures_damaged_total", "Pictures that a lost part of the stream spoiled.", Meter::damaged),
        ("ajar_pictures_late_total", "Pictures that found the decoder busy.", Meter::late),
    ] {
        text += &format!("# HELP {name} {help}\n# TYPE {name} counter\n");
        for (camera, meter) in meters {
            text += &format!("{name}{{camera=\"{camera}\"}} {}\n", count(meter));
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permissive {
    #[serde(default)]
    older: bool,
    #[serde(default)]
    again: bool,
}

async fn install(
    State(shared): Context,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Permissive>, QueryRejection>,
    body: Body,
) -> Result<Json<Receipt>, Failure> {
    let Query(Permissive { older, again }) =
        query.map_err(|error| Failure::new(error.status(), error.body_text()))?;
    if older && !peer.is_administrator() {
        return Err(Failure::new(StatusCode::FORBIDDEN, "only root may install an older bundle"));
    }
    let _permit = shared.installing.try_acquire().map_err(|_| {
        Failure::from(Refusal::new(Code::E70, "another installation is under way; try again in a minute"))
    })?;
    // Only now, so that no more than one is in memory.
    let bundle = axum::body::to_bytes(body, MAX_FILE).await.map_err(|error| {
        match error.into_inner().downcast::<LengthLimitError>() {
            Ok(_) => Refusal::new(Code::E12, format!("a bundle has at most {MAX_FILE} bytes")),
            Err(error) => Refusal::new(Code::E11, format!("the bundle did not arrive whole: {error}")),
        }
    })?;
    let allow = Allow { older, rejected: again };
    let order = |reply| Order::Install { bundle: bundle.into(), allow, reply };
    Ok(Json(ask(&shared, order).await?))
}

async fn roll_back(
    State(shared): Context,
    Path(model): Path<String>,
) -> Result<Json<serde_json::Value>, Failure> {
    let id = ask(&shared, |reply| Order::GoBack { model, reply }).await?;
    Ok(Json(json!({ "id": id })))
}

async fn confirm(
    State(shared): Context,
    Path(model): Path<String>,
) -> Result<Json<serde_json::Value>, Failure> {
    let id = ask(&shared, |reply| Order::Confirm { model, id: None, reply }).await?;
    Ok(Json(json!({ "id": id })))
}

/// Gives the keeper an order and waits for its answer.
async fn ask<T: Send + 'static>(
    shared: &Shared,
    order: impl FnOnce(Reply<T>) -> Order,
) -> Result<T, Failure> {
    let (answer, answered) = oneshot::channel();
    let reply = Box::new(move |result| drop(answer.send(result)));
    let stopping = || Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ajard is stopping");
    shared.access.orders.send(order(reply)).map_err(|_| stopping())?;
    Ok(answered.await.map_err(|_| stopping())??)
}

/// An answer that is none.
struct Failure {
    status: StatusCode,
    code: Option<Code>,
    why: String,
}

impl Failure {
    fn new(status: StatusCode, why: impl Into<String>) -> Failure {
        Failure { status, code: None, why: why.into() }
    }
}

impl From<Refusal> for Failure {
    fn from(Refusal { code, why }: Refusal) -> Failure {
        let status = match code {
            Code::E70 => StatusCode::CONFLICT,
            Code::E40 => StatusCode::INSUFFICIENT_STORAGE,
            Code::E41 => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Failure { status, code: Some(code), why }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "code": self.code, "why": self.why }))).into_response()
    }
}
