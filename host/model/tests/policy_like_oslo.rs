//! Decides as oslo.policy does: every default rule of Keystone 30 and many made-up checks, for each
//! persona and target of a table that `tests/interop/policy_table.py` made with the original.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};

use archstone_model::policy::{Credentials, Denied, PolicyEngine, PolicyOptions, Target};
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    personas: Vec<Persona>,
    targets: Vec<BTreeMap<String, Option<String>>>,
    /// For each rule and persona: the targets in reach as bits, the first one lowest.
    rules: BTreeMap<String, Vec<String>>,
    /// The same with `enforce_new_defaults` off.
    old_rules: BTreeMap<String, Vec<String>>,
    checks: Vec<MadeUpCheck>,
}

#[derive(Deserialize)]
struct Persona {
    name: String,
    user_id: String,
    user_domain_id: String,
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    project_domain_id: Option<String>,
    #[serde(default)]
    domain_id: Option<String>,
    #[serde(default)]
    system_scope: Option<String>,
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct MadeUpCheck {
    check: String,
    allowed: Vec<String>,
}

impl Table {
    fn read() -> Self {
        serde_json::from_str(include_str!("policy_cases.json")).unwrap()
    }

    fn credentials(&self) -> Vec<Credentials> {
        self.personas.iter().map(Persona::credentials).collect()
    }

    fn targets(&self) -> Vec<Target> {
        let target = |keys: &BTreeMap<String, Option<String>>| {
            let mut target = Target::new();
            for (key, value) in keys {
                target.set_opt(key, value.as_deref());
            }
            target
        };
        self.targets.iter().map(target).collect()
    }

    /// Where the engine and the table disagree about one rule.
    fn disagreements(&self, engine: &PolicyEngine, rule: &str, expected: &[String]) -> Vec<String> {
        let targets = self.targets();
        assert_eq!(expected.len(), self.personas.len(), "{rule}");
        self.credentials()
            .iter()
            .zip(&self.personas)
            .zip(expected)
            .filter_map(|((credentials, persona), expected)| {
                let answer = answer(engine, rule, credentials, &targets);
                let name = &persona.name;
                (answer != *expected).then(|| format!("{rule}, {name}: {answer}, not {expected}"))
            })
            .collect()
    }
}

impl Persona {
    fn credentials(&self) -> Credentials {
        Credentials {
            user_id: Some(self.user_id.clone()),
            user_domain_id: Some(self.user_domain_id.clone()),
            project_id: self.project_id.clone(),
            project_domain_id: self.project_domain_id.clone(),
            domain_id: self.domain_id.clone(),
            system_scope: self.system_scope.clone(),
            token_domain_id: self.domain_id.clone(),
            token_project_domain_id: self.project_domain_id.clone(),
            roles: self.roles.iter().map(|role| role.to_lowercase()).collect(),
            ..Credentials::default()
        }
    }
}

fn answer(
    engine: &PolicyEngine,
    rule: &str,
    credentials: &Credentials,
    targets: &[Target],
) -> String {
    let mut allowed = 0_u64;
    for (number, target) in targets.iter().enumerate() {
        match engine.enforce(rule, credentials, target) {
            Ok(()) => allowed |= 1 << number,
            Err(Denied::WrongScope(_)) => return "wrong scope".to_owned(),
            Err(Denied::NotSatisfied(_)) => {}
            Err(denied @ Denied::NoSuchRule(_)) => panic!("{denied}"),
        }
    }
    format!("{allowed:x}")
}

fn assert_decides_like(
    table: &Table,
    rules: &BTreeMap<String, Vec<String>>,
    options: PolicyOptions,
) {
    let engine = PolicyEngine::defaults(options).unwrap();
    let disagreements: Vec<_> = rules
        .iter()
        .flat_map(|(rule, expected)| table.disagreements(&engine, rule, expected))
        .collect();
    assert!(rules.len() > 200);
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

#[test]
fn every_default_rule_decides_as_the_original_does() {
    let table = Table::read();
    assert_decides_like(&table, &table.rules, PolicyOptions::default());
}

#[test]
fn every_default_rule_decides_as_the_original_does_with_the_defaults_of_earlier_releases() {
    let table = Table::read();
    let options = PolicyOptions {
        enforce_new_defaults: false,
    };
    assert_decides_like(&table, &table.old_rules, options);
}

#[test]
fn every_expression_means_what_it_means_to_the_original() {
    let table = Table::read();
    let name = |number: usize| format!("made-up:{number}");
    let overrides: HashMap<_, _> = table
        .checks
        .iter()
        .enumerate()
        .map(|(number, made_up)| (name(number), made_up.check.clone()))
        .collect();
    let engine = PolicyEngine::with_overrides(PolicyOptions::default(), overrides).unwrap();
    let disagreements: Vec<_> = table
        .checks
        .iter()
        .enumerate()
        .flat_map(|(number, made_up)| {
            let found = table.disagreements(&engine, &name(number), &made_up.allowed);
            found
                .into_iter()
                .map(|line| format!("{}\n  {line}", made_up.check))
        })
        .collect();
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
