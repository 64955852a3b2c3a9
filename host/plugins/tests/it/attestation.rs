//! How security keys prove who made them, and what operators may ask of them.

use archstone_plugins::PrepareError;
use rcgen::DnType;
use serde_json::json;

use crate::{
    authenticator::{Attestation, Authenticator, Key, Maker, USER_VERIFIED},
    guests::{Bench, component, settings},
    security_key::{asked_to_create, bench, complete, config, enroll, log_in, try_enroll},
};

const MODEL: [u8; 16] = [7; 16];
const MODEL_IN_WORDS: &str = "07070707-0707-0707-0707-070707070707";

#[tokio::test]
async fn a_key_may_vouch_for_itself_but_not_falsely() {
    let bench = bench(json!({})).await;
    for key in [Key::es256(), Key::eddsa(), Key::rs256()] {
        let mut key = Authenticator::new(key);
        key.attestation = Attestation::Own;
        let enrolled = enroll(&bench, "ada", &mut key).await;
        assert_eq!(enrolled.data["attestation"], "packed");
    }
    let mut key = Authenticator::new(Key::es256());
    key.attestation = Attestation::Own;
    let (options, continuation) = asked_to_create(&bench, "ada", &[]).await;
    let signed_elsewhere = {
        let (other, _) = asked_to_create(&bench, "ada", &[]).await;
        key.create(&other)
    };
    let mut credential = key.create(&options);
    credential["response"]["attestationObject"] =
        signed_elsewhere["response"]["attestationObject"].clone();
    let refused = complete(&bench, "ada", &credential, &continuation).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused, "the attestation's signature does not hold");
}

#[tokio::test]
async fn makers_vouch_for_their_keys() {
    let maker = Maker::new(MODEL);
    let wanted = json!({
        "attestation": "required",
        "attestation_roots": [maker.root],
        "models": [MODEL_IN_WORDS],
    });
    let bench = bench(wanted).await;
    let (options, _) = asked_to_create(&bench, "ada", &[]).await;
    assert_eq!(options["attestation"], "direct");
    let mut key = Authenticator::new(Key::eddsa());
    key.model = MODEL;
    for (attestation, wrong) in [
        (Attestation::None, "the key does not say who made it"),
        (Attestation::Own, "the key does not say who made it"),
        (
            Attestation::Packed(Maker::new(MODEL)),
            "the key was made by nobody who is trusted",
        ),
        (
            Attestation::Packed(Maker::new([8; 16])),
            "the certificate is none of a security key of this model",
        ),
        (
            Attestation::Packed(Maker::of(MODEL, |leaf| {
                let unit = DnType::OrganizationalUnitName;
                leaf.distinguished_name.push(unit, "Web Servers");
            })),
            "the certificate is none of a security key of this model",
        ),
    ] {
        key.attestation = attestation;
        let refused = try_enroll(&bench, "ada", &mut key).await;
        assert_eq!(refused.unwrap_err(), wrong);
    }
    key.attestation = Attestation::Packed(maker);
    let enrolled = enroll(&bench, "ada", &mut key).await;
    assert_eq!(enrolled.data["aaguid"], MODEL_IN_WORDS);
    assert!(log_in(&bench, "ada", &[enrolled], &mut key).await.is_ok());
}

#[tokio::test]
async fn a_trusted_makers_other_models_are_refused() {
    let maker = Maker::new(MODEL);
    let wanted = json!({
        "attestation": "required",
        "attestation_roots": [maker.root],
        "models": ["00000000-0000-0000-0000-000000000001"],
    });
    let bench = bench(wanted).await;
    let mut key = Authenticator::new(Key::es256());
    key.model = MODEL;
    key.attestation = Attestation::Packed(maker);
    let refused = try_enroll(&bench, "ada", &mut key).await;
    assert_eq!(
        refused.unwrap_err(),
        format!("keys of model {MODEL_IN_WORDS} are not taken")
    );
}

#[tokio::test]
async fn keys_of_the_older_standard_are_vouched_for_too() {
    let maker = Maker::new(MODEL);
    let wanted = json!({
        "user_verification": "preferred",
        "attestation": "required",
        "attestation_roots": [maker.root],
    });
    let bench = bench(wanted).await;
    let mut key = Authenticator::new(Key::es256());
    key.flags &= !USER_VERIFIED;
    key.attestation = Attestation::U2f(maker);
    let enrolled = enroll(&bench, "ada", &mut key).await;
    assert_eq!(enrolled.data["attestation"], "fido-u2f");
    assert!(log_in(&bench, "ada", &[enrolled], &mut key).await.is_ok());
    // Such keys have no model.
    key.model = MODEL;
    let refused = try_enroll(&bench, "ada", &mut key).await;
    assert_eq!(refused.unwrap_err(), "the attestation is none of a U2F key");
}

#[tokio::test]
async fn a_configuration_that_proves_nothing_is_refused() {
    let bench = Bench::new();
    for (more, wrong) in [
        (json!({"attestation": "required"}), "/attestation_roots"),
        (json!({"models": [MODEL_IN_WORDS]}), "/models"),
        (
            json!({"attestation": "required", "attestation_roots": ["no PEM"]}),
            "/attestation_roots/0",
        ),
        (json!({"origins": []}), "/origins"),
        (
            json!({"user_verification": "discouraged"}),
            "/user_verification",
        ),
    ] {
        let artifact = component("security-key");
        let refused = bench
            .registry
            .prepare("key", artifact, settings(config(more)));
        match refused.await.map(drop) {
            Err(PrepareError::ConfigRefused { pointer, .. }) => assert_eq!(pointer, wrong),
            other => panic!("expected a refusal at {wrong}, got {other:?}"),
        }
    }
}
