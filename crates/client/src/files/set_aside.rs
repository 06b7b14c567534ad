//! Opening the main file, unless it was given up.

use std::path::{Path, PathBuf};

use crate::local::{LocalFile, OpenError, OpenOptions};
use crate::reset;

/// Opens or makes the main file at `path`. One that was [given up](reset::give_up) is set aside before, and its fresh
/// copy is removed; its new path is answered beside the new file.
///
/// A process that ends meanwhile leaves the old file where it was, or set aside and no file at `path`.
///
/// # Errors
///
/// See [`OpenError`].
pub fn open_main(
    path: &Path,
    options: &OpenOptions,
) -> Result<(LocalFile, Option<PathBuf>), OpenError> {
    let file = LocalFile::open(path, options)?;
    let aside = file.snapshot().ok().and_then(|main| reset::recovery_path(path, &main));
    let Some(aside) = aside else { return Ok((file, None)) };
    drop(file);
    LocalFile::remove(super::fresh::path_beside(path))?;
    LocalFile::set_aside(path, &aside)?;
    Ok((LocalFile::open(path, options)?, Some(aside)))
}

#[cfg(test)]
mod tests {
    use bailiwick_protocol::version::OriginTimestamp;

    use super::*;
    use crate::local::Owner;

    #[test]
    fn a_file_that_was_given_up_is_kept_beside_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stock.realm");
        let options = OpenOptions::new(Owner::default());
        let (file, aside) = open_main(&path, &options).unwrap();
        assert_eq!(aside, None);
        let writer = file.write();
        let mut batch = reset::give_up(&writer.snapshot().unwrap(), OriginTimestamp(5));
        batch.state.version.0 = 40;
        writer.commit(&batch).unwrap();
        drop(writer);
        drop(file);
        let (file, aside) = open_main(&path, &options).unwrap();
        let aside = aside.unwrap();
        assert_eq!(file.snapshot().unwrap().state().version.0, 1);
        let kept = LocalFile::open(&aside, &options).unwrap();
        assert_eq!(kept.snapshot().unwrap().state().version.0, 40);
        drop(file);
        assert_eq!(open_main(&path, &options).unwrap().1, None);
    }
}
