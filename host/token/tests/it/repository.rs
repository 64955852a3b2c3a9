//! Key directories: setup, rotation, live reload and what is refused.

use std::{
    fs,
    num::NonZeroUsize,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use archstone_token::{
    CredentialCipher, FernetTokens, InvalidKey, KeyPurpose, KeyRepository, KeyRepositoryError,
    KeyRing, Setup, TokenError,
};
use chrono::Utc;
use tempfile::TempDir;

use crate::golden::{GOLDEN, golden_tokens, tokens};

struct Directory {
    _root: TempDir,
    path: PathBuf,
}

impl Directory {
    fn missing() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("fernet-keys");
        Self { _root: root, path }
    }

    fn set_up() -> Self {
        let directory = Self::missing();
        assert_eq!(directory.repository().setup().unwrap(), Setup::Created);
        directory
    }

    fn repository(&self) -> KeyRepository {
        KeyRepository::new(&self.path, KeyPurpose::Tokens)
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::new(KeyRing::load(self.repository()).unwrap())
    }

    fn rotate(&self) -> archstone_token::Rotation {
        self.repository().rotate(active(3)).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
        chmod(&self.file(name), 0o600);
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn active(keys: usize) -> NonZeroUsize {
    NonZeroUsize::new(keys).unwrap()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn setup_makes_a_staged_and_a_primary_key_that_only_we_can_read() {
    let directory = Directory::set_up();
    assert_eq!(directory.names(), ["0", "1"]);
    assert_eq!(mode(&directory.path), 0o700);
    assert_eq!(mode(&directory.file("0")), 0o600);
    assert_eq!(mode(&directory.file("1")), 0o600);
    let numbers: Vec<u64> = directory.repository().load().unwrap().numbers().collect();
    assert_eq!(numbers, [1, 0]);
}

#[test]
fn setup_leaves_existing_keys_alone() {
    let directory = Directory::set_up();
    let before = fs::read(directory.file("1")).unwrap();
    assert_eq!(directory.repository().setup().unwrap(), Setup::AlreadyDone);
    assert_eq!(fs::read(directory.file("1")).unwrap(), before);
}

#[test]
fn setup_stages_a_key_where_only_that_is_missing() {
    let directory = Directory::set_up();
    fs::remove_file(directory.file("0")).unwrap();
    assert!(matches!(
        directory.repository().rotate(active(3)),
        Err(KeyRepositoryError::NoStagedKey { .. })
    ));
    assert_eq!(directory.repository().setup().unwrap(), Setup::Staged);
    assert_eq!(directory.names(), ["0", "1"]);
}

#[test]
fn rotation_promotes_the_staged_key_and_purges_the_oldest() {
    let directory = Directory::set_up();
    let staged = fs::read(directory.file("0")).unwrap();
    let rotation = directory.rotate();
    assert_eq!((rotation.primary, rotation.purged), (2, vec![]));
    assert_eq!(fs::read(directory.file("2")).unwrap(), staged);
    let rotation = directory.rotate();
    assert_eq!((rotation.primary, rotation.purged), (3, vec![1]));
    assert_eq!(directory.names(), ["0", "2", "3"]);
}

#[test]
fn rotation_always_leaves_the_primary_and_the_staged_key() {
    let directory = Directory::set_up();
    let rotation = directory.repository().rotate(active(1)).unwrap();
    assert_eq!((rotation.primary, rotation.purged), (2, vec![1]));
    assert_eq!(directory.names(), ["0", "2"]);
}

#[test]
fn rotation_recovers_from_one_that_was_cut_off() {
    let directory = Directory::set_up();
    directory.write("0.tmp", "half a k");
    directory.rotate();
    assert_eq!(directory.names(), ["0", "1", "2"]);
    directory.repository().load().unwrap();
}

#[test]
fn old_tokens_open_until_their_key_is_purged() {
    let directory = Directory::set_up();
    let ring = directory.ring();
    let sealer = FernetTokens::new(ring.clone());
    let payload = tokens()
        .open(&golden_tokens().next().unwrap().token)
        .unwrap()
        .payload;
    let token = sealer.seal(&payload, Utc::now());

    directory.rotate();
    assert!(ring.reload_if_changed().unwrap());
    assert!(!ring.reload_if_changed().unwrap());
    assert_eq!(sealer.open(&token).unwrap().payload, payload);

    directory.rotate();
    assert!(ring.reload_if_changed().unwrap());
    assert_eq!(sealer.open(&token), Err(TokenError::NotRecognized));
}

#[test]
fn a_node_that_has_not_rotated_yet_opens_tokens_of_one_that_has() {
    let directory = Directory::set_up();
    let behind = FernetTokens::new(directory.ring());
    directory.rotate();
    let ahead = FernetTokens::new(directory.ring());
    let payload = tokens()
        .open(&golden_tokens().next().unwrap().token)
        .unwrap()
        .payload;
    assert!(behind.open(&ahead.seal(&payload, Utc::now())).is_ok());
}

#[test]
fn a_repository_that_breaks_leaves_the_keys_in_use() {
    let directory = Directory::set_up();
    let ring = directory.ring();
    directory.write("2", "no key at all");
    assert!(ring.reload_if_changed().is_err());
    assert_eq!(ring.current().numbers().collect::<Vec<_>>(), [1, 0]);
    fs::remove_file(directory.file("2")).unwrap();
    ring.reload_if_changed().unwrap();
    fs::remove_dir_all(&directory.path).unwrap();
    assert!(matches!(
        ring.reload_if_changed(),
        Err(KeyRepositoryError::NoDirectory { .. })
    ));
    assert_eq!(ring.current().numbers().count(), 2);
}

#[test]
fn a_missing_and_an_empty_repository_say_which_option_names_them() {
    let directory = Directory::missing();
    let missing = directory.repository().load().unwrap_err().to_string();
    assert!(
        missing.contains("[fernet_tokens] key_repository"),
        "{missing}"
    );
    assert!(missing.contains("does not exist"), "{missing}");
    fs::create_dir(&directory.path).unwrap();
    chmod(&directory.path, 0o700);
    let credentials = KeyRepository::new(&directory.path, KeyPurpose::Credentials);
    let empty = credentials.load().unwrap_err().to_string();
    assert!(empty.contains("[credential] key_repository"), "{empty}");
    assert!(empty.contains("no keys"), "{empty}");
}

#[test]
fn a_null_key_is_refused_and_named() {
    let directory = Directory::set_up();
    directory.write("7", &("A".repeat(43) + "="));
    let error = directory.repository().load().unwrap_err();
    assert!(matches!(
        &error,
        KeyRepositoryError::InvalidKey { file, reason: InvalidKey::Null }
            if *file == directory.file("7")
    ));
    assert!(error.to_string().contains("null key"), "{error}");
}

#[test]
fn an_error_never_shows_the_key() {
    let directory = Directory::set_up();
    directory.write("5", "almost-a-key-but-not-quite");
    let error = directory.repository().load().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("almost"));
}

#[test]
fn a_repository_that_others_can_write_to_is_refused() {
    let directory = Directory::set_up();
    chmod(&directory.path, 0o702);
    assert!(matches!(
        directory.repository().load(),
        Err(KeyRepositoryError::WritableByOthers(_))
    ));
    chmod(&directory.path, 0o700);
    chmod(&directory.file("1"), 0o602);
    let refused = directory.repository().load().unwrap_err().to_string();
    assert!(refused.contains("chmod go-w"), "{refused}");
}

#[test]
fn our_own_group_may_write() {
    let directory = Directory::set_up();
    chmod(&directory.path, 0o770);
    assert!(directory.repository().load().is_ok());
}

#[test]
fn a_repository_that_everyone_can_read_is_used_with_a_warning() {
    let directory = Directory::set_up();
    chmod(&directory.path, 0o755);
    chmod(&directory.file("1"), 0o644);
    assert!(directory.repository().load().is_ok());
}

#[test]
fn what_is_not_a_numbered_file_is_ignored() {
    let directory = Directory::set_up();
    directory.write("README", "keys");
    directory.write("0.tmp", "half");
    directory.write("-3", "odd");
    directory.write("9", "");
    fs::create_dir(directory.file("8")).unwrap();
    symlink(directory.file("gone"), directory.file("6")).unwrap();
    let numbers: Vec<u64> = directory.repository().load().unwrap().numbers().collect();
    assert_eq!(numbers, [1, 0]);
}

#[test]
fn linked_key_files_are_followed() {
    let directory = Directory::set_up();
    fs::create_dir(directory.file("..data")).unwrap();
    fs::rename(directory.file("1"), directory.file("..data/1")).unwrap();
    symlink("..data/1", directory.file("1")).unwrap();
    assert_eq!(directory.repository().load().unwrap().numbers().count(), 2);
}

#[test]
fn a_final_newline_in_a_key_file_does_no_harm_but_counts_in_the_key_hash() {
    let directory = Directory::set_up();
    directory.write("1", &format!("{}\n", GOLDEN.keys["1"]));
    let sealer = FernetTokens::new(directory.ring());
    assert!(sealer.open(&golden_tokens().next().unwrap().token).is_ok());
    let with_newline = CredentialCipher::new(directory.ring()).primary_key_hash();
    directory.write("1", &GOLDEN.keys["1"]);
    let without = CredentialCipher::new(directory.ring()).primary_key_hash();
    assert_ne!(with_newline, without);
}
