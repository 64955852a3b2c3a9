//! Signed tokens.

use std::{fs, path::Path};

use archstone_token::{
    AuthMethods, JwsKeyError, JwsKeyPair, JwsKeyRepository, JwsTokens, OpenedToken, TokenError,
    TokenSealer,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::golden::{golden_tokens, tokens};

fn repository(root: &TempDir) -> JwsKeyRepository {
    let path = |name: &str| root.path().join(name);
    JwsKeyRepository {
        private_directory: path("private"),
        public_directory: path("public"),
    }
}

/// A node with a key pair of its own.
fn node() -> (TempDir, JwsTokens) {
    let root = tempfile::tempdir().unwrap();
    let repository = repository(&root);
    fs::create_dir(&repository.private_directory).unwrap();
    fs::create_dir(&repository.public_directory).unwrap();
    JwsKeyPair::generate()
        .unwrap()
        .write_to(&repository.private_directory)
        .unwrap();
    publish(&root, &root, "own.pem");
    let tokens = JwsTokens::load(repository, AuthMethods::default()).unwrap();
    (root, tokens)
}

/// Gives `to` the public key of `from`.
fn publish(from: &TempDir, to: &TempDir, name: &str) {
    let key = from.path().join("private/public.pem");
    fs::copy(key, to.path().join("public").join(name)).unwrap();
}

fn opened_golden_tokens() -> impl Iterator<Item = OpenedToken> {
    golden_tokens().map(|golden| tokens().open(&golden.token).unwrap())
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn every_kind_of_token_can_be_signed_and_opened() {
    let (_root, tokens) = node();
    let sealer = TokenSealer::Jws(tokens);
    for token in opened_golden_tokens() {
        let signed = sealer.seal(&token.payload, token.issued_at).unwrap();
        assert_eq!(sealer.open(&signed), Ok(token));
    }
}

#[test]
fn the_claims_are_keystones() {
    let (_root, tokens) = node();
    let token = opened_golden_tokens().nth(6).unwrap();
    let signed = tokens.seal(&token.payload, token.issued_at).unwrap();
    assert_eq!(part(&signed, 0), json!({"alg": "ES256", "typ": "JWT"}));
    assert_eq!(
        part(&signed, 1),
        json!({
            "sub": token.payload.user_id,
            "iat": token.issued_at.timestamp(),
            "exp": token.payload.expires_at.timestamp(),
            "openstack_methods": ["mapped"],
            "openstack_audit_ids": [token.payload.audit_ids.own.to_string()],
            "openstack_group_ids": token.payload.kind.federation().unwrap().group_ids
                .iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
            "openstack_idp_id": "keycloak",
            "openstack_protocol_id": "openid",
        })
    );
}

#[test]
fn another_nodes_tokens_open_once_its_public_key_is_here() {
    let (one, one_tokens) = node();
    let (two, two_tokens) = node();
    let token = opened_golden_tokens().next().unwrap();
    let signed = one_tokens.seal(&token.payload, token.issued_at).unwrap();
    assert_eq!(two_tokens.open(&signed), Err(TokenError::NotRecognized));
    assert!(!two_tokens.reload_if_changed().unwrap());
    publish(&one, &two, "one.pem");
    assert!(two_tokens.reload_if_changed().unwrap());
    assert_eq!(two_tokens.open(&signed), Ok(token));
}

#[test]
fn an_altered_token_is_refused() {
    let (_root, tokens) = node();
    let token = opened_golden_tokens().next().unwrap();
    let signed = tokens.seal(&token.payload, token.issued_at).unwrap();
    for position in 0..signed.len() {
        let mut altered = signed.clone().into_bytes();
        altered[position] = if altered[position] == b'A' {
            b'Q'
        } else {
            b'A'
        };
        assert!(tokens.open(str::from_utf8(&altered).unwrap()).is_err());
    }
}

#[test]
fn only_es256_is_accepted() {
    let (_root, tokens) = node();
    let token = opened_golden_tokens().next().unwrap();
    let signed = tokens.seal(&token.payload, token.issued_at).unwrap();
    let (_, rest) = signed.split_once('.').unwrap();
    let headers = [
        json!({"alg": "none"}),
        json!({"alg": "HS256", "typ": "JWT"}),
        json!({"alg": "ES256", "crit": ["b64"]}),
    ];
    for header in headers {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let forged = format!("{header}.{rest}");
        assert_eq!(tokens.open(&forged), Err(TokenError::WrongForm));
    }
    let (unsigned, _) = signed.rsplit_once('.').unwrap();
    assert!(tokens.open(&format!("{unsigned}.")).is_err());
}

#[test]
fn a_node_without_a_private_key_opens_but_does_not_sign() {
    let (root, tokens) = node();
    let token = opened_golden_tokens().next().unwrap();
    let signed = tokens.seal(&token.payload, token.issued_at).unwrap();
    fs::remove_file(root.path().join("private/private.pem")).unwrap();
    tokens.reload_if_changed().unwrap();
    assert_eq!(tokens.open(&signed), Ok(token.clone()));
    assert_eq!(
        tokens.seal(&token.payload, token.issued_at),
        Err(TokenError::NoSigningKey)
    );
}

#[test]
fn what_is_no_key_is_refused_or_passed_over() {
    let (root, _) = node();
    let public = root.path().join("public");
    fs::write(public.join("README"), "public keys").unwrap();
    assert!(JwsTokens::load(repository(&root), AuthMethods::default()).is_ok());
    fs::remove_file(public.join("own.pem")).unwrap();
    assert!(matches!(
        JwsTokens::load(repository(&root), AuthMethods::default()),
        Err(JwsKeyError::NoPublicKeys { .. })
    ));
    publish(&root, &root, "own.pem");
    fs::write(root.path().join("private/private.pem"), "nonsense").unwrap();
    assert!(matches!(
        JwsTokens::load(repository(&root), AuthMethods::default()),
        Err(JwsKeyError::InvalidPrivateKey { .. })
    ));
}

#[test]
fn a_key_pair_is_never_overwritten_and_never_printed() {
    let root = tempfile::tempdir().unwrap();
    let pair = JwsKeyPair::generate().unwrap();
    pair.write_to(root.path()).unwrap();
    assert!(matches!(
        pair.write_to(root.path()),
        Err(JwsKeyError::Io { .. })
    ));
    let private = fs::read_to_string(Path::new(root.path()).join("private.pem")).unwrap();
    let secret = private.lines().nth(1).unwrap();
    assert!(!format!("{pair:?}").contains(secret));
}
