//! Where plugins have to be signed, no other is loaded, whichever way it comes.

use std::{fs, path::PathBuf};

use archstone_plugins::{
    KeyError, PluginDirectory, PluginState, PrepareError, SignatureError, Signers, SigningKey,
    claimed_signers,
};
use serde_json::json;
use tempfile::TempDir;

use crate::guests::{Bench, component, rebuilt, settings};

/// Somebody with a key, in files as the command makes them.
struct Signer {
    home: TempDir,
    key: SigningKey,
}

impl Signer {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let made = SigningKey::generate().unwrap();
        fs::write(home.path().join("key.pem"), made.private.expose()).unwrap();
        fs::write(home.path().join("key.pub"), &made.public).unwrap();
        let key = SigningKey::read(&home.path().join("key.pem")).unwrap();
        assert_eq!(key.id(), made.id);
        Self { home, key }
    }

    fn public(&self) -> PathBuf {
        self.home.path().join("key.pub")
    }

    fn sign(&self, artifact: &[u8]) -> Vec<u8> {
        self.key.sign(artifact.to_vec()).unwrap()
    }

    /// A server that loads what this one signed.
    fn trusting(&self) -> Bench {
        let signers = Signers::read(&self.public()).unwrap();
        Bench::with(|mut options| {
            options.signers = Some(signers);
            options
        })
    }
}

const SECTION: usize = 118;

/// How a server that trusts the signer finds an artifact.
async fn refused(by: &Signer, artifact: Vec<u8>) -> SignatureError {
    let with = settings(json!({"config": {"pin": "1234"}}));
    let registry = by.trusting().registry;
    let rehearsed = registry
        .rehearse("hello", artifact.clone(), with.clone())
        .await;
    let prepared = registry.prepare("hello", artifact, with).await;
    match (rehearsed.unwrap_err(), prepared.unwrap_err()) {
        (PrepareError::NotTrusted(rehearsed), PrepareError::NotTrusted(prepared)) => {
            assert_eq!(rehearsed, prepared);
            prepared
        }
        other => panic!("{other:?}"),
    }
}

async fn serves(by: &Signer, artifact: Vec<u8>) {
    let bench = by.trusting();
    let with = json!({"config": {"pin": "1234"}});
    bench.serve("hello", artifact, with).await;
    bench.expect_hello().await;
}

#[tokio::test]
async fn a_signed_plugin_serves() {
    let operator = Signer::new();
    let signed = operator.sign(&component("hello"));
    assert_eq!(signed.len(), component("hello").len() + SECTION);
    assert_eq!(claimed_signers(&signed), [operator.key.id()]);
    // Signed once more by the same key, nothing changes.
    assert_eq!(operator.sign(&signed), signed);
    serves(&operator, signed.clone()).await;
    // It serves where nobody has to sign, too.
    let anybody = Bench::new();
    anybody
        .serve("hello", signed, json!({"config": {"pin": "1234"}}))
        .await;
    anybody.expect_hello().await;
}

#[tokio::test]
async fn an_unsigned_plugin_is_refused_with_advice() {
    let error = refused(&Signer::new(), component("hello")).await;
    assert_eq!(error, SignatureError::Unsigned);
    assert!(error.to_string().contains("archstone plugin sign"));
}

#[tokio::test]
async fn a_plugin_that_somebody_else_signed_is_refused() {
    let (operator, stranger) = (Signer::new(), Signer::new());
    let error = refused(&operator, stranger.sign(&component("hello"))).await;
    assert_eq!(error, SignatureError::UnknownSigner(stranger.key.id()));
}

#[tokio::test]
async fn a_changed_byte_anywhere_breaks_the_signature() {
    let operator = Signer::new();
    let signed = operator.sign(&component("hello"));
    let body = signed.len() - SECTION;
    let forged = SignatureError::Forged(operator.key.id());
    for (place, expected) in [
        (body / 2, forged),
        (body - 1, forged),
        (signed.len() - 1, forged),
        (signed.len() - 64, forged),
        // The section is none any more.
        (body, SignatureError::Unsigned),
        (body + 5, SignatureError::Unsigned),
    ] {
        let mut changed = signed.clone();
        changed[place] ^= 1;
        assert_eq!(refused(&operator, changed).await, expected, "at {place}");
    }
    let mut other_key = signed.clone();
    other_key[body + 30] ^= 1;
    let error = refused(&operator, other_key).await;
    assert!(matches!(error, SignatureError::UnknownSigner(_)), "{error}");
}

#[tokio::test]
async fn a_signature_that_is_not_last_is_none() {
    let operator = Signer::new();
    let signed = operator.sign(&component("hello"));
    let error = refused(&operator, rebuilt(signed.clone(), 1)).await;
    assert_eq!(error, SignatureError::Unsigned);
    // Moved behind the component's header.
    let (body, section) = signed.split_at(signed.len() - SECTION);
    let moved = [&body[..8], section, &body[8..]].concat();
    assert_eq!(refused(&operator, moved).await, SignatureError::Unsigned);
}

#[tokio::test]
async fn a_signature_does_not_hold_for_another_component() {
    let operator = Signer::new();
    let signed = operator.sign(&component("hello"));
    let section = &signed[signed.len() - SECTION..];
    let forged = SignatureError::Forged(operator.key.id());
    let duplicated = [signed.as_slice(), section].concat();
    assert_eq!(refused(&operator, duplicated).await, forged);
    let another = [component("totp").as_slice(), section].concat();
    assert_eq!(refused(&operator, another).await, forged);
}

#[tokio::test]
async fn of_two_signatures_one_by_a_trusted_key_is_enough() {
    let (maker, operator, stranger) = (Signer::new(), Signer::new(), Signer::new());
    let both = operator.sign(&maker.sign(&component("hello")));
    let claimed = [operator.key.id(), maker.key.id()];
    assert_eq!(claimed_signers(&both), claimed);
    serves(&maker, both.clone()).await;
    serves(&operator, both.clone()).await;
    let error = refused(&stranger, both.clone()).await;
    assert_eq!(error, SignatureError::UnknownSigner(operator.key.id()));
    // Both trusted, and the later one does not hold: somebody meddled with it.
    let mut changed = both;
    *changed.last_mut().unwrap() ^= 1;
    let forged = SignatureError::Forged(operator.key.id());
    assert_eq!(refused(&operator, changed).await, forged);
}

#[tokio::test]
async fn the_watched_directory_goes_on_with_what_was_signed() {
    let operator = Signer::new();
    let bench = operator.trusting();
    let home = tempfile::tempdir().unwrap();
    let write = |artifact: Vec<u8>| fs::write(home.path().join("hello.wasm"), artifact).unwrap();
    fs::write(
        home.path().join("hello.json"),
        json!({"config": {"pin": "1234"}}).to_string(),
    )
    .unwrap();
    write(operator.sign(&component("hello")));
    let mut directory = PluginDirectory::new(home.path(), bench.registry.clone());
    directory.refresh().await;
    bench.expect_hello().await;
    write(rebuilt(component("hello"), 7));
    directory.refresh().await;
    let status = bench.registry.status().remove(0);
    assert_eq!(status.state, PluginState::ServingOlder);
    let told = status.last_error.unwrap().message;
    assert!(told.contains("not signed"), "{told}");
    bench.expect_hello().await;
}

#[test]
fn keys_are_read_from_a_directory_and_nothing_else_is_taken_for_one() {
    let (one, two) = (Signer::new(), Signer::new());
    let home = tempfile::tempdir().unwrap();
    let read = || Signers::read(home.path());
    assert!(matches!(read(), Err(KeyError::NoSigners { .. })));
    fs::copy(one.public(), home.path().join("one.pub")).unwrap();
    fs::copy(two.public(), home.path().join("two.pem")).unwrap();
    fs::write(home.path().join("README"), "who may sign").unwrap();
    let mut expected = vec![one.key.id(), two.key.id()];
    expected.sort();
    assert_eq!(read().unwrap().ids().collect::<Vec<_>>(), expected);
    // A private key has no place among the public ones.
    fs::copy(one.home.path().join("key.pem"), home.path().join("x.pem")).unwrap();
    assert!(matches!(read(), Err(KeyError::NoPublicKey { .. })));
    let not_private = SigningKey::read(&one.public());
    assert!(matches!(not_private, Err(KeyError::NoPrivateKey { .. })));
    let module = one.key.sign(wat::parse_str("(module)").unwrap());
    assert!(matches!(module, Err(KeyError::NoComponent)));
}
