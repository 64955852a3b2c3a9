//! Every kind of payload, with every shape of id.

use archstone_token::{
    AuditId, AuditIds, AuthMethods, DecodedToken, Federation, Methods, OpenedToken, PayloadError,
    TokenKind, TokenPayload,
};
use chrono::{DateTime, Utc};
use proptest::{collection, option, prelude::*};

use crate::golden::tokens;

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{32}",
        "[0-9a-f]{64}",
        Just("default".to_owned()),
        "[a-z]{1,12}\\.example\\.(com|org)",
        "[0-9A-F]{32}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[a-z ]{16}",
        "[0-9]{32}",
        "\\PC{0,40}",
        "[éßñ漢字🏛]{1,20}",
    ]
}

fn federation() -> impl Strategy<Value = Federation> {
    (id(), id(), collection::vec(id(), 0..20)).prop_map(
        |(identity_provider_id, protocol_id, group_ids)| Federation {
            identity_provider_id,
            protocol_id,
            group_ids,
        },
    )
}

fn kind() -> impl Strategy<Value = TokenKind> {
    prop_oneof![
        Just(TokenKind::Unscoped),
        Just(TokenKind::System),
        id().prop_map(|domain_id| TokenKind::Domain { domain_id }),
        id().prop_map(|project_id| TokenKind::Project { project_id }),
        (option::of(id()), id()).prop_map(|(project_id, trust_id)| TokenKind::Trust {
            project_id,
            trust_id
        }),
        federation().prop_map(|federation| TokenKind::FederatedUnscoped { federation }),
        (id(), federation()).prop_map(|(project_id, federation)| TokenKind::FederatedProject {
            project_id,
            federation
        }),
        (id(), federation()).prop_map(|(domain_id, federation)| TokenKind::FederatedDomain {
            domain_id,
            federation
        }),
        (id(), id()).prop_map(|(project_id, access_token_id)| TokenKind::OAuth1 {
            project_id,
            access_token_id
        }),
        (id(), id()).prop_map(|(project_id, application_credential_id)| {
            TokenKind::ApplicationCredential {
                project_id,
                application_credential_id,
            }
        }),
        (option::of(id()), option::of(id()), id()).prop_map(
            |(project_id, domain_id, thumbprint)| TokenKind::OAuth2MutualTls {
                project_id,
                domain_id,
                thumbprint
            }
        ),
    ]
}

pub fn payload() -> impl Strategy<Value = TokenPayload> {
    let audit_id = || any::<[u8; 16]>().prop_map(AuditId::from_bytes);
    (
        id(),
        any::<u64>(),
        (audit_id(), option::of(audit_id())),
        time(),
        kind(),
    )
        .prop_map(
            |(user_id, methods, (own, parent), expires_at, kind)| TokenPayload {
                user_id,
                methods: Methods::from_bits(methods),
                audit_ids: AuditIds { own, parent },
                expires_at,
                kind,
            },
        )
}

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (0..=253_402_300_799_i64).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
}

proptest! {
    #[test]
    fn what_is_sealed_is_what_opens(payload in payload(), issued_at in time()) {
        let opened = tokens().open(&tokens().seal(&payload, issued_at));
        prop_assert_eq!(opened, Ok(OpenedToken { payload, issued_at }));
    }

    #[test]
    fn the_decoded_view_says_everything(payload in payload(), issued_at in time()) {
        let table = AuthMethods::default();
        let known = table.encode(table.names(payload.methods));
        let token = OpenedToken {
            payload: TokenPayload { methods: known, ..payload },
            issued_at,
        };
        let json = serde_json::to_string(&DecodedToken::new(&token, &table)).unwrap();
        let decoded: DecodedToken = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(decoded.into_token(&table), Ok(token));
    }
}

fn sample(kind: TokenKind) -> TokenPayload {
    TokenPayload {
        user_id: "488a5d7221ba453cb85a07b982334721".to_owned(),
        methods: AuthMethods::default().encode(["password"]),
        audit_ids: AuditIds::first(AuditId::from_bytes([7; 16])),
        expires_at: DateTime::from_timestamp(4_070_995_445, 0).unwrap(),
        kind,
    }
}

#[test]
fn a_fraction_of_a_second_is_dropped() {
    let expires_at = DateTime::from_timestamp(4_070_995_445, 999_999_999).unwrap();
    let payload = TokenPayload {
        expires_at,
        ..sample(TokenKind::Unscoped)
    };
    let opened = tokens().open(&tokens().seal(&payload, expires_at)).unwrap();
    assert_eq!(opened.payload.expires_at.timestamp_subsec_nanos(), 0);
    assert_eq!(opened.issued_at.timestamp(), 4_070_995_445);
}

#[test]
fn a_token_made_from_a_token_keeps_the_first_audit_id_of_its_chain() {
    let [first, second, third] = [1, 2, 3].map(|byte| AuditId::from_bytes([byte; 16]));
    let chain = AuditIds::first(first).next(second).next(third);
    assert_eq!(chain.iter().collect::<Vec<_>>(), [third, first]);
    assert_eq!(chain.chain(), first);
}

#[test]
fn methods_are_named_last_configured_first() {
    let table = AuthMethods::default();
    let methods = table.encode(["password", "token", "unheard-of"]);
    assert_eq!(table.names(methods), ["token", "password"]);
    assert!(table.contains(methods, "token"));
    assert!(!table.contains(methods, "unheard-of"));
    assert!(AuthMethods::new((0..65).map(|n| n.to_string())).is_err());
}

#[test]
fn methods_that_only_another_server_knows_survive_unnamed() {
    let payload = TokenPayload {
        methods: Methods::from_bits(1 << 40 | 2),
        ..sample(TokenKind::Unscoped)
    };
    let opened = TokenPayload::decode(&payload.encode()).unwrap();
    assert_eq!(opened.methods, payload.methods);
    assert_eq!(AuthMethods::default().names(opened.methods), ["password"]);
}

#[test]
fn a_payload_of_a_version_to_come_is_refused() {
    let mut payload = sample(TokenKind::Unscoped).encode();
    payload[1] = 11;
    assert_eq!(
        TokenPayload::decode(&payload),
        Err(PayloadError::UnknownVersion(11))
    );
}

#[test]
fn every_truncation_and_any_trailing_byte_is_refused() {
    let mut payload = sample(TokenKind::FederatedProject {
        project_id: "p".to_owned(),
        federation: Federation {
            identity_provider_id: "idp".to_owned(),
            protocol_id: "openid".to_owned(),
            group_ids: vec!["g".to_owned()],
        },
    })
    .encode();
    for length in 0..payload.len() {
        assert!(TokenPayload::decode(&payload[..length]).is_err());
    }
    payload.push(0);
    assert_eq!(
        TokenPayload::decode(&payload),
        Err(PayloadError::Malformed("end"))
    );
}

#[test]
fn a_claimed_length_reserves_no_memory() {
    let four_billion_groups = [&[0x98, 4, 0x92, 0xc2, 0xa1, b'u', 0][..], &[0xdd; 5]].concat();
    assert_eq!(
        TokenPayload::decode(&four_billion_groups),
        Err(PayloadError::Malformed("groups"))
    );
}

#[test]
fn a_time_that_is_no_time_is_refused() {
    for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        let mut payload = sample(TokenKind::Unscoped).encode();
        let expiry = payload.iter().position(|byte| *byte == 0xcb).unwrap();
        payload[expiry + 1..expiry + 9].copy_from_slice(&seconds.to_be_bytes());
        assert_eq!(
            TokenPayload::decode(&payload),
            Err(PayloadError::Malformed("time"))
        );
    }
}

#[test]
fn ids_packed_by_a_keystone_without_byte_strings_are_read() {
    let packed = [0xF4; 16];
    let mut payload = vec![0x96, 1, 0x92, 0xc3, 0xb0];
    payload.extend(packed);
    payload.push(2);
    payload.push(0xb0);
    payload.extend(packed);
    payload.push(0xcb);
    payload.extend(4_070_995_445_f64.to_be_bytes());
    payload.extend([0x91, 0xb0]);
    payload.extend([7; 16]);
    let opened = TokenPayload::decode(&payload).unwrap();
    assert_eq!(opened.user_id, "f4".repeat(16));
    assert_eq!(opened.kind.domain_id(), Some("f4".repeat(16).as_str()));
}
