//! Tells cheaply whether key files are still those that were loaded.

use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path, path::PathBuf};

/// Path, inode, length and modification time of each file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<(PathBuf, u64, u64, (i64, i64))>);

impl Fingerprint {
    pub(crate) fn of<'a>(files: impl Iterator<Item = (&'a Path, &'a Metadata)>) -> Self {
        let mut marks: Vec<_> = files
            .map(|(path, file)| {
                let modified = (file.mtime(), file.mtime_nsec());
                (path.to_owned(), file.ino(), file.len(), modified)
            })
            .collect();
        marks.sort_unstable();
        Self(marks)
    }
}
