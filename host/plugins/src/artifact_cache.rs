//! Compiled plugins on disk, so that a start does not compile again.
//!
//! Loading compiled code means running it: whoever can write here runs code as the server. So the
//! directory and each file must belong to the server's user and be writable by nobody else, which
//! is checked each time. A checksum finds files that were damaged; those are compiled again.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, process::geteuid};
use wasmtime::{Engine, component::Component};

use crate::{Digest, RuntimeError};

const CHECKSUM_LENGTH: usize = 32;

#[derive(Debug)]
pub(crate) struct ArtifactCache {
    directory: PathBuf,
}

impl ArtifactCache {
    /// Opens the cache below `path`, apart from those of other engines.
    pub fn open(path: PathBuf, engine: &Engine) -> Result<Self, RuntimeError> {
        let directory = path.join(compatibility(engine));
        let opened = make(&path)
            .and_then(|()| make(&directory))
            .and_then(|()| require_ours(&path, &fs::symlink_metadata(&path)?))
            .and_then(|()| require_ours(&directory, &fs::symlink_metadata(&directory)?));
        match opened {
            Ok(()) => Ok(Self { directory }),
            Err(error) => Err(RuntimeError::Cache {
                path,
                reason: error.to_string(),
            }),
        }
    }

    /// The compiled form of an artifact, if it is here and whole.
    pub fn load(&self, engine: &Engine, artifact: Digest) -> Option<Component> {
        let path = self.path(artifact);
        match self.read(&path) {
            Ok(compiled) => revive(engine, &compiled)
                .inspect_err(|error| {
                    tracing::warn!(path = %path.display(), error = %format!("{error:#}"), "compiled plugin does not load; compiling it again");
                })
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled plugin is not usable; compiling it again");
                None
            }
        }
    }

    /// Keeps the compiled form of an artifact. Failing to only costs time at the next start.
    pub fn keep(&self, artifact: Digest, compiled: &[u8]) {
        let path = self.path(artifact);
        if let Err(error) = self.write(&path, compiled) {
            tracing::warn!(path = %path.display(), %error, "cannot keep the compiled plugin");
        }
    }

    fn path(&self, artifact: Digest) -> PathBuf {
        self.directory.join(format!("{artifact}.cwasm"))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        require_ours(&self.directory, &fs::symlink_metadata(&self.directory)?)?;
        let mut file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(path)?;
        require_ours(path, &file.metadata()?)?;
        let mut checksum = [0; CHECKSUM_LENGTH];
        let mut compiled = Vec::new();
        file.read_exact(&mut checksum)?;
        file.read_to_end(&mut compiled)?;
        if checksum != Digest::of(&compiled).bytes() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its checksum is wrong",
            ));
        }
        Ok(compiled)
    }

    fn write(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        // Temporary files are made for their owner alone (0600).
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(&Digest::of(compiled).bytes())?;
        file.write_all(compiled)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// A directory name that changes whenever compiled code of one engine does not suit another.
fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{}-{:016x}", std::env::consts::ARCH, hasher.finish())
}

fn make(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

fn require_ours(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    let complaint = if found.file_type().is_symlink() {
        "is a symbolic link"
    } else if found.uid() != geteuid().as_raw() {
        "belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "can be written by others; take that right away (`chmod go-w`)"
    } else {
        return Ok(());
    };
    let name = path.display();
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{name} {complaint}"),
    ))
}

/// Makes a component of what [`Engine::precompile_component`] gave.
fn revive(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes must be an unaltered result of `precompile_component`. They come from
    // `ArtifactCache::read` alone: a file that only this user could write (owner and mode are
    // checked on the open file), that this module wrote, and whose checksum holds. The engine
    // refuses on its own what another version or configuration compiled.
    #[allow(unsafe_code)]
    unsafe {
        Component::deserialize(engine, compiled)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn cache() -> (tempfile::TempDir, Engine, ArtifactCache, Digest) {
        let home = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = ArtifactCache::open(home.path().join("cache"), &engine).unwrap();
        let digest = Digest::of(EMPTY);
        cache.keep(digest, &engine.precompile_component(EMPTY).unwrap());
        (home, engine, cache, digest)
    }

    #[test]
    fn what_is_kept_can_be_loaded() {
        let (_home, engine, cache, digest) = cache();
        assert!(cache.load(&engine, digest).is_some());
        assert!(cache.load(&engine, Digest::of(b"another")).is_none());
    }

    #[test]
    fn a_damaged_artifact_is_not_loaded() {
        let (_home, engine, cache, digest) = cache();
        let path = cache.path(digest);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(cache.load(&engine, digest).is_none());
    }

    #[test]
    fn an_artifact_that_others_can_write_is_not_loaded() {
        let (_home, engine, cache, digest) = cache();
        fs::set_permissions(cache.path(digest), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.load(&engine, digest).is_none());
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let (home, engine, ..) = cache();
        let path = home.path().join("cache");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = ArtifactCache::open(path, &engine).unwrap_err();
        assert!(
            error.to_string().contains("can be written by others"),
            "{error}"
        );
    }
}
