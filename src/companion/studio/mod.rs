//! The studio: the wizard and the improve loop, on a page of this computer's browser.
//!
//! ```text
//! door        who may come in
//! server      paths -> pages and calls
//! pages       what is shown, as HTML; assets has the style and the modules that make it move
//! calls       what a page asks for: JSON
//! sources     devices, videos and folders that pictures come from
//! link        one device, asked again and again
//! collect     the most different of their pictures become a model's examples
//! improve     what a device saw lately, and which of it is worth a label
//! jobs        work that takes longer than a page may wait
//! failure     what is wrong, and what to do
//! ```
//!
//! Everything it does is done by the functions that the command line has: the workspace, training, signing, the
//! device's control socket. Nothing of a page is needed for a model.

mod assets;
mod calls;
mod collect;
mod door;
mod failure;
mod improve;
mod jobs;
mod link;
mod pages;
mod server;
mod sources;

use super::BACKBONE;
use super::cache::{Cache, prune};
use super::dataset::pictures_below;
use super::light::Tones;
use super::workspace::Workspace;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use calls::import::Import;
use calls::stills::Shown;
use door::Door;
use jobs::Jobs;
pub use sources::Place;
use sources::Source;
use std::collections::{BTreeMap, HashMap};
use std::io::{Write, stdout};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of the pictures in the workspace's cache when the studio starts: whole frames of every device are among them.
const MAX_CACHE: u64 = 2 << 30;

/// Whether a browser is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    Open,
    Leave,
}

pub struct Options {
    pub workspace: PathBuf,
    pub places: Vec<Place>,
    pub listen: SocketAddr,
    /// Needed where the address is not this computer's own.
    pub password: Option<String>,
    /// The key that signs bundles, or the directory it is in; made there if the user wants it.
    pub key: PathBuf,
    pub browser: Browser,
}

/// What all requests share.
pub struct Studio {
    workspace: Workspace,
    sources: Vec<Source>,
    key: PathBuf,
    cache: Cache,
    jobs: Jobs,
    stills: Mutex<BTreeMap<String, Shown>>,
    /// By the file of a crop.
    tones: Mutex<HashMap<PathBuf, Tones>>,
    /// Files of Frigate's that are on their way.
    import: Mutex<Option<Import>>,
}

/// What a thread that crashed has left is whole: nothing is changed in steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until the program is ended.
pub fn run(options: Options) -> Result<()> {
    let Options { workspace, places, listen, password, key, browser } = options;
    if !listen.ip().is_loopback() && password.is_none() {
        let why = "--listen on an address that others can reach needs a password: set AJAR_STUDIO_PASSWORD, or \
                   AJAR_STUDIO_PASSWORD_FILE";
        return Err(UsageError(why.into()).into());
    }
    let studio = Studio {
        workspace: Workspace::open(&workspace)?,
        sources: Source::all(places)?,
        key,
        cache: Cache::open(&crate::bundle::sha256_hex(BACKBONE)),
        jobs: Jobs::default(),
        stills: Mutex::default(),
        tones: Mutex::default(),
        import: Mutex::default(),
    };
    tidy_cache(&studio.workspace)?;
    let listener = TcpListener::bind(listen).with_context(|| format!("{listen}: cannot be listened on"))?;
    let address = listener.local_addr()?;
    let door = Door::new(address, password)?;
    let seen_as = seen_by_others(address);
    let url = match door.token() {
        Some(token) => format!("http://{seen_as}/?token={token}"),
        None => format!("http://{seen_as}/"),
    };
    let mut out = stdout().lock();
    writeln!(out, "workspace {}", studio.workspace.root().display())?;
    if !address.ip().is_loopback() {
        writeln!(
            out,
            "warning: everyone who can reach {seen_as} and knows the password sees your pictures; nothing is \
             encrypted on the way"
        )?;
    }
    writeln!(out, "studio {url}\nCtrl-C ends it; everything is kept.")?;
    out.flush()?;
    drop(out);
    if browser == Browser::Open {
        open_browser(&url);
    }
    server::serve(listener, studio, door)
}

/// Where all addresses are listened on: the one that this computer has in its network, which a phone can use.
fn seen_by_others(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    // Nothing is sent: the system only chooses the way that it would go.
    let way = |own: &str, far: &str| {
        let socket = UdpSocket::bind(own).ok()?;
        socket.connect(far).ok()?;
        Some(SocketAddr::new(socket.local_addr().ok()?.ip(), address.port()))
    };
    let found = way("0.0.0.0:0", "192.0.2.1:9").or_else(|| way("[::]:0", "[2001:db8::1]:9"));
    found.unwrap_or_else(|| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()))
}

fn tidy_cache(workspace: &Workspace) -> Result<()> {
    calls::import::remove_leftovers(&workspace.cache());
    let mut pictures = Vec::new();
    for model in workspace.models()? {
        // One that nothing was cut for yet has no folder.
        pictures.extend(pictures_below(&workspace.model(&model)?.cache()).unwrap_or_default());
    }
    prune(pictures.into_iter(), MAX_CACHE);
    Ok(())
}

/// Best effort: the URL is printed as well.
fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = || Stdio::null();
    let _ = Command::new(program).arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}
