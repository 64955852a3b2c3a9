//! The mapping engine against a table of what Python Keystone 30 makes of the same rules and
//! assertions (tests/interop/mapping_table.py), and the cases in which it is stricter.

use std::collections::HashMap;

use archstone_model::mapping::{
    Assertion, Mapped, MappedDomain, MappedUserKind, MappingError, Rules, SchemaVersion,
    check_structure,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Table {
    assertions: HashMap<String, HashMap<String, String>>,
    cases: Vec<Case>,
    structures: Vec<Structure>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    version: String,
    rules: Value,
    outcomes: HashMap<String, Value>,
}

#[derive(Deserialize)]
struct Structure {
    mapping: Value,
    accepted: HashMap<String, bool>,
}

fn table() -> Table {
    serde_json::from_str(include_str!("mapping_cases.json")).unwrap()
}

fn outcome(version: &str, rules: &Value, assertion: &Assertion) -> Value {
    match Rules::read(version, rules).and_then(|rules| rules.apply(assertion)) {
        Ok(mapped) => written(mapped),
        Err(MappingError::NotMapped(_)) => "not mapped".into(),
        Err(MappingError::Faulty(_)) => "faulty".into(),
    }
}

/// As the table has it: what is absent is left out, and sets are sorted.
fn written(mapped: Mapped) -> Value {
    let mut user = Map::new();
    let kind = match mapped.user.kind {
        MappedUserKind::Ephemeral => "ephemeral",
        MappedUserKind::Local => "local",
    };
    user.insert("type".to_owned(), kind.into());
    let texts = [
        ("id", mapped.user.id.map(String::from)),
        ("name", mapped.user.name),
        ("email", mapped.user.email),
    ];
    for (name, text) in texts {
        user.extend(text.map(|text| (name.to_owned(), text.into())));
    }
    user.extend(
        mapped
            .user
            .domain
            .map(|it| ("domain".to_owned(), domain(&it))),
    );
    let mut ids: Vec<_> = mapped.group_ids.into_iter().map(String::from).collect();
    ids.sort();
    let mut names: Vec<_> = mapped
        .group_names
        .iter()
        .map(|group| json!({ "name": group.name, "domain": domain(&group.domain) }))
        .collect();
    names.sort_by_key(sorted);
    let projects: Vec<_> = mapped
        .projects
        .iter()
        .map(|project| {
            let roles: Vec<_> = project
                .roles
                .iter()
                .map(|name| json!({ "name": name }))
                .collect();
            let mut written = json!({ "name": project.name, "roles": roles });
            if let Some(its) = &project.domain {
                written["domain"] = domain(its);
            }
            written
        })
        .collect();
    json!({ "user": user, "group_ids": ids, "group_names": names, "projects": projects })
}

fn domain(domain: &MappedDomain) -> Value {
    let mut written = json!({});
    if let Some(id) = &domain.id {
        written["id"] = id.as_str().into();
    }
    if let Some(name) = &domain.name {
        written["name"] = name.as_str().into();
    }
    written
}

/// A text that does not hang on the order of members.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(k, v)| (k, sorted(v))).collect();
            members.sort();
            format!("{members:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(sorted).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

fn same(left: &Value, right: &Value) -> bool {
    let groups = |value: &Value| {
        let mut groups: Vec<_> = value["group_names"]
            .as_array()
            .into_iter()
            .flatten()
            .map(sorted)
            .collect();
        groups.sort();
        groups
    };
    let rest = |value: &Value| ["user", "group_ids", "projects"].map(|key| sorted(&value[key]));
    if left.is_object() && right.is_object() {
        groups(left) == groups(right) && rest(left) == rest(right)
    } else {
        left == right
    }
}

#[test]
fn assertions_are_mapped_as_the_original_maps_them() {
    let table = table();
    let mut wrong = Vec::new();
    for case in &table.cases {
        for (who, expected) in &case.outcomes {
            let attributes = table.assertions[who].clone();
            let got = outcome(
                &case.version,
                &case.rules,
                &attributes.into_iter().collect(),
            );
            if !same(&got, expected) {
                let Case { name, version, .. } = case;
                wrong.push(format!(
                    "{name} ({version}), {who}:\n  got  {got}\n  want {expected}"
                ));
            }
        }
    }
    assert!(table.cases.len() > 300);
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn mappings_are_accepted_as_the_original_accepts_them() {
    let mut wrong = Vec::new();
    for Structure { mapping, accepted } in table().structures {
        for (version, expected) in accepted {
            let checked = check_structure(SchemaVersion::parse(&version).unwrap(), &mapping);
            if checked.is_ok() != expected {
                wrong.push(format!("{version} {mapping}: {checked:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An attribute that its owner may choose, where the rules keep them out of a group.
#[test]
fn a_value_written_like_a_list_does_not_pass_a_blacklist() {
    let rules = json!([{
        "local": [{ "user": { "name": "eve" } }, { "group_ids": "{0}" }],
        "remote": [{ "type": "Groups", "blacklist": ["admins"] }],
    }]);
    let said = |groups: &str| {
        [("Groups".to_owned(), groups.to_owned())]
            .into_iter()
            .collect()
    };
    let rules = Rules::read("1.0", &rules).unwrap();
    let mapped = rules.apply(&said("['admins', 'staff']")).unwrap();
    assert_eq!(mapped.group_ids, ["['admins', 'staff']"]);
    assert_eq!(
        rules.apply(&said("admins;staff")).unwrap().group_ids,
        ["staff"]
    );
}

#[test]
fn nobody_is_named_after_what_a_whitelist_left_nothing_of() {
    let rules = json!([{
        "local": [{ "user": { "name": "{0}" } }],
        "remote": [{ "type": "Name", "whitelist": ["ada"] }],
    }]);
    let said = [("Name".to_owned(), "eve".to_owned())]
        .into_iter()
        .collect();
    let outcome = Rules::read("1.0", &rules).unwrap().apply(&said);
    assert!(matches!(outcome, Err(MappingError::NotMapped(_))));
}

/// Taken for one that does not match, it would let people in whom `not_any_of` keeps out.
#[test]
fn a_pattern_that_takes_too_long_fails_the_login() {
    let rules = json!([{
        "local": [{ "user": { "name": "eve" } }],
        "remote": [{ "type": "Name", "not_any_of": ["^(?:(a+)+\\1)+$"], "regex": true }],
    }]);
    let said = [("Name".to_owned(), "a".repeat(60) + "b")]
        .into_iter()
        .collect();
    let outcome = Rules::read("1.0", &rules).unwrap().apply(&said);
    assert!(
        matches!(outcome, Err(MappingError::Faulty(_))),
        "{outcome:?}"
    );
}
