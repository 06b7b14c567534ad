//! Files of vectors: JSON lines, as they are or compressed with gzip.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// The bytes that a gzip file starts with.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The lines of a file, without blank ones at its end.
pub(super) fn lines(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = read(path)?;
    let bytes = bytes.trim_ascii_end();
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect())
}

/// The base state of a file of merge pairs: from `base` if it is named, else from beside the file if it is there.
pub(super) fn base(pairs: &Path, base: Option<&Path>) -> Result<Option<Vec<Vec<u8>>>> {
    #[derive(Deserialize)]
    struct Base {
        base: Vec<String>,
    }

    let beside = pairs.with_file_name("pairs-base.json");
    let path = match base {
        Some(path) => path,
        None if beside.exists() => &beside,
        None => return Ok(None),
    };
    let in_file = || format!("the base {}", path.display());
    let base: Base = serde_json::from_slice(&read(path)?).with_context(in_file)?;
    let changesets = base.base.iter().map(hex::decode).collect::<Result<_, _>>();
    Ok(Some(changesets.with_context(in_file)?))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let in_file = || path.display().to_string();
    let bytes = fs::read(path).with_context(in_file)?;
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).with_context(in_file)?;
    Ok(plain)
}
