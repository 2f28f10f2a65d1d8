//! What a store does to a disk, each a call of its own, so that tests can cut the power between any two of them.
//!
//! Nothing is durable before it is synchronised: a file by [`Disk::sync_file`], its name, and every name that was
//! changed, by [`Disk::sync_directory`] on the directory.

use rustix::fs::{Advice, fadvise, statvfs};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

pub trait Disk: Send + Sync {
    /// Makes one directory. One that is there is fine.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Reads from the medium, not from what memory still holds of it.
    fn reread(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Creates a file that nobody writes again.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Replaces a file at `to`, and a directory if it is empty.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file, or a directory with all that is in it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Bytes that can be written yet.
    fn free(&self, path: &Path) -> io::Result<u64>;
    /// Takes a lock that lasts as long as its guard; `None` if another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;
}

/// Held until it is dropped.
pub struct Lock(pub Option<File>);

/// The disk of this computer.
pub struct RealDisk;

/// What root makes in a store belongs to whoever the store belongs to: the service must be able to change it.
fn hand_over(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let (own, owner) = (fs::metadata(path)?, fs::metadata(parent)?);
    if own.uid() != 0 || owner.uid() == 0 {
        return Ok(());
    }
    chown(path, Some(owner.uid()), Some(owner.gid()))
}

impl Disk for RealDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            // Readable for the service whatever the umask of whoever installs: models are no secret.
            Ok(()) => {
                fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
                hand_over(path)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn reread(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        // Best effort: not every file system can.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(0o444))?;
        hand_over(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        let stat = statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = match OpenOptions::new().create_new(true).write(true).open(path) {
            Ok(file) => {
                hand_over(path)?;
                file
            }
            // To hold it, it need not be one's own.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(path)?,
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(Some(file)))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
