//! The versions of plugins that are installed in a plugin directory, and which one is current.
//!
//! Artifacts are kept by digest in `.artifacts/DIGEST.wasm`; `NAME.wasm` is a symbolic link to the
//! current one. To install or roll back is to turn that link, which is one step: a server that
//! watches the directory sees the old version or the new one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Digest, PrepareError,
    files::{link_at_once, write_at_once},
    plugin::check_name,
};

const ARTIFACTS: &str = ".artifacts";

/// The plugins of one directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    directory: PathBuf,
}

/// A method with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    pub method: String,
    /// The artifact that `NAME.wasm` holds now; none if it was removed.
    pub current: Option<Digest>,
    /// All that can be rolled back to, oldest first.
    pub versions: Vec<Version>,
}

/// An artifact that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub digest: Digest,
    pub installed_at: DateTime<Utc>,
}

/// Why the shelf was not changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ShelfError {
    #[error(transparent)]
    BadName(#[from] PrepareError),

    #[error("no plugin `{method}` is installed in {}", .directory.display())]
    NotInstalled { method: String, directory: PathBuf },

    #[error("`{method}` has no earlier version to roll back to")]
    NothingEarlier { method: String },

    #[error("`{method}` has no version that begins with `{digest}`, or more than one")]
    NoSuchVersion { method: String, digest: String },

    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Shelf {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Makes an artifact the current version of a method. Whether it can serve is not looked at
    /// here: prepare it with a [`crate::Registry`] first.
    ///
    /// # Errors
    /// [`ShelfError::BadName`], or [`ShelfError::Io`].
    pub fn install(
        &self,
        method: &str,
        artifact: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Installed, ShelfError> {
        check_name(method)?;
        let _lock = self.lock()?;
        let mut versions = self.versions(method)?;
        self.adopt(method, &mut versions, now)?;
        let digest = self.keep(artifact)?;
        add(&mut versions, digest, now);
        self.write_versions(method, &versions)?;
        self.point(method, digest)?;
        self.show(method)
    }

    /// Makes an earlier version current again: the one installed before the current one, or one
    /// whose digest begins as given.
    ///
    /// # Errors
    /// [`ShelfError::NotInstalled`], [`ShelfError::NothingEarlier`],
    /// [`ShelfError::NoSuchVersion`], or [`ShelfError::Io`].
    pub fn rollback(&self, method: &str, to: Option<&str>) -> Result<Installed, ShelfError> {
        check_name(method)?;
        let _lock = self.lock()?;
        let installed = self.show(method)?;
        let digest = match to {
            Some(digest) => {
                only(&installed.versions, digest).ok_or_else(|| ShelfError::NoSuchVersion {
                    method: method.to_owned(),
                    digest: digest.to_owned(),
                })?
            }
            None => installed.before_current().ok_or_else(|| {
                let method = method.to_owned();
                ShelfError::NothingEarlier { method }
            })?,
        };
        self.point(method, digest)?;
        self.show(method)
    }

    /// Ends a method. Its artifacts and settings stay, so that it can be rolled back.
    ///
    /// # Errors
    /// [`ShelfError::NotInstalled`] or [`ShelfError::Io`].
    pub fn remove(&self, method: &str) -> Result<(), ShelfError> {
        check_name(method)?;
        let _lock = self.lock()?;
        let mut versions = self.versions(method)?;
        self.adopt(method, &mut versions, Utc::now())?;
        let path = self.path(method);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.missing(method)),
            removed => removed.map_err(failed("remove", &path)),
        }
    }

    /// One method's versions.
    ///
    /// # Errors
    /// [`ShelfError::NotInstalled`] or [`ShelfError::Io`].
    pub fn show(&self, method: &str) -> Result<Installed, ShelfError> {
        check_name(method)?;
        let path = self.path(method);
        let current = match fs::read(&path) {
            Ok(artifact) => Some(Digest::of(&artifact)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let versions = self.versions(method)?;
        if current.is_none() && versions.is_empty() {
            return Err(self.missing(method));
        }
        Ok(Installed {
            method: method.to_owned(),
            current,
            versions,
        })
    }

    /// All methods, by name.
    ///
    /// # Errors
    /// [`ShelfError::Io`].
    pub fn list(&self) -> Result<Vec<Installed>, ShelfError> {
        let files = match fs::read_dir(&self.directory) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &self.directory)(error)),
        };
        let mut methods: Vec<String> = files
            .filter_map(|file| file.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".wasm").map(str::to_owned))
            .filter(|name| check_name(name).is_ok())
            .collect();
        methods.sort();
        methods.iter().map(|method| self.show(method)).collect()
    }

    /// Takes a `NAME.wasm` that somebody put there by hand among the versions.
    fn adopt(
        &self,
        method: &str,
        versions: &mut Vec<Version>,
        now: DateTime<Utc>,
    ) -> Result<(), ShelfError> {
        let Ok(present) = fs::read(self.path(method)) else {
            return Ok(());
        };
        if !versions
            .iter()
            .any(|one| one.digest == Digest::of(&present))
        {
            let digest = self.keep(&present)?;
            add(versions, digest, now);
            self.write_versions(method, versions)?;
        }
        Ok(())
    }

    fn keep(&self, artifact: &[u8]) -> Result<Digest, ShelfError> {
        let digest = Digest::of(artifact);
        let path = self.artifacts().join(format!("{digest}.wasm"));
        let there = fs::read(&path).is_ok_and(|present| Digest::of(&present) == digest);
        if !there {
            write_at_once(&path, artifact, 0o644).map_err(failed("write", &path))?;
        }
        Ok(digest)
    }

    fn point(&self, method: &str, digest: Digest) -> Result<(), ShelfError> {
        let path = self.path(method);
        let target = Path::new(ARTIFACTS).join(format!("{digest}.wasm"));
        link_at_once(&path, &target).map_err(failed("write", &path))
    }

    fn versions(&self, method: &str) -> Result<Vec<Version>, ShelfError> {
        let path = self.history(method);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| failed("understand", &path)(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    fn write_versions(&self, method: &str, versions: &[Version]) -> Result<(), ShelfError> {
        let path = self.history(method);
        let text = serde_json::to_vec_pretty(versions).unwrap_or_default();
        write_at_once(&path, &text, 0o644).map_err(failed("write", &path))
    }

    /// One change at a time. Released when dropped.
    fn lock(&self) -> Result<fs::File, ShelfError> {
        let artifacts = self.artifacts();
        fs::create_dir_all(&artifacts).map_err(failed("make", &artifacts))?;
        let path = artifacts.join(".lock");
        let lock = || {
            let file = fs::File::create(&path)?;
            file.lock().map(|()| file)
        };
        lock().map_err(failed("lock", &path))
    }

    fn missing(&self, method: &str) -> ShelfError {
        ShelfError::NotInstalled {
            method: method.to_owned(),
            directory: self.directory.clone(),
        }
    }

    fn path(&self, method: &str) -> PathBuf {
        self.directory.join(format!("{method}.wasm"))
    }

    fn history(&self, method: &str) -> PathBuf {
        self.artifacts().join(format!("{method}.json"))
    }

    fn artifacts(&self) -> PathBuf {
        self.directory.join(ARTIFACTS)
    }
}

impl Installed {
    fn before_current(&self) -> Option<Digest> {
        let is_current = |version: &Version| Some(version.digest) == self.current;
        let earlier = match self.versions.iter().position(is_current) {
            Some(place) => self.versions.get(..place)?,
            None => &self.versions,
        };
        earlier.last().map(|version| version.digest)
    }
}

/// Puts a version last, as the newest.
fn add(versions: &mut Vec<Version>, digest: Digest, now: DateTime<Utc>) {
    versions.retain(|version| version.digest != digest);
    versions.push(Version {
        digest,
        installed_at: now,
    });
}

/// The one version whose digest begins so.
fn only(versions: &[Version], beginning: &str) -> Option<Digest> {
    let mut fitting = versions
        .iter()
        .map(|version| version.digest)
        .filter(|digest| digest.to_string().starts_with(beginning));
    let digest = fitting.next()?;
    fitting.next().is_none().then_some(digest)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ShelfError {
    let path = path.to_owned();
    move |source| ShelfError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(home.path());
        (home, shelf)
    }

    #[test]
    fn a_rollback_goes_back_one_version_at_a_time() {
        let (home, shelf) = shelf();
        for artifact in ["one", "two", "three"] {
            shelf.install("a", artifact.as_bytes(), Utc::now()).unwrap();
        }
        let current = || fs::read_to_string(home.path().join("a.wasm")).unwrap();
        assert_eq!(current(), "three");
        shelf.rollback("a", None).unwrap();
        assert_eq!(current(), "two");
        shelf.rollback("a", None).unwrap();
        assert_eq!(current(), "one");
        let error = shelf.rollback("a", None).unwrap_err();
        assert!(matches!(error, ShelfError::NothingEarlier { .. }));
        let three = Digest::of(b"three").short();
        shelf.rollback("a", Some(&three)).unwrap();
        assert_eq!(current(), "three");
    }

    #[test]
    fn what_was_put_there_by_hand_can_be_rolled_back_to() {
        let (home, shelf) = shelf();
        fs::write(home.path().join("a.wasm"), "by hand").unwrap();
        shelf.install("a", b"two", Utc::now()).unwrap();
        shelf.rollback("a", None).unwrap();
        assert_eq!(fs::read(home.path().join("a.wasm")).unwrap(), b"by hand");
    }

    #[test]
    fn what_was_removed_can_be_rolled_back_to() {
        let (home, shelf) = shelf();
        shelf.install("a", b"one", Utc::now()).unwrap();
        shelf.remove("a").unwrap();
        assert!(!home.path().join("a.wasm").exists());
        assert_eq!(shelf.show("a").unwrap().current, None);
        shelf.rollback("a", None).unwrap();
        assert_eq!(shelf.show("a").unwrap().current, Some(Digest::of(b"one")));
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        let (_home, shelf) = shelf();
        for name in ["../a", "a/b", "", ".a", "A"] {
            let error = shelf.install(name, b"", Utc::now()).unwrap_err();
            assert!(matches!(error, ShelfError::BadName(_)), "{name}");
        }
    }
}
