//! A disk in memory that forgets, when the power goes, any part of what was not synchronised.
//!
//! What is durable: a file's bytes once [`Disk::sync_file`] was called on it, a name once
//! [`Disk::sync_directory`] was called on the directory it is in. A rename is durable or not as a whole, with the
//! directory it goes to. Everything else may or may not have reached the medium, in any combination.

use ajar::bundle::store::disk::{Disk, Lock};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Index of a file or directory.
type Node = usize;
const ROOT: Node = 0;

#[derive(Clone)]
enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<String, Node>),
}

/// A change that may be lost.
#[derive(Clone, PartialEq)]
enum Change {
    Bytes(Node),
    Link(Node, String, Node),
    Unlink(Node, String),
    Rename { from: (Node, String), to: (Node, String), node: Node },
}

#[derive(Clone, Default)]
struct Image {
    now: Vec<Content>,
    /// The same as far as it is durable.
    kept: Vec<Content>,
    pending: Vec<Change>,
}

/// What goes wrong.
#[derive(Clone, Default)]
pub struct Plan {
    /// The power goes before the call of this number, counted from 0.
    pub cut_at: Option<usize>,
    /// This call fails, once.
    pub fail_at: Option<(usize, ErrorKind)>,
    /// The synchronisation with this label is left out.
    pub without: Option<String>,
}

#[derive(Default)]
pub struct Memory {
    image: Mutex<Image>,
    plan: Mutex<Plan>,
    /// Every changing call, in order: what it did to which kind of file.
    calls: Mutex<Vec<String>>,
}

impl Memory {
    /// An empty disk.
    pub fn new() -> Memory {
        let root = Content::Directory(BTreeMap::new());
        let image = Image { now: vec![root.clone()], kept: vec![root], pending: Vec::new() };
        Memory { image: Mutex::new(image), ..Memory::default() }
    }

    /// The same disk, with everything on it durable.
    pub fn settled(&self) -> Memory {
        let mut image = self.image().clone();
        image.kept = image.now.clone();
        image.pending.clear();
        Memory { image: Mutex::new(image), ..Memory::default() }
    }

    pub fn with(&self, plan: Plan) -> Memory {
        Memory { image: Mutex::new(self.image().clone()), plan: Mutex::new(plan), calls: Mutex::default() }
    }

    /// The power is back, or the program runs again after it was killed: nothing is lost yet.
    pub fn revive(&self) {
        let mut plan = self.plan.lock().unwrap();
        *plan = Plan { without: plan.without.take(), ..Plan::default() };
        self.calls.lock().unwrap().clear();
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Every disk that a power cut now may leave, each once.
    pub fn after_a_cut(&self) -> Vec<Memory> {
        let image = self.image();
        let pending = image.lasting();
        let mut seen = BTreeSet::new();
        let mut disks = Vec::new();
        assert!(pending.len() <= 16, "{} changes at once are too many to try", pending.len());
        for mask in 0..1u32 << pending.len() {
            let mut nodes = image.kept.clone();
            nodes.extend(image.now.iter().skip(image.kept.len()).map(unsynchronised));
            for (i, change) in pending.iter().enumerate() {
                if mask >> i & 1 == 1 {
                    apply(&mut nodes, change, &image.now);
                }
            }
            if seen.insert(tree(&nodes, ROOT)) {
                let image = Image { now: nodes.clone(), kept: nodes, pending: Vec::new() };
                disks.push(Memory { image: Mutex::new(image), ..Memory::default() });
            }
        }
        disks
    }

    fn image(&self) -> MutexGuard<'_, Image> {
        self.image.lock().unwrap()
    }

    /// Counts a changing call, which the plan may end. `Some` of a synchronisation that is left out.
    fn call(&self, what: &str, path: &Path) -> io::Result<Option<()>> {
        let plan = self.plan.lock().unwrap().clone();
        let mut calls = self.calls.lock().unwrap();
        let number = calls.len();
        if plan.cut_at.is_some_and(|cut| number >= cut) {
            return Err(io::Error::other("the power is off"));
        }
        let label = format!("{what} {}", kind(path));
        calls.push(label.clone());
        match plan.fail_at {
            Some((fail, kind)) if fail == number => Err(kind.into()),
            _ => Ok((plan.without == Some(label)).then_some(())),
        }
    }
}

/// A path with its ids and hashes taken out: the place in the code that it comes from.
fn kind(path: &Path) -> String {
    let hex = |name: &str| name.len() >= 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<String> = names(path).map(|name| if hex(&name) { "HEX".into() } else { name }).collect();
    parts.join("/")
}

fn names(path: &Path) -> impl Iterator<Item = String> {
    let normal = |part: Component| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    };
    path.components().filter_map(normal).collect::<Vec<_>>().into_iter()
}

/// A directory with everything below it, for comparison.
fn tree(nodes: &[Content], node: Node) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut open = vec![(PathBuf::new(), node)];
    while let Some((path, node)) = open.pop() {
        match &nodes[node] {
            Content::File(bytes) => found.push((path, Some(bytes.clone()))),
            Content::Directory(entries) => {
                open.extend(entries.iter().map(|(name, node)| (path.join(name), *node)));
                found.push((path, None));
            }
        }
    }
    found.sort();
    found
}

/// What a new file or directory is like if nothing of it reached the medium but its name, and of a file its length.
fn unsynchronised(content: &Content) -> Content {
    match content {
        Content::File(bytes) => Content::File(bytes[..bytes.len() / 2].to_vec()),
        Content::Directory(_) => Content::Directory(BTreeMap::new()),
    }
}

fn apply(nodes: &mut [Content], change: &Change, now: &[Content]) {
    let entries = |nodes: &mut [Content], directory: Node, change: &dyn Fn(&mut BTreeMap<String, Node>)| {
        if let Content::Directory(entries) = &mut nodes[directory] {
            change(entries);
        }
    };
    match change {
        Change::Bytes(node) => nodes[*node] = now[*node].clone(),
        Change::Link(directory, name, node) => entries(nodes, *directory, &|entries| {
            entries.insert(name.clone(), *node);
        }),
        Change::Unlink(directory, name) => entries(nodes, *directory, &|entries| {
            entries.remove(name);
        }),
        Change::Rename { from, to, node } => {
            entries(nodes, from.0, &|entries| {
                if entries.get(&from.1) == Some(node) {
                    entries.remove(&from.1);
                }
            });
            entries(nodes, to.0, &|entries| {
                entries.insert(to.1.clone(), *node);
            });
        }
    }
}

impl Image {
    fn find(&self, path: &Path) -> io::Result<Node> {
        names(path).try_fold(ROOT, |node, name| match &self.now[node] {
            Content::Directory(entries) => entries.get(&name).copied().ok_or(ErrorKind::NotFound.into()),
            Content::File(_) => Err(ErrorKind::NotADirectory.into()),
        })
    }

    /// The directory that a path is in, and its name there.
    fn place(&self, path: &Path) -> io::Result<(Node, String)> {
        let name = names(path).last().ok_or(ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().ok_or(ErrorKind::InvalidInput)?)?, name))
    }

    /// The pending changes that can be told from outside the directory `staging`, which every start removes unseen.
    fn lasting(&self) -> Vec<Change> {
        let mut seen = BTreeSet::new();
        let mut open = vec![ROOT];
        while let Some(node) = open.pop() {
            if !seen.insert(node) {
                continue;
            }
            for nodes in [&self.now, &self.kept] {
                if let Some(Content::Directory(entries)) = nodes.get(node) {
                    open.extend(entries.iter().filter(|(name, _)| *name != "staging").map(|(_, node)| *node));
                }
            }
            open.extend(self.pending.iter().filter_map(|change| match change {
                Change::Link(directory, name, to) if *directory == node && name != "staging" => Some(*to),
                Change::Rename { to, node: moved, .. } if to.0 == node => Some(*moved),
                _ => None,
            }));
        }
        let lasts = |change: &&Change| match change {
            Change::Bytes(node) => seen.contains(node),
            Change::Link(directory, name, _) | Change::Unlink(directory, name) => {
                seen.contains(directory) && name != "staging"
            }
            Change::Rename { to, .. } => seen.contains(&to.0),
        };
        self.pending.iter().filter(lasts).cloned().collect()
    }

    fn change(&mut self, change: Change) {
        let now = self.now.clone();
        apply(&mut self.now, &change, &now);
        self.pending.push(change);
    }

    fn add(&mut self, path: &Path, content: Content) -> io::Result<()> {
        if self.find(path).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let (directory, name) = self.place(path)?;
        let node = self.now.len();
        let file = matches!(content, Content::File(_));
        self.now.push(content);
        self.change(Change::Link(directory, name, node));
        if file {
            self.pending.push(Change::Bytes(node));
        }
        Ok(())
    }

    /// Makes some of what is pending durable.
    fn keep(&mut self, durable: impl Fn(&Change) -> bool) {
        for node in self.kept.len()..self.now.len() {
            self.kept.push(unsynchronised(&self.now[node]));
        }
        let (kept, pending) = std::mem::take(&mut self.pending).into_iter().partition(durable);
        self.pending = pending;
        let kept: Vec<Change> = kept;
        for change in &kept {
            apply(&mut self.kept, change, &self.now);
        }
    }
}

impl Disk for Memory {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let there = self.image().find(path);
        if let Ok(node) = there {
            return match &self.image().now[node] {
                Content::Directory(_) => Ok(()),
                Content::File(_) => Err(ErrorKind::AlreadyExists.into()),
            };
        }
        self.call("make", path)?;
        self.image().add(path, Content::Directory(BTreeMap::new()))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let image = self.image();
        match &image.now[image.find(path)?] {
            Content::Directory(entries) => Ok(entries.keys().cloned().collect()),
            Content::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let image = self.image();
        match &image.now[image.find(path)?] {
            Content::File(bytes) => Ok(bytes.clone()),
            Content::Directory(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn reread(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read(path)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call("create", path)?;
        self.image().add(path, Content::File(bytes.to_vec()))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        if self.call("sync file", path)?.is_none() {
            let mut image = self.image();
            let node = image.find(path)?;
            image.keep(|change| *change == Change::Bytes(node));
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        if self.call("sync directory", path)?.is_none() {
            let mut image = self.image();
            let node = image.find(path)?;
            image.keep(|change| match change {
                Change::Link(directory, ..) | Change::Unlink(directory, _) => *directory == node,
                Change::Rename { to, .. } => to.0 == node,
                Change::Bytes(_) => false,
            });
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename to", to)?;
        let mut image = self.image();
        let node = image.find(from)?;
        let (from, to) = (image.place(from)?, image.place(to)?);
        image.change(Change::Rename { from, to, node });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.image().find(path)?;
        self.call("remove", path)?;
        let mut image = self.image();
        let (directory, name) = image.place(path)?;
        image.change(Change::Unlink(directory, name));
        Ok(())
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Lock>> {
        Ok(Some(Lock(None)))
    }
}
