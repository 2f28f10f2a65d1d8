//! The plan: a backbone lowered to what [`super::executor`] runs, as one block of bytes ([`super::layout`]).

use super::Tap;
use super::check::Check;
use super::layout::{Header, MAGIC, MAX_ARENA, Record, Step, checksum};
pub use super::layout::{PlanError, TapPlace, Tensor, VERSION};
use bytemuck::Pod;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

/// SHA-256 of the ONNX file that a plan says it was made from; nothing else of it is read.
pub fn source_of(plan: &[u8]) -> Option<&[u8; 32]> {
    let header: &Header = bytemuck::try_from_bytes(plan.get(..size_of::<Header>())?).ok()?;
    Some(&header.source)
}

enum Bytes {
    Mapped(memmap2::Mmap),
    Static(&'static [u8]),
}

/// A plan whose every offset has been checked.
pub struct Plan {
    bytes: Bytes,
    pub(super) steps: Vec<Step>,
    taps: [TapPlace; 2],
    arena: usize,
    source: [u8; 32],
}

impl Plan {
    /// Maps a plan's file. `source`: SHA-256 of the ONNX file it must have been made from.
    pub fn open(path: &Path, source: &[u8; 32]) -> Result<Plan, PlanError> {
        let mut file = File::open(path)?;
        // A worn card answers a read with an error, but a mapping with a signal: all of it is read once before.
        io::copy(&mut file, &mut io::sink())?;
        // SAFETY: the bytes change under us only if somebody writes into the file. Ajar never does: a plan is
        // written under another name and renamed. Whoever may write there can also replace the program. A page
        // that was dropped from memory and can no longer be read back kills the process, as one of its code does.
        let plan = Plan::parse(Bytes::Mapped(unsafe { memmap2::Mmap::map(&file)? }))?;
        if plan.source != *source {
            return Err(PlanError::Source);
        }
        Ok(plan)
    }

    /// A plan in memory of its own, for where no file can be written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
        if bytes.is_empty() {
            return Err(PlanError::NotAPlan);
        }
        let mut map = memmap2::MmapMut::map_anon(bytes.len())?;
        map.copy_from_slice(bytes);
        Plan::parse(Bytes::Mapped(map.make_read_only()?))
    }

    /// A plan that is part of the program. It must begin at a multiple of 64. Its checksum is not read, as
    /// that of the program's code is not either: what a run does not need stays out of memory.
    pub fn from_static(bytes: &'static [u8]) -> Result<Plan, PlanError> {
        Plan::parse(Bytes::Static(bytes))
    }

    fn parse(bytes: Bytes) -> Result<Plan, PlanError> {
        let all = bytes.all();
        let header = all.get(..size_of::<Header>()).ok_or(PlanError::NotAPlan)?;
        let header: &Header = bytemuck::try_from_bytes(header).map_err(|_| PlanError::NotAPlan)?;
        if header.magic != MAGIC {
            return Err(PlanError::NotAPlan);
        }
        if header.version != VERSION {
            return Err(PlanError::Version(header.version));
        }
        if header.length as usize != all.len() {
            return Err(PlanError::Damaged("its length is not the one it names"));
        }
        if matches!(bytes, Bytes::Mapped(_)) && header.checksum != checksum(all) {
            return Err(PlanError::Damaged("the checksum does not fit"));
        }
        let header = *header;
        let arena = header.arena as usize;
        if arena > MAX_ARENA {
            return Err(PlanError::Damaged("its arena is too large"));
        }
        let records = all.get(size_of::<Header>()..).unwrap_or_default();
        let records = records.get(..header.steps as usize * size_of::<Record>());
        let records: &[Record] = records
            .and_then(|records| bytemuck::try_cast_slice(records).ok())
            .ok_or(PlanError::Damaged("its steps are cut off"))?;
        let check = Check { file: all.len(), arena };
        let steps: Vec<Step> = records.iter().map(|record| check.step(record)).collect::<Result<_, _>>()?;
        let taps = [Tap::Mid, Tap::Last].map(|tap| check.tap(&header.taps[tap as usize], &steps, tap));
        let [mid, last] = taps;
        let (mid, last) = (mid?, last?);
        if mid.steps > last.steps {
            return Err(PlanError::Damaged("its taps are in the wrong order"));
        }
        Ok(Plan { taps: [mid, last], steps, arena, source: header.source, bytes })
    }

    pub fn tap(&self, tap: Tap) -> TapPlace {
        self.taps[tap as usize]
    }

    /// Bytes that all tensors need together.
    pub fn arena_bytes(&self) -> usize {
        self.arena
    }

    /// SHA-256 of the ONNX file it was made from.
    pub fn source(&self) -> &[u8; 32] {
        &self.source
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.all()
    }

    pub fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// Constants of a checked step.
    pub(super) fn slice<T: Pod>(&self, range: &Range<usize>) -> &[T] {
        bytemuck::cast_slice(&self.bytes()[range.clone()])
    }
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
        }
    }
}
