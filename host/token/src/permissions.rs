//! Who else may write where keys are kept: they could add keys of their own and with
//! them make any token.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{StatVfsMountFlags, statvfs};
use thiserror::Error;

/// A directory or key file that others may write to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is writable by others (mode {mode:04o}), who could add keys of their own; run `chmod go-w` on it", .path.display())]
pub struct WritableByOthers {
    pub path: PathBuf,
    pub mode: u32,
}

/// Group members count as others unless the group is our own, as in Kolla's 0770
/// directories. On a file system mounted read-only, as secrets are in Kubernetes, the
/// mode bits grant nothing.
pub(crate) fn refuse_writable_by_others(
    path: &Path,
    metadata: &fs::Metadata,
) -> Result<(), WritableByOthers> {
    let own_group = metadata.gid() == rustix::process::getegid().as_raw();
    let others = if own_group { 0o002 } else { 0o022 };
    if metadata.mode() & others == 0 || is_mounted_read_only(path) {
        return Ok(());
    }
    Err(WritableByOthers {
        path: path.to_owned(),
        mode: metadata.mode() & 0o7777,
    })
}

fn is_mounted_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}
