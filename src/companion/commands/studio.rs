//! `ajar studio`: the page, and where its pictures come from.

use crate::companion::remote::Address;
use crate::companion::studio::{self, Browser, Options, Place};
use crate::companion::workspace::Workspace;
use crate::exit::UsageError;
use anyhow::Result;
use clap::Args;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

const PASSWORD_VARIABLE: &str = "AJAR_STUDIO_PASSWORD";
const PASSWORD_FILE_VARIABLE: &str = "AJAR_STUDIO_PASSWORD_FILE";
/// A free port of this computer's own.
const OWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[derive(Args)]
pub struct StudioArgs {
    /// A device: ssh://[user@]host[:port][/SOCKET], or the path of a control socket; may be given several times
    #[arg(long, value_name = "DEVICE", env = "AJAR_DEVICE")]
    device: Vec<Address>,
    /// A folder of pictures of one fixed camera; may be given several times
    #[arg(long, value_name = "DIR")]
    pictures: Vec<PathBuf>,
    /// A video file of one fixed camera; may be given several times
    #[arg(long, value_name = "FILE")]
    video: Vec<PathBuf>,
    /// The folder with models, pictures and labels [default: ~/ajar]
    #[arg(long, value_name = "DIR", env = "AJAR_WORKSPACE", value_parser = super::maybe_empty())]
    workspace: Option<PathBuf>,
    /// Secret key that signs bundles: ajar.key, or the directory it is in [default: ~/ajar-key]
    #[arg(long, env = "AJAR_KEY")]
    key: Option<PathBuf>,
    /// Serve on another address than this computer's own. The password that this demands is taken from
    /// AJAR_STUDIO_PASSWORD, or from the file that AJAR_STUDIO_PASSWORD_FILE names, or it is typed
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address, default_value_t = OWN)]
    listen: SocketAddr,
    /// Print the address only
    #[arg(long)]
    no_browser: bool,
}

pub fn run(args: StudioArgs) -> Result<()> {
    let devices = args.device.into_iter().map(Place::Device);
    let pictures = args.pictures.into_iter().map(Place::Pictures);
    let videos = args.video.into_iter().map(Place::Video);
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let key = args.key.or_else(|| Some(home()?.join("ajar-key")));
    studio::run(Options {
        workspace: Workspace::place(args.workspace.as_deref())?,
        places: devices.chain(pictures).chain(videos).collect(),
        listen: args.listen,
        password: password(args.listen.ip())?,
        key: key.ok_or_else(|| UsageError("no home directory; give --key".into()))?,
        browser: if args.no_browser { Browser::Leave } else { Browser::Open },
    })
}

/// An address, or a name that has one.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found: Vec<SocketAddr> = text.to_socket_addrs().into_iter().flatten().collect();
    // What a name means to a browser first, if it is this computer's.
    found.sort_by_key(SocketAddr::is_ipv6);
    found
        .first()
        .copied()
        .ok_or_else(|| "want ADDRESS:PORT, such as 192.168.1.5:7703 or localhost:7703".into())
}

/// From the environment, else typed where the studio can be reached by others.
fn password(address: IpAddr) -> Result<Option<String>> {
    if address.is_loopback() {
        return Ok(None);
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(password) = set(PASSWORD_VARIABLE) {
        return Ok(Some(password.to_string_lossy().into_owned()));
    }
    if let Some(path) = set(PASSWORD_FILE_VARIABLE).map(PathBuf::from) {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| UsageError(format!("{PASSWORD_FILE_VARIABLE}: {}: {error}", path.display())))?;
        return Ok(Some(text.trim_end_matches(['\r', '\n']).to_string()).filter(|text| !text.is_empty()));
    }
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    Ok(Some(rpassword::prompt_password("Password of the studio: ")?).filter(|password| !password.is_empty()))
}
