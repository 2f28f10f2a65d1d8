//! The file format: a fixed header, then signature, manifest and parts with nothing in between.
//!
//! ```text
//! 0   8  magic "AJARBND\x01"
//! 8   4  signature length   u32 little endian, 200..=1024
//! 12  4  manifest length    u32, 1..=65536
//! 16  8  body length        u64, 0..=32 MiB
//! 24 40  reserved, all zero
//! 64     signature, manifest, parts in the manifest's order
//! ```

use super::{Code, Refusal};

pub const MAGIC: [u8; 8] = *b"AJARBND\x01";
pub const HEADER_LEN: usize = 64;
pub const MIN_SIGNATURE: usize = 200;
pub const MAX_SIGNATURE: usize = 1024;
pub const MAX_MANIFEST: usize = 65_536;
pub const MAX_BODY: usize = 32 << 20;
pub const MAX_FILE: usize = HEADER_LEN + MAX_SIGNATURE + MAX_MANIFEST + MAX_BODY;

/// The three pieces of a bundle, still unverified.
#[derive(Debug, PartialEq)]
pub struct Pieces<'a> {
    pub signature: &'a [u8],
    pub manifest: &'a [u8],
    pub body: &'a [u8],
}

/// Header, signature, manifest and body as one file.
pub fn join(pieces: &Pieces) -> Vec<u8> {
    let mut file =
        Vec::with_capacity(HEADER_LEN + pieces.signature.len() + pieces.manifest.len() + pieces.body.len());
    file.extend(MAGIC);
    file.extend((pieces.signature.len() as u32).to_le_bytes());
    file.extend((pieces.manifest.len() as u32).to_le_bytes());
    file.extend((pieces.body.len() as u64).to_le_bytes());
    file.resize(HEADER_LEN, 0);
    for piece in [pieces.signature, pieces.manifest, pieces.body] {
        file.extend(piece);
    }
    file
}

/// Checks the header and cuts the file into its pieces.
pub fn split(file: &[u8]) -> Result<Pieces<'_>, Refusal> {
    let refuse = |code, why: String| Err(Refusal::new(code, why));
    if file.len() >= 8 && file[..7] == MAGIC[..7] && file[7] != MAGIC[7] {
        return refuse(Code::E10, format!("bundle format {}, this Ajar reads format {}", file[7], MAGIC[7]));
    }
    if !file.starts_with(&MAGIC[..file.len().min(8)]) {
        return refuse(Code::E10, "not an Ajar bundle".into());
    }
    let Some(header) = file.get(..HEADER_LEN) else {
        return refuse(Code::E11, format!("truncated: {} bytes, not even a header", file.len()));
    };
    let u32_at = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let signature = u32_at(8) as usize;
    let manifest = u32_at(12) as usize;
    let body = u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32;
    if header[24..].iter().any(|&byte| byte != 0) {
        return refuse(Code::E10, "reserved header bytes are not zero".into());
    }
    if !(MIN_SIGNATURE..=MAX_SIGNATURE).contains(&signature) {
        return refuse(
            Code::E11,
            format!("signature length {signature}, want {MIN_SIGNATURE} to {MAX_SIGNATURE}"),
        );
    }
    if !(1..=MAX_MANIFEST).contains(&manifest) {
        return refuse(Code::E12, format!("manifest length {manifest}, want 1 to {MAX_MANIFEST}"));
    }
    if body > MAX_BODY as u64 {
        return refuse(Code::E12, format!("body length {body}, at most {MAX_BODY}"));
    }
    let want = HEADER_LEN + signature + manifest + body as usize;
    if file.len() != want {
        let what = if file.len() < want { "truncated" } else { "trailing bytes" };
        return refuse(Code::E11, format!("{what}: {} bytes, the header says {want}", file.len()));
    }
    let (signature, rest) = file[HEADER_LEN..].split_at(signature);
    let (manifest, body) = rest.split_at(manifest);
    Ok(Pieces { signature, manifest, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        join(&Pieces { signature: &[b's'; 200], manifest: b"m", body: b"body" })
    }

    #[test]
    fn pieces_come_back() {
        let file = file();
        let want = Pieces { signature: &[b's'; 200], manifest: b"m", body: b"body" };
        assert_eq!(split(&file), Ok(want));
    }

    #[test]
    fn every_shorter_and_a_longer_file_is_refused() {
        let file = file();
        for len in 0..file.len() {
            let code = split(&file[..len]).unwrap_err().code;
            assert_eq!(code, Code::E11, "length {len}");
        }
        let longer = [&file[..], b"x"].concat();
        assert_eq!(split(&longer).unwrap_err().code, Code::E11);
    }

    #[test]
    fn lengths_beyond_the_limits_are_refused() {
        let with = |at: usize, bytes: &[u8]| {
            let mut file = file();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            split(&file).unwrap_err().code
        };
        assert_eq!(with(0, b"PK"), Code::E10);
        assert_eq!(with(7, b"\x02"), Code::E10);
        assert_eq!(with(40, b"\x01"), Code::E10);
        assert_eq!(with(8, &199u32.to_le_bytes()), Code::E11);
        assert_eq!(with(8, &u32::MAX.to_le_bytes()), Code::E11);
        assert_eq!(with(12, &0u32.to_le_bytes()), Code::E12);
        assert_eq!(with(12, &u32::MAX.to_le_bytes()), Code::E12);
        assert_eq!(with(16, &u64::MAX.to_le_bytes()), Code::E12);
    }
}
