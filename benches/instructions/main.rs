//! Runs one hot path so often as it is told, for a tool that counts instructions: `cargo xtask
//! instructions`. What all rounds share costs the same however many there are.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use archstone_model::{
    catalog_url::UrlTemplate,
    id::{DomainId, GroupId, ProjectId, RoleId, UserId},
    mapping::{Assertion, Rules},
    policy::{Credentials, PolicyEngine, PolicyOptions, Target as PolicyTarget},
    revocation::{RevocationEvent, RevocationIndex, RevocationSubject},
    role::{Actor, Assignment, ImpliedRole, Target},
    roles::{Place, RoleInference, effective_roles},
};
use archstone_token::{FernetTokens, KeyRing, KeySet};
use chrono::{DateTime, TimeDelta};
use clap::Parser;
use serde_json::{Value, json};

const GOLDEN: &str = include_str!("../../host/token/tests/it/golden-tokens.json");
const TOKEN: &str = "project uuid, uuid user";

/// Runs a hot path.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which one; all are listed if left out.
    path: Option<String>,
    /// How often.
    #[arg(default_value_t = 1)]
    rounds: u32,
}

type Path = Box<dyn Fn()>;

fn main() {
    let arguments = Arguments::parse();
    let paths: BTreeMap<&str, fn() -> Path> = BTreeMap::from([
        ("effective-roles", roles as fn() -> Path),
        ("endpoint-url", endpoint_url),
        ("mapping", mapping),
        ("policy", policy),
        ("revocation", revocation),
        ("token-open", open),
        ("token-seal", seal),
    ]);
    let Some(name) = &arguments.path else {
        for name in paths.keys() {
            println!("{name}");
        }
        return;
    };
    let path = paths[name.as_str()]();
    for _ in 0..arguments.rounds {
        path();
    }
}

fn tokens() -> (FernetTokens, String) {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let keys = ["1", "0"].map(|number| golden["keys"][number].as_str().unwrap());
    let token = golden["tokens"].as_array().unwrap().iter();
    let token = token.clone().find(|token| token["name"] == TOKEN).unwrap();
    let keys = KeySet::from_base64(keys.map(str::to_owned)).unwrap();
    (
        FernetTokens::new(Arc::new(KeyRing::fixed(keys))),
        token["token"].as_str().unwrap().to_owned(),
    )
}

fn open() -> Path {
    let (tokens, token) = tokens();
    Box::new(move || {
        black_box(tokens.open(black_box(&token)).unwrap());
    })
}

fn seal() -> Path {
    let (tokens, token) = tokens();
    let opened = tokens.open(&token).unwrap();
    Box::new(move || {
        let sealed = tokens.seal(black_box(&opened.payload), opened.issued_at);
        black_box(sealed);
    })
}

/// Whether a service may validate somebody's token.
fn policy() -> Path {
    let options = PolicyOptions {
        enforce_new_defaults: true,
    };
    let engine = PolicyEngine::defaults(options).unwrap();
    let credentials = Credentials {
        user_id: Some("5f1a".to_owned()),
        user_domain_id: Some("default".to_owned()),
        project_id: Some("9b3c".to_owned()),
        project_domain_id: Some("default".to_owned()),
        roles: ["service", "member", "reader"].map(str::to_owned).into(),
        ..Credentials::default()
    };
    Box::new(move || {
        let target = PolicyTarget::new()
            .with("target.token.user_id", "77aa")
            .with("target.token.user.domain.id", "default");
        let decided = engine.enforce("identity:validate_token", &credentials, &target);
        decided.unwrap();
    })
}

/// Whether any of 10,000 events revokes a token.
fn revocation() -> Path {
    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let event = |number: u32| match number % 3 {
        0 => RevocationEvent::for_token(format!("audit {number}"), at),
        1 => RevocationEvent::for_descendants(format!("chain {number}"), at),
        _ => RevocationEvent::for_user(format!("user {number}").into(), at),
    };
    let index: RevocationIndex = (0..10_000).map(event).collect();
    let (user, domain) = (UserId::from("user 1"), DomainId::from("default"));
    let (project, roles) = (ProjectId::from("project"), [RoleId::from("member")]);
    Box::new(move || {
        let token = RevocationSubject {
            user_id: &user,
            user_domain_id: &domain,
            trustor_id: None,
            trustee_id: None,
            project_id: Some(&project),
            scope_domain_id: None,
            role_ids: &roles,
            trust_id: None,
            consumer_id: None,
            access_token_id: None,
            audit_id: "of the token",
            audit_chain_id: "of the login",
            issued_at: at,
            expires_at: at + TimeDelta::hours(1),
        };
        assert!(!index.revokes(black_box(&token)));
    })
}

/// The roles that 50 assignments give in a project.
fn roles() -> Path {
    let implied = |prior: &str, implied: &str| ImpliedRole {
        prior: prior.into(),
        implied: implied.into(),
    };
    let inference = RoleInference::new([
        implied("admin", "manager"),
        implied("manager", "member"),
        implied("member", "reader"),
    ]);
    let place = Place::Project {
        id: "project".into(),
        above: vec!["division".into(), "company".into()],
        domain_id: "default".into(),
    };
    let assignments: Vec<_> = (0..50)
        .map(|number| Assignment {
            actor: Actor::Group(GroupId::new(format!("group {number}"))),
            target: match number % 3 {
                0 => Target::Project("project".into()),
                1 => Target::Project("company".into()),
                _ => Target::Domain("default".into()),
            },
            role_id: ["member", "manager", "auditor"][number % 3].into(),
            inherited: number % 2 == 0,
        })
        .collect();
    Box::new(move || {
        let roles = effective_roles(black_box(&assignments), &place, &inference);
        assert_eq!(black_box(roles).len(), 4);
    })
}

/// Whom the claims of an identity provider name, by a mapping of five rules.
fn mapping() -> Path {
    let rule = |department: &str| {
        json!({
            "local": [{"user": {"name": "{0}"}}, {"group": {"id": department}}],
            "remote": [{"type": "email"}, {"type": "department", "any_one_of": [department]}],
        })
    };
    let rules = ["a", "b", "c", "d", "engines"].map(rule);
    let rules = Rules::read("1.0", &json!(rules)).unwrap();
    let claims = json!({"email": "ada@example.org", "department": "engines", "sub": "1815"});
    let assertion = Assertion::from_claims("1815", claims.as_object().unwrap());
    Box::new(move || {
        black_box(rules.apply(black_box(&assertion)).unwrap());
    })
}

fn endpoint_url() -> Path {
    Box::new(|| {
        let template = UrlTemplate::parse(black_box("https://volume.example/v3/$(project_id)s"));
        let url = template.unwrap().fill(|_| Some("9b3c"));
        black_box(url.unwrap());
    })
}
