//! Files that others read while we write them.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Writes a file in one step: whoever reads it sees all of it, or what was there before.
pub(crate) fn write_at_once(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory_of(path))?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Makes `path` a symbolic link to `target`, in one step, whatever it was before.
pub(crate) fn link_at_once(path: &Path, target: &Path) -> io::Result<()> {
    let directory = directory_of(path);
    let aside = tempfile::Builder::new()
        .prefix(".new-")
        .make_in(directory, |aside| std::os::unix::fs::symlink(target, aside))?;
    fs::rename(aside.path(), path)?;
    // Its name is gone; there is nothing to clean up.
    aside.keep().map(drop).map_err(|error| error.error)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
