//! Access policy in the language of oslo.policy: named rules over the caller's credentials and the
//! target of an operation, with Keystone 30's defaults and an operator's overrides.

mod check;
mod parser;

use std::collections::HashMap;

use serde::Deserialize;

use self::{check::Check, parser::parse};
pub use self::{
    check::{Credentials, Target},
    parser::SyntaxError,
};

/// Keystone 30's rules, one JSON object per line: name, check, the check of earlier releases where
/// it was another, scope types, operations.
const DEFAULTS: &str = include_str!("defaults.jsonl");

/// The rules of Archstone's own API, in the same form.
const OWN_DEFAULTS: &str = include_str!("archstone.jsonl");

/// How policy is enforced, beside the rules themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyOptions {
    /// `[oslo_policy] enforce_new_defaults`: a default rule does not let in whom only the default of
    /// earlier releases let in.
    pub enforce_new_defaults: bool,
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self {
            enforce_new_defaults: true,
        }
    }
}

/// All rules, parsed once.
#[derive(Debug)]
pub struct PolicyEngine {
    rules: HashMap<String, Rule>,
}

#[derive(Debug)]
struct Rule {
    check: Check,
    scopes: Option<Vec<TokenScopeKind>>,
}

/// The kinds of scope that rules tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TokenScopeKind {
    System,
    Domain,
    Project,
}

#[derive(Deserialize)]
struct DefaultRule {
    name: String,
    check: String,
    deprecated: Option<String>,
    scope: Option<Vec<TokenScopeKind>>,
}

impl DefaultRule {
    fn parse(&self, options: PolicyOptions) -> Result<Check, PolicyError> {
        let check = parse_rule(&self.name, &self.check)?;
        match &self.deprecated {
            Some(text) if !options.enforce_new_defaults => {
                Ok(Check::Any(vec![check, parse_rule(&self.name, text)?]))
            }
            _ => Ok(check),
        }
    }
}

/// Why policy refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("policy has no rule {0}")]
    NoSuchRule(String),
    #[error("rule {0} is not for tokens of this kind of scope")]
    WrongScope(String),
    #[error("rule {0} is not satisfied")]
    NotSatisfied(String),
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("rule {rule}: {source}")]
    Syntax { rule: String, source: SyntaxError },
    #[error("the policy file is not a map of rule names to check strings: {0}")]
    File(String),
}

impl PolicyEngine {
    /// Keystone's defaults alone.
    ///
    /// # Errors
    /// Only if a default rule does not parse, which a test excludes.
    pub fn defaults(options: PolicyOptions) -> Result<Self, PolicyError> {
        Self::with_overrides(options, HashMap::new())
    }

    /// Keystone's defaults with an operator's rules in place of those of the same name.
    ///
    /// # Errors
    /// Names the rule that does not parse.
    pub fn with_overrides(
        options: PolicyOptions,
        overrides: HashMap<String, String>,
    ) -> Result<Self, PolicyError> {
        let mut rules = HashMap::new();
        for line in DEFAULTS.lines().chain(OWN_DEFAULTS.lines()) {
            let default: DefaultRule =
                serde_json::from_str(line).map_err(|error| PolicyError::File(error.to_string()))?;
            let check = default.parse(options)?;
            rules.insert(
                default.name,
                Rule {
                    check,
                    scopes: default.scope,
                },
            );
        }
        for (name, text) in overrides {
            let check = parse_rule(&name, &text)?;
            match rules.get_mut(&name) {
                // An override changes who may, not which kinds of token the operation is for.
                Some(rule) => rule.check = check,
                None => {
                    rules.insert(
                        name,
                        Rule {
                            check,
                            scopes: None,
                        },
                    );
                }
            }
        }
        Ok(Self { rules })
    }

    /// Reads a `policy.yaml` (or JSON, which is YAML too).
    ///
    /// # Errors
    /// Where it is not a map of names to check strings.
    pub fn read_file(text: &str) -> Result<HashMap<String, String>, PolicyError> {
        let rules: Option<HashMap<String, String>> =
            serde_yaml_ng::from_str(text).map_err(|error| PolicyError::File(error.to_string()))?;
        Ok(rules.unwrap_or_default())
    }

    /// Whether a rule of this name exists.
    pub fn has_rule(&self, name: &str) -> bool {
        self.rules.contains_key(name)
    }

    /// Decides whether `credentials` may do `action` to `target`.
    ///
    /// # Errors
    /// Why not.
    pub fn enforce(
        &self,
        action: &str,
        credentials: &Credentials,
        target: &Target,
    ) -> Result<(), Denied> {
        let rule = self
            .rules
            .get(action)
            .ok_or_else(|| Denied::NoSuchRule(action.to_owned()))?;
        if let Some(scopes) = &rule.scopes
            && !scopes.contains(&scope_kind(credentials))
        {
            return Err(Denied::WrongScope(action.to_owned()));
        }
        if self.satisfied(&rule.check, credentials, target, MAX_DEPTH) {
            Ok(())
        } else {
            Err(Denied::NotSatisfied(action.to_owned()))
        }
    }

    fn satisfied(
        &self,
        check: &Check,
        credentials: &Credentials,
        target: &Target,
        depth: usize,
    ) -> bool {
        // Rules that refer to each other in a circle are never satisfied.
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        let holds = |check: &Check| self.satisfied(check, credentials, target, depth);
        match check {
            Check::Always => true,
            Check::Never => false,
            Check::Not(check) => !holds(check),
            Check::All(checks) => checks.iter().all(holds),
            Check::Any(checks) => checks.iter().any(holds),
            Check::Rule(name) => self
                .rules
                .get(name)
                .or_else(|| self.rules.get("default"))
                .is_some_and(|rule| holds(&rule.check)),
            Check::Role(role) => target.format(role).is_some_and(|role| {
                let role = role.to_lowercase();
                credentials.roles.contains(&role)
            }),
            Check::Literal(value, wanted) => {
                target.format(wanted).is_some_and(|wanted| wanted == *value)
            }
            Check::Attribute(path, wanted) => target
                .format(wanted)
                .is_some_and(|wanted| credentials.has(path, &wanted)),
        }
    }
}

/// How deep rules may refer to each other.
const MAX_DEPTH: usize = 64;

fn parse_rule(name: &str, text: &str) -> Result<Check, PolicyError> {
    parse(text).map_err(|source| PolicyError::Syntax {
        rule: name.to_owned(),
        source,
    })
}

/// An unscoped token counts as project-scoped, as in oslo.policy.
fn scope_kind(credentials: &Credentials) -> TokenScopeKind {
    if credentials.system_scope.is_some() {
        TokenScopeKind::System
    } else if credentials.domain_id.is_some() {
        TokenScopeKind::Domain
    } else {
        TokenScopeKind::Project
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(overrides: &[(&str, &str)]) -> PolicyEngine {
        let overrides = overrides
            .iter()
            .map(|(name, check)| ((*name).into(), (*check).into()))
            .collect();
        PolicyEngine::with_overrides(PolicyOptions::default(), overrides).unwrap()
    }

    fn someone(roles: &[&str]) -> Credentials {
        Credentials {
            user_id: Some("ada".into()),
            project_id: Some("engines".into()),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Credentials::default()
        }
    }

    fn target(pairs: &[(&str, &str)]) -> Target {
        let mut target = Target::new();
        for (key, value) in pairs {
            target.set(key, value);
        }
        target
    }

    #[test]
    fn every_default_rule_parses() {
        let engine = PolicyEngine::defaults(PolicyOptions::default()).unwrap();
        let rules = DEFAULTS.lines().chain(OWN_DEFAULTS.lines());
        assert_eq!(engine.rules.len(), rules.count());
    }

    #[test]
    fn an_admin_may_and_a_reader_may_not_create_a_project() {
        let engine = engine(&[]);
        let action = "identity:create_project";
        assert!(
            engine
                .enforce(action, &someone(&["admin"]), &Target::new())
                .is_ok()
        );
        assert_eq!(
            engine.enforce(action, &someone(&["reader"]), &Target::new()),
            Err(Denied::NotSatisfied(action.to_owned()))
        );
    }

    #[test]
    fn a_user_may_see_themselves_and_nobody_else() {
        let engine = engine(&[]);
        let me = someone(&[]);
        assert!(
            engine
                .enforce(
                    "identity:get_user",
                    &me,
                    &target(&[("target.user.id", "ada")])
                )
                .is_ok()
        );
        assert!(
            engine
                .enforce(
                    "identity:get_user",
                    &me,
                    &target(&[("target.user.id", "bob")])
                )
                .is_err()
        );
        assert!(
            engine
                .enforce("identity:get_user", &me, &Target::new())
                .is_err()
        );
    }

    #[test]
    fn a_domain_manager_reaches_their_own_domain_only() {
        let engine = engine(&[]);
        let manager = Credentials {
            domain_id: Some("acme".into()),
            token_domain_id: Some("acme".into()),
            roles: ["manager".to_owned()].into(),
            ..Credentials::default()
        };
        let in_domain = |domain| target(&[("target.user.domain_id", domain)]);
        assert!(
            engine
                .enforce("identity:create_user", &manager, &in_domain("acme"))
                .is_ok()
        );
        assert!(
            engine
                .enforce("identity:create_user", &manager, &in_domain("rival"))
                .is_err()
        );
    }

    #[test]
    fn a_null_target_equals_none() {
        let engine = engine(&[("mine:global", "None:%(target.role.domain_id)s")]);
        let mut global = Target::new();
        global.set_null("target.role.domain_id");
        assert!(
            engine
                .enforce("mine:global", &someone(&[]), &global)
                .is_ok()
        );
        let owned = target(&[("target.role.domain_id", "acme")]);
        assert!(
            engine
                .enforce("mine:global", &someone(&[]), &owned)
                .is_err()
        );
    }

    #[test]
    fn an_absent_credential_equals_none_and_a_domain_does_not() {
        let engine = engine(&[("mine:domain", "role:manager and not domain_id:None")]);
        assert!(
            engine
                .enforce("mine:domain", &someone(&["manager"]), &Target::new())
                .is_err()
        );
    }

    #[test]
    fn scope_is_enforced_before_roles() {
        let engine = engine(&[]);
        let admin = Credentials {
            domain_id: Some("acme".into()),
            roles: ["admin".to_owned()].into(),
            ..Credentials::default()
        };
        let action = "identity:create_role";
        assert_eq!(
            engine.enforce(action, &admin, &Target::new()),
            Err(Denied::WrongScope(action.to_owned()))
        );
    }

    #[test]
    fn what_earlier_releases_allowed_is_allowed_where_the_operator_says_so() {
        let options = PolicyOptions {
            enforce_new_defaults: false,
        };
        let action = "identity:ec2_create_credential";
        let reader = someone(&["reader"]);
        let own = target(&[("user_id", "ada"), ("target.credential.user_id", "ada")]);
        let new = PolicyEngine::defaults(PolicyOptions::default()).unwrap();
        let old = PolicyEngine::defaults(options).unwrap();
        assert!(new.enforce(action, &reader, &own).is_err());
        assert!(old.enforce(action, &reader, &own).is_ok());
        let overrides = [(action.to_owned(), "role:member".to_owned())];
        let overridden = PolicyEngine::with_overrides(options, overrides.into()).unwrap();
        assert!(overridden.enforce(action, &reader, &own).is_err());
    }

    #[test]
    fn an_override_replaces_a_default() {
        let engine = engine(&[("identity:create_project", "!")]);
        let admin = someone(&["admin"]);
        assert!(
            engine
                .enforce("identity:create_project", &admin, &Target::new())
                .is_err()
        );
    }

    #[test]
    fn rules_in_a_circle_are_never_satisfied() {
        let engine = engine(&[("a", "rule:b"), ("b", "rule:a")]);
        assert!(
            engine
                .enforce("a", &someone(&["admin"]), &Target::new())
                .is_err()
        );
    }

    #[test]
    fn a_policy_file_is_yaml() {
        let rules = PolicyEngine::read_file("\"identity:get_user\": \"role:auditor\"\n").unwrap();
        assert_eq!(rules["identity:get_user"], "role:auditor");
        assert!(PolicyEngine::read_file("- not\n- a map").is_err());
        assert!(PolicyEngine::read_file("").unwrap().is_empty());
    }
}
