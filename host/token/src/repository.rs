//! Key repositories: a directory of files named by number, laid out and rotated as
//! Keystone does, so that both can work on the same directory.
//!
//! The highest number is the primary key, which seals. `0` is the staged key, the
//! next primary, which other nodes receive before anything is sealed with it. All
//! open.

use std::{
    ffi::OsStr,
    fmt, fs,
    io::{self, Write},
    num::NonZeroUsize,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE};
use rand::TryRngCore;
use thiserror::Error;
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::{
    InvalidKey, KeySet,
    fingerprint::Fingerprint,
    keys::NumberedKey,
    permissions::{WritableByOthers, refuse_writable_by_others},
};

const STAGED: u64 = 0;
const STAGED_FILE: &str = "0";
/// Not a number, so no server takes it for a key.
const UNFINISHED_FILE: &str = "0.tmp";

/// Which keys a repository holds; messages name its section of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    Tokens,
    Receipts,
    Credentials,
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "[fernet_tokens] key_repository",
            Self::Receipts => "[fernet_receipts] key_repository",
            Self::Credentials => "[credential] key_repository",
        })
    }
}

/// The account that new keys belong to, when a setup command runs as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub user_id: u32,
    pub group_id: u32,
}

/// Why a key repository cannot be used. Never carries a key.
#[derive(Debug, Error)]
pub enum KeyRepositoryError {
    #[error("{purpose} {} does not exist; set it up first, or copy it from another node", .directory.display())]
    NoDirectory {
        purpose: KeyPurpose,
        directory: PathBuf,
    },
    #[error("{purpose} {} has no keys; set it up first, or copy it from another node", .directory.display())]
    NoKeys {
        purpose: KeyPurpose,
        directory: PathBuf,
    },
    #[error("{purpose} {} has no staged key (file 0), so there is nothing to promote; run its setup to stage one, and let it reach all nodes before rotating", .directory.display())]
    NoStagedKey {
        purpose: KeyPurpose,
        directory: PathBuf,
    },
    #[error("key file {} is refused: {reason}; replace it and re-encrypt what was encrypted with it", .file.display())]
    InvalidKey { file: PathBuf, reason: InvalidKey },
    #[error(transparent)]
    WritableByOthers(#[from] WritableByOthers),
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the operating system gave no randomness for a new key: {0}")]
    NoRandomness(rand::rand_core::OsError),
}

/// What [`KeyRepository::setup`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// A staged and a primary key were made.
    Created,
    /// There were keys, but none staged: one was.
    Staged,
    /// There was nothing to do.
    AlreadyDone,
}

/// What [`KeyRepository::rotate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The number of the new primary key.
    pub primary: u64,
    /// The keys deleted for being too many. What they sealed is no longer recognized.
    pub purged: Vec<u64>,
}

/// A directory of Fernet keys.
#[derive(Clone, Debug)]
pub struct KeyRepository {
    directory: PathBuf,
    purpose: KeyPurpose,
    owner: Option<Owner>,
}

struct KeyFile {
    number: u64,
    path: PathBuf,
    metadata: fs::Metadata,
}

impl KeyRepository {
    pub fn new(directory: impl Into<PathBuf>, purpose: KeyPurpose) -> Self {
        Self {
            directory: directory.into(),
            purpose,
            owner: None,
        }
    }

    /// Gives the directory and the keys made from here on to `owner`.
    pub fn owned_by(self, owner: Owner) -> Self {
        Self {
            owner: Some(owner),
            ..self
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory (mode 0700) with a staged and a primary key (0600), where
    /// they do not exist yet.
    ///
    /// # Errors
    /// [`KeyRepositoryError`] if the directory or a file cannot be written.
    pub fn setup(&self) -> Result<Setup, KeyRepositoryError> {
        self.create_directory()?;
        let _lock = self.lock();
        let numbers: Vec<u64> = self.key_files()?.iter().map(|key| key.number).collect();
        if numbers.contains(&STAGED) {
            return Ok(Setup::AlreadyDone);
        }
        self.stage_new_key()?;
        if !numbers.is_empty() {
            return Ok(Setup::Staged);
        }
        self.promote_staged_key(1)?;
        self.stage_new_key()?;
        Ok(Setup::Created)
    }

    /// Promotes the staged key to primary, stages a new one and deletes the oldest until
    /// `max_active_keys` remain. The primary and the staged key always remain.
    ///
    /// # Errors
    /// [`KeyRepositoryError`]; the repository stays usable whichever step fails.
    pub fn rotate(&self, max_active_keys: NonZeroUsize) -> Result<Rotation, KeyRepositoryError> {
        let _lock = self.lock();
        self.check_directory()?;
        let mut keys = self.key_files()?;
        let newest = keys.iter().map(|key| key.number).max();
        let (Some(newest), true) = (newest, keys.iter().any(|key| key.number == STAGED)) else {
            return Err(KeyRepositoryError::NoStagedKey {
                purpose: self.purpose,
                directory: self.directory.clone(),
            });
        };
        let primary = newest.saturating_add(1);
        self.write_unfinished_key()?;
        self.promote_staged_key(primary)?;
        self.finish_staged_key()?;

        let remaining = max_active_keys.get().saturating_sub(2);
        keys.retain(|key| key.number != STAGED);
        keys.sort_by_key(|key| std::cmp::Reverse(key.number));
        let mut purged = Vec::new();
        for key in keys.iter().skip(remaining) {
            fs::remove_file(&key.path).map_err(failed("delete", &key.path))?;
            purged.push(key.number);
        }
        self.sync_directory()?;
        info!(directory = %self.directory.display(), primary, ?purged, "rotated keys");
        Ok(Rotation { primary, purged })
    }

    /// Reads all keys.
    ///
    /// A key of zeros is refused, where Keystone's credential provider would fall back
    /// to it: what it encrypts, anyone can decrypt.
    ///
    /// # Errors
    /// [`KeyRepositoryError`] if there are no keys, one cannot be used, or others may
    /// write to the directory or a key.
    pub fn load(&self) -> Result<KeySet, KeyRepositoryError> {
        self.check_directory()?;
        let mut keys = Vec::new();
        for file in self.key_files()? {
            keys.extend(self.read_key(&file)?);
        }
        KeySet::new(keys).ok_or_else(|| KeyRepositoryError::NoKeys {
            purpose: self.purpose,
            directory: self.directory.clone(),
        })
    }

    /// Cheap to take, and different after any change to the key files.
    pub(crate) fn fingerprint(&self) -> Result<Fingerprint, KeyRepositoryError> {
        let files = self.key_files()?;
        Ok(Fingerprint::of(
            files.iter().map(|key| (key.path.as_path(), &key.metadata)),
        ))
    }

    fn read_key(&self, file: &KeyFile) -> Result<Option<NumberedKey>, KeyRepositoryError> {
        refuse_writable_by_others(&file.path, &file.metadata)?;
        if file.metadata.mode() & 0o004 != 0 {
            warn!(file = %file.path.display(), "key file is readable by everyone; run `chmod o-r` on it");
        }
        let text =
            Zeroizing::new(fs::read_to_string(&file.path).map_err(failed("read", &file.path))?);
        if text.is_empty() {
            warn!(file = %file.path.display(), "ignoring an empty key file");
            return Ok(None);
        }
        NumberedKey::parse(file.number, &text)
            .map(Some)
            .map_err(|reason| KeyRepositoryError::InvalidKey {
                file: file.path.clone(),
                reason,
            })
    }

    fn check_directory(&self) -> Result<(), KeyRepositoryError> {
        let metadata = fs::metadata(&self.directory).map_err(|error| self.no_directory(error))?;
        refuse_writable_by_others(&self.directory, &metadata)?;
        if metadata.mode() & 0o005 != 0 {
            warn!(directory = %self.directory.display(), "key repository is open to everyone; run `chmod o-rx` on it");
        }
        Ok(())
    }

    /// Files whose name is a number, links followed; others are none of our business.
    fn key_files(&self) -> Result<Vec<KeyFile>, KeyRepositoryError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(|error| self.no_directory(error))? {
            let entry = entry.map_err(failed("list", &self.directory))?;
            let Some(number) = key_number(&entry.file_name()) else {
                continue;
            };
            let path = entry.path();
            let metadata = match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => metadata,
                Ok(_) => continue,
                // Purged by a rotation since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("inspect", &path)(error)),
            };
            files.push(KeyFile {
                number,
                path,
                metadata,
            });
        }
        Ok(files)
    }

    fn create_directory(&self) -> Result<(), KeyRepositoryError> {
        if self.directory.is_dir() {
            return self.check_directory();
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(failed("create", &self.directory))?;
        self.give_to_owner(&self.directory)
    }

    fn stage_new_key(&self) -> Result<(), KeyRepositoryError> {
        self.write_unfinished_key()?;
        self.finish_staged_key()
    }

    /// A key only counts once it is complete on disk and renamed.
    fn write_unfinished_key(&self) -> Result<(), KeyRepositoryError> {
        let path = self.directory.join(UNFINISHED_FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("delete", &path)(error));
            }
            _ => {}
        }
        let key = new_key()?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("create", &path))?;
        file.write_all(key.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed("write", &path))?;
        self.give_to_owner(&path)
    }

    fn finish_staged_key(&self) -> Result<(), KeyRepositoryError> {
        self.rename(UNFINISHED_FILE, STAGED_FILE)
    }

    fn promote_staged_key(&self, number: u64) -> Result<(), KeyRepositoryError> {
        self.rename(STAGED_FILE, &number.to_string())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), KeyRepositoryError> {
        let target = self.directory.join(to);
        fs::rename(self.directory.join(from), &target).map_err(failed("create", &target))?;
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<(), KeyRepositoryError> {
        fs::File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("sync", &self.directory))
    }

    /// Keeps two setups or rotations apart until the handle is dropped. Best effort:
    /// some network file systems have no locks.
    fn lock(&self) -> Option<fs::File> {
        let directory = fs::File::open(&self.directory).ok()?;
        directory.lock().ok()?;
        Some(directory)
    }

    fn give_to_owner(&self, path: &Path) -> Result<(), KeyRepositoryError> {
        let Some(owner) = self.owner else {
            return Ok(());
        };
        chown(path, Some(owner.user_id), Some(owner.group_id))
            .map_err(failed("change the owner of", path))
    }

    fn no_directory(&self, error: io::Error) -> KeyRepositoryError {
        if error.kind() != io::ErrorKind::NotFound {
            return failed("read", &self.directory)(error);
        }
        KeyRepositoryError::NoDirectory {
            purpose: self.purpose,
            directory: self.directory.clone(),
        }
    }
}

fn key_number(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

fn new_key() -> Result<Zeroizing<String>, KeyRepositoryError> {
    let mut key = Zeroizing::new([0; 32]);
    rand::rngs::OsRng
        .try_fill_bytes(&mut *key)
        .map_err(KeyRepositoryError::NoRandomness)?;
    Ok(Zeroizing::new(URL_SAFE.encode(*key)))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyRepositoryError {
    let path = path.to_owned();
    move |source| KeyRepositoryError::Io {
        action,
        path,
        source,
    }
}
