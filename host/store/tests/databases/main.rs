//! The store on SQLite, MariaDB and PostgreSQL: one set of tests, and what must be the same on all
//! three. `cargo xtask test` starts the two servers and names them in `ARCHSTONE_TEST_MARIADB` and
//! `ARCHSTONE_TEST_POSTGRESQL`; without these only SQLite is tested.

#![allow(clippy::unwrap_used)]

mod fresh;
mod trouble;

use std::collections::BTreeSet;

use archstone_model::{
    Extra,
    directory::{EntryKind, IdMapping},
    domain_config::{CompleteConfig, ConfigOption, ConfigValue},
    entity::Entity,
    federation::{IdentityProvider, Protocol},
    id::{DomainId, ProjectId, TrustId, UserId},
    listing::{Change, Comparison, NameFilter, Page},
    mapping::Mapping,
    revocation::RevocationEvent,
    trust::Trust,
    user::{FederatedAccount, NewPassword, NewUser, UserFilter, UserKind, UserOptions, UserPatch},
};
use archstone_store::{Error, LastRevocation, MOST_UNDER_WAY, PoolOptions, SchemaState, Store};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use fresh::{Fresh, Kind, fresh};
use trouble::a_database_whose_tables_cannot_be_read_gives_no_sign_of_life;

macro_rules! on_each_database {
    ($($test:ident)*) => {
        on_each_database!(@in sqlite, Kind::Sqlite, $($test)*);
        on_each_database!(@in mariadb, Kind::MariaDb, $($test)*);
        on_each_database!(@in postgresql, Kind::Postgres, $($test)*);
    };
    (@in $module:ident, $kind:expr, $($test:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $test() {
                    if let Some(fresh) = fresh($kind).await {
                        super::$test(&fresh).await;
                    }
                }
            )*
        }
    };
}

on_each_database! {
    sync_again_changes_nothing
    a_user_comes_back_as_stored
    times_keep_their_microseconds
    a_taken_name_is_a_conflict
    names_differ_by_case_where_the_database_says_so
    exact_names_are_found_as_they_are_written_only
    a_renewed_hash_replaces_the_one_it_was_made_from
    a_domains_driver_gets_its_secrets_last
    pages_show_everyone_once
    filters_take_their_text_literally
    no_failed_login_is_lost
    a_trust_gives_no_more_tokens_than_it_has
    only_one_takes_a_state
    a_deleted_user_leaves_nothing
    an_entry_of_a_directory_keeps_its_id
    a_user_of_a_directory_is_kept_once
    an_entry_gets_no_id_of_a_user_with_an_account_elsewhere
    revocations_are_found_by_the_second
    revocations_since_the_last_are_told_with_it
    nodes_notice_what_others_change
    a_database_whose_tables_cannot_be_read_gives_no_sign_of_life
}

/// A time that every database can hold exactly.
fn a_time() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap()
}

fn user(id: &str, name: &str) -> NewUser {
    NewUser {
        id: UserId::from(id),
        domain_id: "default".into(),
        name: name.to_owned(),
        enabled: true,
        default_project_id: None,
        password: None,
        options: UserOptions::default(),
        federated: Vec::new(),
        extra: Extra::new(),
        created_at: a_time(),
    }
}

/// A store with the domain that users and projects are in.
async fn with_domain(fresh: &Fresh) -> &Store {
    use archstone_model::project::{Project, ResourceOptions};
    let domain = Project {
        id: ProjectId::from("default"),
        name: "Default".to_owned(),
        domain_id: None,
        parent_id: None,
        is_domain: true,
        enabled: true,
        description: None,
        tags: Vec::new(),
        options: ResourceOptions::default(),
        extra: Extra::new(),
    };
    fresh.store.create_project(&domain).await.unwrap();
    &fresh.store
}

async fn sync_again_changes_nothing(fresh: &Fresh) {
    fresh.store.sync().await.unwrap();
    let ready = SchemaState::Keystone30 {
        archstone_tables: true,
    };
    assert_eq!(fresh.store.schema_state().await.unwrap(), ready);
}

async fn a_user_comes_back_as_stored(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let mut new = user("u1", "Zoë Ωmega №1 ' \" \\ --");
    new.extra
        .insert("email".to_owned(), "zoë@example.org".into());
    new.extra.insert(
        "nested".to_owned(),
        serde_json::json!({"a": [1, null, true]}),
    );
    new.options.lock_password = Some(true);
    new.options.multi_factor_auth_rules = Some(vec![vec!["password".into(), "totp".into()]]);
    let created = store.create_user(&new).await.unwrap();
    assert_eq!(created.name, new.name);
    assert_eq!(created.extra, new.extra);
    assert_eq!(created.options, new.options);
    assert!(created.enabled);
    assert_eq!(store.user(&new.id).await.unwrap(), created);
    assert_eq!(
        store.user_by_name(&new.name, &new.domain_id).await.unwrap(),
        created
    );

    let patch = UserPatch {
        enabled: Change::Set(false),
        name: Change::Set("Zoe".to_owned()),
        ..UserPatch::default()
    };
    let updated = store.update_user(&new.id, &patch).await.unwrap();
    assert!(!updated.enabled);
    assert_eq!(updated.name, "Zoe");
    assert_eq!(updated.extra, new.extra);
}

async fn times_keep_their_microseconds(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let mut new = user("u1", "alice");
    new.password = Some(NewPassword {
        hash: "$2b$04$hash".to_owned(),
        created_at: a_time(),
        expires_at: Some(a_time()),
        self_service: true,
    });
    store.create_user(&new).await.unwrap();
    let account = store.user_with_passwords(&new.id).await.unwrap();
    let password = &account.passwords[0];
    assert_eq!(password.hash.as_deref(), Some("$2b$04$hash"));
    assert_eq!(password.created_at, a_time());
    assert!(password.self_service);
    // Keystone's column has whole seconds on MariaDB.
    let off = password.expires_at.unwrap() - a_time();
    assert!(off.abs() < TimeDelta::seconds(1), "{off}");
}

async fn a_taken_name_is_a_conflict(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    store.create_user(&user("u1", "alice")).await.unwrap();
    let refused = store.create_user(&user("u2", "alice")).await.unwrap_err();
    let about_a_user = |error: &Error| {
        matches!(
            error,
            Error::Conflict {
                entity: Entity::User,
                ..
            }
        )
    };
    assert!(about_a_user(&refused), "{refused}");
    assert!(
        store.user(&UserId::from("u2")).await.is_err(),
        "half a user is left"
    );
    store.create_user(&user("u2", "bob")).await.unwrap();
    let patch = UserPatch {
        name: Change::Set("alice".to_owned()),
        ..UserPatch::default()
    };
    let refused = store
        .update_user(&UserId::from("u2"), &patch)
        .await
        .unwrap_err();
    assert!(about_a_user(&refused), "{refused}");
}

async fn names_differ_by_case_where_the_database_says_so(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    store.create_user(&user("u1", "Alice")).await.unwrap();
    let other = store.create_user(&user("u2", "alice")).await;
    // Keystone's MySQL tables have a collation that does not tell the two apart.
    assert_eq!(other.is_err(), fresh.kind == Kind::MariaDb);
}

async fn exact_names_are_found_as_they_are_written_only(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    store.create_user(&user("u1", "Alice")).await.unwrap();
    let domain = "default".into();
    let by_name = |name: &str| UserFilter {
        names: vec![NameFilter {
            comparison: Comparison::Equals,
            value: name.to_owned(),
        }],
        ..UserFilter::default()
    };
    for (exact_names, name) in [(false, "alice"), (true, "alice"), (true, "Alice")] {
        let store = store.clone().with_exact_names(exact_names);
        let found = name == "Alice" || (!exact_names && fresh.kind == Kind::MariaDb);
        let user = store.user_by_name(name, &domain).await;
        assert_eq!(user.is_ok(), found, "{name}");
        let users = store.users(&by_name(name)).await.unwrap();
        assert_eq!(!users.is_empty(), found, "{name}");
    }
    let exact = store.clone().with_exact_names(true);
    assert!(exact.domain_by_name("Default").await.is_ok());
    assert!(exact.domain_by_name("default").await.is_err());
    let not_exact = store.domain_by_name("default").await;
    assert_eq!(not_exact.is_ok(), fresh.kind == Kind::MariaDb);
}

async fn a_renewed_hash_replaces_the_one_it_was_made_from(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let mut new = user("u1", "alice");
    new.password = Some(NewPassword {
        hash: "old".to_owned(),
        created_at: a_time(),
        expires_at: None,
        self_service: false,
    });
    store.create_user(&new).await.unwrap();
    let id = UserId::from("u1");
    let hash = async || {
        let account = store.user_with_passwords(&id).await.unwrap();
        let [password] = &account.passwords[..] else {
            panic!("{:?}", account.passwords);
        };
        assert_eq!(password.created_at, a_time());
        password.hash.clone().unwrap()
    };
    store
        .renew_password_hash(&id, "other", "new")
        .await
        .unwrap();
    assert_eq!(hash().await, "old");
    store.renew_password_hash(&id, "old", "new").await.unwrap();
    assert_eq!(hash().await, "new");
}

async fn a_domains_driver_gets_its_secrets_last(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let (acme, other) = ("default".into(), "other".into());
    let option = |option: &str, value| ConfigOption {
        group: "ldap".to_owned(),
        option: option.to_owned(),
        value,
    };
    let password = ConfigValue::Sensitive("\"hunter2\"".into());
    let url = ConfigValue::Readable("ldap://%(password)s@x".into());
    let options = [option("password", password), option("url", url)];
    store.set_domain_config(&acme, &options).await.unwrap();
    let complete = store.complete_domain_config(&acme).await.unwrap();
    let names: Vec<&str> = complete.iter().map(|one| one.option.as_str()).collect();
    assert_eq!(names, ["url", "password"]);
    let (config, bad) = CompleteConfig::new(complete);
    assert_eq!(bad, []);
    let url = config.expose("ldap", "url").unwrap();
    assert_eq!(url, "ldap://hunter2@x");
    assert!(
        store
            .complete_domain_config(&other)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn pages_show_everyone_once(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    for number in 0..25 {
        let id = uuid::Uuid::new_v4().simple().to_string();
        store
            .create_user(&user(&id, &format!("user {number}")))
            .await
            .unwrap();
    }
    let (mut seen, mut marker) = (Vec::new(), None);
    loop {
        let page = Page {
            limit: Some(10),
            marker: marker.clone(),
        };
        let filter = UserFilter {
            page,
            ..UserFilter::default()
        };
        let found = store.users(&filter).await.unwrap();
        let Some(last) = found.last() else { break };
        marker = Some(last.id.to_string());
        seen.extend(found.into_iter().map(|user| user.name));
    }
    assert_eq!(seen.len(), 25);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 25);
}

async fn filters_take_their_text_literally(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    for (id, name) in [
        ("1", "100% sure"),
        ("2", "100 x sure"),
        ("3", "a_b"),
        ("4", "aXb"),
        ("5", "Ab"),
    ] {
        store.create_user(&user(id, name)).await.unwrap();
    }
    let found = async |comparison, value: &str| {
        let filter = UserFilter {
            names: vec![NameFilter {
                comparison,
                value: value.to_owned(),
            }],
            ..UserFilter::default()
        };
        let users = store.users(&filter).await.unwrap();
        users
            .into_iter()
            .map(|user| user.id.to_string())
            .collect::<String>()
    };
    assert_eq!(found(Comparison::Contains, "0%").await, "1");
    assert_eq!(found(Comparison::Contains, "a_b").await, "3");
    assert_eq!(found(Comparison::StartsWith, "a").await, "34");
    assert_eq!(found(Comparison::StartsWithIgnoringCase, "A").await, "345");
    assert_eq!(found(Comparison::EndsWith, "\\").await, "");
    assert_eq!(found(Comparison::EqualsIgnoringCase, "AB").await, "5");
    assert_eq!(found(Comparison::Contains, "' OR '1'='1").await, "");
}

async fn no_failed_login_is_lost(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let new = user("u1", "alice");
    store.create_user(&new).await.unwrap();
    let attempts = (0..20).map(|_| store.record_failed_login(&new.id, a_time()));
    for attempt in join_all(attempts).await {
        attempt.unwrap();
    }
    let account = store.user_with_passwords(&new.id).await.unwrap();
    assert_eq!(account.failed_auth_count, 20);
}

async fn a_trust_gives_no_more_tokens_than_it_has(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let trust = Trust {
        id: TrustId::from("t1"),
        trustor_user_id: UserId::from("u1"),
        trustee_user_id: UserId::from("u2"),
        project_id: Some(ProjectId::from("default")),
        impersonation: false,
        roles: Vec::new(),
        expires_at: None,
        remaining_uses: Some(5),
        redelegated_trust_id: None,
        redelegation_count: Some(0),
        extra: Extra::new(),
    };
    store.create_trust(&trust).await.unwrap();
    let uses = join_all((0..20).map(|_| store.consume_trust(&trust.id))).await;
    let given = uses
        .into_iter()
        .filter(|used| *used.as_ref().unwrap())
        .count();
    assert_eq!(given, 5);
}

async fn only_one_takes_a_state(fresh: &Fresh) {
    let (store, later) = (&fresh.store, a_time() + TimeDelta::hours(1));
    store
        .put_state("plugin", "nonce", "v", later)
        .await
        .unwrap();
    let read = |name, now| store.state("plugin", name, now);
    for _ in 0..2 {
        let there = read("nonce", a_time()).await.unwrap();
        assert_eq!(there.as_deref(), Some("v"));
    }
    assert_eq!(read("nonce", later).await.unwrap(), None);
    assert_eq!(read("other", a_time()).await.unwrap(), None);
    let takes = join_all((0..16).map(|_| store.take_state("plugin", "nonce", a_time()))).await;
    let given = takes
        .into_iter()
        .filter(|taken| taken.as_ref().unwrap().is_some())
        .count();
    assert_eq!(given, 1);
    let puts = (0..16).map(|_| store.put_state_if_absent("plugin", "once", "v", a_time(), later));
    let put = join_all(puts)
        .await
        .into_iter()
        .filter(|put| *put.as_ref().unwrap())
        .count();
    assert_eq!(put, 1);
}

async fn a_deleted_user_leaves_nothing(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let mut new = user("u1", "alice");
    new.options.lock_password = Some(true);
    new.password = Some(NewPassword {
        hash: "$2b$04$hash".to_owned(),
        created_at: a_time(),
        expires_at: None,
        self_service: false,
    });
    store.create_user(&new).await.unwrap();
    store.delete_user(&new.id).await.unwrap();
    let again = store.delete_user(&new.id).await.unwrap_err();
    assert!(matches!(again, Error::NotFound { .. }), "{again}");
    new.password = None;
    new.options = UserOptions::default();
    let back = store.create_user(&new).await.unwrap();
    assert_eq!(back.options, UserOptions::default());
    assert!(
        store
            .user_with_passwords(&new.id)
            .await
            .unwrap()
            .passwords
            .is_empty()
    );
}

async fn an_entry_of_a_directory_keeps_its_id(fresh: &Fresh) {
    let (store, domain) = (&fresh.store, DomainId::from("default"));
    let local: Vec<String> = (0..1200).map(|number| format!("Ü{number}")).collect();
    let made = |local_id: &str| format!("public-{local_id}");
    let ids = store.public_ids(&domain, EntryKind::User, &local, made);
    let ids = ids.await.unwrap();
    assert_eq!((ids.len(), ids["Ü7"].as_str()), (1200, "public-Ü7"));
    let other = |local_id: &str| format!("other-{local_id}");
    let again = store.public_ids(&domain, EntryKind::User, &local[..10], other);
    assert_eq!(again.await.unwrap()["Ü7"], "public-Ü7");
    let groups = store.public_ids(&domain, EntryKind::Group, &local[..10], other);
    assert_eq!(groups.await.unwrap()["Ü7"], "other-Ü7");
    let mapping = store.id_mapping("other-Ü7").await.unwrap().unwrap();
    let expected = IdMapping {
        public_id: "other-Ü7".to_owned(),
        domain_id: domain.clone(),
        local_id: "Ü7".to_owned(),
        kind: EntryKind::Group,
    };
    assert_eq!(mapping, expected);
    assert_eq!(store.id_mapping("Ü7").await.unwrap(), None);
    // Every node may see an entry first.
    let racing = (0..8).map(|_| {
        let new = vec!["new".to_owned(), "newer".to_owned()];
        let (store, domain) = (store.clone(), domain.clone());
        async move { store.public_ids(&domain, EntryKind::User, &new, made).await }
    });
    for ids in join_all(racing).await {
        assert_eq!(ids.unwrap()["newer"], "public-newer");
    }
    // Where the database takes two spellings for the same, there is one id; where not, two.
    let loud = ["NEW".to_owned()];
    let spelled = store.public_ids(&domain, EntryKind::User, &loud, other);
    let expected = match fresh.kind {
        Kind::MariaDb => "public-new",
        _ => "other-NEW",
    };
    assert_eq!(spelled.await.unwrap()["NEW"], expected);
}

async fn an_entry_gets_no_id_of_a_user_with_an_account_elsewhere(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let domain = DomainId::from("default");
    let provider = IdentityProvider {
        id: "idp".into(),
        domain_id: domain.clone(),
        enabled: true,
        description: None,
        authorization_ttl: None,
        remote_ids: Vec::new(),
    };
    store
        .create_identity_provider(&provider, None)
        .await
        .unwrap();
    let mapping = Mapping {
        id: "mapping".into(),
        rules: serde_json::json!([]),
        schema_version: "1.0".to_owned(),
    };
    store.create_mapping(&mapping).await.unwrap();
    let protocol = Protocol {
        id: "saml2".into(),
        idp_id: "idp".into(),
        mapping_id: "mapping".into(),
        remote_id_attribute: None,
    };
    store.create_protocol(&protocol).await.unwrap();
    let mut new = user("public-ada", "ada");
    new.federated = vec![FederatedAccount {
        idp_id: "idp".into(),
        protocol_id: "saml2".into(),
        unique_id: "ada".to_owned(),
        display_name: None,
    }];
    store.create_user(&new).await.unwrap();
    let local = ["ada".to_owned(), "eve".to_owned()];
    let made = |local_id: &str| format!("public-{local_id}");
    let ids = store.public_ids(&domain, EntryKind::User, &local, made);
    assert_eq!(ids.await.unwrap().keys().collect::<Vec<_>>(), ["eve"]);
}

async fn a_user_of_a_directory_is_kept_once(fresh: &Fresh) {
    let store = with_domain(fresh).await;
    let mut one = store.create_user(&user("x", "x")).await.unwrap();
    one.id = UserId::from("first");
    one.name = "Ada".to_owned();
    one.extra.insert("email".to_owned(), "ada@x".into());
    for _ in 0..2 {
        store.keep_nonlocal_user(&one, a_time()).await.unwrap();
    }
    let kept = store.user(&one.id).await.unwrap();
    assert_eq!((kept.name.as_str(), kept.kind), ("Ada", UserKind::NonLocal));
    // MariaDB keeps seconds.
    let made_at = kept.created_at.map(|time| time.timestamp());
    let expected = Some(a_time().timestamp());
    assert_eq!((kept.extra, made_at), (one.extra.clone(), expected));
    // Somebody else has the name now.
    one.id = UserId::from("second");
    store.keep_nonlocal_user(&one, a_time()).await.unwrap();
    let domain = DomainId::from("default");
    assert_eq!(store.user_by_name("Ada", &domain).await.unwrap().id, one.id);
}

async fn revocations_are_found_by_the_second(fresh: &Fresh) {
    let store = &fresh.store;
    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let event = RevocationEvent {
        audit_id: Some("audit".to_owned()),
        ..RevocationEvent::at(at)
    };
    store
        .record_revocation(&event, at - TimeDelta::days(1))
        .await
        .unwrap();
    let covering = async |seconds| {
        let issued_at = at + TimeDelta::seconds(seconds);
        store.revocations_covering(issued_at).await.unwrap().len()
    };
    assert_eq!(
        (covering(-1).await, covering(0).await, covering(1).await),
        (1, 1, 0)
    );
    assert_eq!(
        store.revocations(None).await.unwrap()[0].audit_id,
        event.audit_id
    );
}

async fn revocations_since_the_last_are_told_with_it(fresh: &Fresh) {
    let store = &fresh.store;
    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let revoke = async |seconds| {
        let event = RevocationEvent::at(at + TimeDelta::seconds(seconds));
        let oldest = at - TimeDelta::days(1);
        store.record_revocation(&event, oldest).await.unwrap();
        let all = store.revocations_after(0).await.unwrap();
        let last = all.into_keys().next_back().unwrap();
        assert!(store.revocations_after(last).await.unwrap().is_empty());
        last
    };
    let old = revoke(0).await;
    let last = revoke(1).await;
    let since = async |number, seconds| {
        let since = at + TimeDelta::seconds(seconds);
        let last = LastRevocation { number, since };
        let events = store.revocations_since(last).await.unwrap();
        events.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(since(last, 60).await, [last]);
    assert_eq!(since(last, -60).await, [old, last]);
    let newer = revoke(90).await;
    assert_eq!(since(last, 60).await, [last, newer]);
    assert!(since(last + MOST_UNDER_WAY * 2, -60).await.is_empty());
}

async fn nodes_notice_what_others_change(fresh: &Fresh) {
    let here = with_domain(fresh).await;
    let there = Store::connect(&fresh.url, &PoolOptions::default())
        .await
        .unwrap();
    assert_eq!(there.generation(), None);
    there.look_for_changes().await.unwrap();
    let known = there.generation().unwrap();

    let ids: Vec<_> = (0..8).map(|number| number.to_string()).collect();
    let new: Vec<_> = ids.iter().map(|id| user(id, id)).collect();
    for created in join_all(new.iter().map(|user| here.create_user(user))).await {
        created.unwrap();
    }
    there.look_for_changes().await.unwrap();
    assert_eq!(
        there.generation(),
        Some(known),
        "no token speaks of somebody new"
    );

    let deleted = join_all(new.iter().map(|user| here.delete_user(&user.id))).await;
    assert!(deleted.iter().all(Result::is_ok));
    there.look_for_changes().await.unwrap();
    let after_deletion = there.generation().unwrap();
    assert_ne!(after_deletion.tokens, known.tokens);
    assert_eq!(after_deletion.revocations, known.revocations);

    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let event = RevocationEvent::at(at);
    here.record_revocation(&event, at).await.unwrap();
    there.look_for_changes().await.unwrap();
    let after_revocation = there.generation().unwrap();
    assert_eq!(after_revocation.tokens, after_deletion.tokens);
    assert_ne!(after_revocation.revocations, after_deletion.revocations);

    here.forget_gone_nodes().await.unwrap();
    there.look_for_changes().await.unwrap();
    assert_eq!(
        there.generation(),
        Some(after_revocation),
        "both nodes wrote just now"
    );
}
