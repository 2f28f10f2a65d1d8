//! `ajar key`: make, list, trust and revoke signing keys.

use super::Trust;
use crate::companion::keys::{self, Protection};
use anyhow::Result;
use clap::Subcommand;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Make a new key pair; this computer trusts it from then on
    New {
        /// Directory for ajar.key (secret) and ajar.pub (for the devices)
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Leave the secret key unencrypted, for automation
        #[arg(long)]
        no_password: bool,
    },
    /// List the keys that are trusted, and those that are revoked
    List(Trust),
    /// Trust a public key
    Trust {
        /// The other's ajar.pub
        file: PathBuf,
        #[command(flatten)]
        trust: Trust,
    },
    /// Never again accept what a key has signed, whether it is trusted or not
    Revoke {
        /// The key's id, 16 hex digits, as `ajar key list` prints it
        id: String,
        #[command(flatten)]
        trust: Trust,
    },
}

pub fn run(command: &KeyCommand) -> Result<()> {
    match command {
        KeyCommand::New { out, no_password } => new(out, *no_password),
        KeyCommand::List(trust) => list(trust),
        KeyCommand::Trust { file, trust } => {
            let (id, path) = keys::trust_file(file, trust.trusted_keys.as_deref())?;
            writeln!(stdout(), "key {id} is trusted: {}", path.display())?;
            Ok(())
        }
        KeyCommand::Revoke { id, trust } => {
            let path = keys::revoke(id, trust.trusted_keys.as_deref())?;
            writeln!(stdout(), "key {} is revoked: {}", id.to_uppercase(), path.display())?;
            writeln!(stdout(), "each device needs this file in /etc/ajar/trusted-keys.d too")?;
            Ok(())
        }
    }
}

fn new(out: &std::path::Path, no_password: bool) -> Result<()> {
    let protection = if no_password { Protection::None } else { Protection::Password };
    let key = keys::generate(out, protection)?;
    writeln!(stdout(), "key {}", key.id)?;
    writeln!(
        stdout(),
        "secret: {} (keep a copy in a safe place; without it no device takes your next model)",
        key.secret.display()
    )?;
    writeln!(stdout(), "public: {} (goes to /etc/ajar/trusted-keys.d on each device)", key.public.display())?;
    if let Some(trusted) = key.trusted {
        writeln!(stdout(), "trusted on this computer: {}", trusted.display())?;
    }
    Ok(())
}

fn list(trust: &Trust) -> Result<()> {
    let keys = keys::trusted(trust.trusted_keys.as_deref())?;
    let mut out = stdout().lock();
    if keys.is_empty() {
        writeln!(out, "no key is trusted; `ajar key new` makes one, `ajar key trust` takes another's")?;
    }
    for key in keys {
        let standing = if key.revoked { "revoked" } else { "trusted" };
        writeln!(out, "{}  {standing}  {}", key.id, key.name)?;
    }
    Ok(())
}
