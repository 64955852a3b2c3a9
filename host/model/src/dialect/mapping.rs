//! A mapping that names claims, and the configuration and rules that it is.

use serde_json::{Map, Value, json};

use super::{Fields, Inexpressible, Kind, texts};
use crate::id::DomainId;

/// Whom claims make somebody, and which claims they need to have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClaimMapping {
    user_id_claim: String,
    user_name_claim: String,
    groups_claim: Option<String>,
    bound_audiences: Option<Vec<String>>,
    bound_subject: Option<String>,
    bound_claims: Map<String, Value>,
}

/// What a mapping adds to a configuration.
const PROPERTIES: [&str; 4] = ["audiences", "bound_claims", "groups_claim", "subject_claim"];

impl ClaimMapping {
    /// The mapping that a connector has, where its rules are of the form that [`Self::rules`] gives.
    pub fn of(kind: Kind, config: &Map<String, Value>, rules: &Value) -> Option<Self> {
        let (first, others) = rules.as_array()?.split_first()?;
        let user_name_claim = claim_of(first)?;
        if *first != user_rule(&user_name_claim) {
            return None;
        }
        let groups = match others {
            [] => None,
            [rule] => {
                let claim = claim_of(rule)?;
                let domain = &rule["local"][0]["domain"];
                if *rule != groups_rule(&claim, domain) {
                    return None;
                }
                Some(claim)
            }
            _ => return None,
        };
        let property = |name: &str| config.get(name).and_then(Value::as_str);
        let groups_claim = match (kind, groups) {
            (Kind::OpenId, Some(claim)) if claim == "groups" => {
                Some(property("groups_claim").unwrap_or("groups").to_owned())
            }
            (Kind::OpenId, Some(_)) => return None,
            (_, claim) => claim,
        };
        let bound = config.get("bound_claims").and_then(Value::as_object);
        let mut bound_claims = bound.cloned().unwrap_or_default();
        let bound_subject = take(&mut bound_claims, "sub", |it| {
            it.as_str().map(str::to_owned)
        });
        let bound_audiences = match kind {
            Kind::Workloads => texts(config.get("audiences")),
            Kind::OpenId => take(&mut bound_claims, "aud", |it| texts(Some(it))),
        };
        Some(Self {
            user_id_claim: property("subject_claim").unwrap_or("sub").to_owned(),
            user_name_claim,
            groups_claim,
            bound_audiences,
            bound_subject,
            bound_claims,
        })
    }

    /// The same with what a client gives in place of what was there.
    ///
    /// # Errors
    /// For a field that a connector of this kind has nothing for.
    pub fn changed(&self, kind: Kind, fields: &Fields) -> Result<Self, Inexpressible> {
        let mut changed = self.clone();
        for (field, value) in fields {
            let given = value.as_str().map(str::to_owned);
            let required = || {
                let why = "a mapping cannot do without it";
                given.clone().ok_or_else(|| Inexpressible::new(field, why))
            };
            match field.as_str() {
                "user_id_claim" => changed.user_id_claim = required()?,
                "user_name_claim" => changed.user_name_claim = required()?,
                "groups_claim" => changed.groups_claim = given,
                "bound_subject" => changed.bound_subject = given,
                "bound_audiences" => changed.bound_audiences = texts(Some(value)),
                "bound_claims" => {
                    changed.bound_claims = value.as_object().cloned().unwrap_or_default();
                }
                _ => {}
            }
        }
        changed.check(kind)?;
        Ok(changed)
    }

    fn check(&self, kind: Kind) -> Result<(), Inexpressible> {
        let refuse = |field: &str, why: &str| Err(Inexpressible::new(field, why));
        for (field, claim) in [
            ("user_id_claim", &self.user_id_claim),
            ("user_name_claim", &self.user_name_claim),
        ] {
            if claim.is_empty() {
                return refuse(field, "a mapping cannot do without it");
            }
        }
        if self.user_name_claim.starts_with('/') {
            return refuse("user_name_claim", "a claim inside of another names nobody");
        }
        if self.bound_subject.is_some() && self.bound_claims.contains_key("sub") {
            return refuse("bound_claims", "bound_subject says already what `sub` is");
        }
        match kind {
            Kind::OpenId => {
                if self.user_id_claim != "sub" {
                    let why = "people of an OpenID provider are known by `sub`";
                    return refuse("user_id_claim", why);
                }
                if self.bound_audiences.is_some() && self.bound_claims.contains_key("aud") {
                    return refuse("bound_claims", "bound_audiences says already what `aud` is");
                }
                let is_pattern = |audience: &String| audience.contains('*');
                if self.bound_audiences.iter().flatten().any(is_pattern) {
                    return refuse("bound_audiences", "an audience is no pattern");
                }
            }
            Kind::Workloads => {
                let inside = |claim: &String| claim.starts_with('/');
                if self.groups_claim.as_ref().is_some_and(inside) {
                    return refuse(
                        "groups_claim",
                        "a workload's groups are a claim of their own",
                    );
                }
                if self.bound_audiences.is_none() {
                    let why =
                        "a mapping of type jwt needs one: else tokens would do that are for others";
                    return refuse("bound_audiences", why);
                }
                if self.bound_subject.is_none() && self.bound_claims.is_empty() {
                    let why = "a mapping of type jwt needs these or bound_subject: else everybody \
                               would do who has a token of the issuer";
                    return refuse("bound_claims", why);
                }
            }
        }
        Ok(())
    }

    /// The rules for connectors of a domain.
    pub fn rules(&self, kind: Kind, domain_id: &DomainId) -> Value {
        let mut rules = vec![user_rule(&self.user_name_claim)];
        if let Some(claim) = &self.groups_claim {
            // The plugin gives them under this name, wherever they come from.
            let claim = match kind {
                Kind::OpenId => "groups",
                Kind::Workloads => claim,
            };
            rules.push(groups_rule(claim, &json!({ "id": domain_id })));
        }
        rules.into()
    }

    /// Changes a configuration so that it asks for what this mapping asks for.
    pub fn configure(&self, kind: Kind, config: &mut Map<String, Value>) {
        Self::remove_from(config);
        let mut bound = self.bound_claims.clone();
        if let Some(subject) = &self.bound_subject {
            bound.insert("sub".to_owned(), subject.as_str().into());
        }
        let mut set = |name: &str, value: Value| config.insert(name.to_owned(), value);
        match (kind, &self.bound_audiences) {
            (Kind::Workloads, Some(audiences)) => drop(set("audiences", json!(audiences))),
            (Kind::OpenId, Some(audiences)) => {
                bound.insert("aud".to_owned(), json!(audiences));
            }
            (_, None) => {}
        }
        if let (Kind::OpenId, Some(claim)) = (kind, &self.groups_claim) {
            set("groups_claim", json!(claim));
        }
        if kind == Kind::Workloads {
            set("subject_claim", json!(self.user_id_claim));
        }
        if !bound.is_empty() {
            set("bound_claims", bound.into());
        }
    }

    /// Takes from a configuration what a mapping had added.
    pub fn remove_from(config: &mut Map<String, Value>) {
        config.retain(|name, _| !PROPERTIES.contains(&name.as_str()));
    }

    /// The fields of the mapping.
    pub fn fields(&self) -> Fields {
        let fields = json!({
            "user_id_claim": self.user_id_claim,
            "user_name_claim": self.user_name_claim,
            "groups_claim": self.groups_claim,
            "bound_audiences": self.bound_audiences,
            "bound_subject": self.bound_subject,
            "bound_claims": (!self.bound_claims.is_empty()).then_some(&self.bound_claims),
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Fields::new(),
        }
    }
}

fn user_rule(claim: &str) -> Value {
    json!({"local": [{"user": {"name": "{0}"}}], "remote": [{"type": claim}]})
}

fn groups_rule(claim: &str, domain: &Value) -> Value {
    json!({"local": [{"groups": "{0}", "domain": domain}], "remote": [{"type": claim}]})
}

/// The claim that a rule asks for first.
fn claim_of(rule: &Value) -> Option<String> {
    rule["remote"][0]["type"].as_str().map(str::to_owned)
}

/// Takes a claim out of those that are bound, where it is of the form that has a field of its own.
fn take<T>(
    bound: &mut Map<String, Value>,
    claim: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    let found = bound.get(claim).and_then(read)?;
    bound.shift_remove(claim);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn made(kind: Kind, fields: Value) -> Result<ClaimMapping, String> {
        ClaimMapping::default()
            .changed(kind, &object(fields))
            .map_err(|error| error.to_string())
    }

    /// The configuration and rules that fields become.
    fn applied(kind: Kind, fields: Value) -> (Map<String, Value>, Value) {
        let mapping = made(kind, fields).unwrap();
        let mut config = object(json!({"issuer": "i", "audiences": ["old"]}));
        mapping.configure(kind, &mut config);
        let rules = mapping.rules(kind, &"d".into());
        assert_eq!(ClaimMapping::of(kind, &config, &rules), Some(mapping));
        (config, rules)
    }

    #[test]
    fn claims_of_people_become_rules() {
        let fields = json!({
            "user_id_claim": "sub",
            "user_name_claim": "email",
            "groups_claim": "/realm_access/roles",
            "bound_audiences": ["cloud"],
            "bound_subject": "1",
            "bound_claims": {"hd": "acme.example"},
        });
        let (config, rules) = applied(Kind::OpenId, fields);
        let expected = json!({
            "issuer": "i",
            "groups_claim": "/realm_access/roles",
            "bound_claims": {"hd": "acme.example", "sub": "1", "aud": ["cloud"]},
        });
        assert_eq!(Value::Object(config), expected);
        let expected = json!([
            {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "email"}]},
            {
                "local": [{"groups": "{0}", "domain": {"id": "d"}}],
                "remote": [{"type": "groups"}],
            },
        ]);
        assert_eq!(rules, expected);
    }

    #[test]
    fn claims_of_workloads_become_a_configuration() {
        let fields = json!({
            "user_id_claim": "repository_id",
            "user_name_claim": "repository",
            "bound_audiences": ["cloud"],
            "bound_claims": {"repository": "acme/*"},
        });
        let (config, rules) = applied(Kind::Workloads, fields);
        let expected = json!({
            "issuer": "i",
            "audiences": ["cloud"],
            "subject_claim": "repository_id",
            "bound_claims": {"repository": "acme/*"},
        });
        assert_eq!(Value::Object(config), expected);
        assert_eq!(rules.as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_stays_is_what_was_there() {
        let fields = json!({
            "user_id_claim": "sub", "user_name_claim": "name", "groups_claim": "teams",
            "bound_audiences": ["cloud"], "bound_subject": "a",
        });
        let mapping = made(Kind::Workloads, fields).unwrap();
        let change = json!({"groups_claim": null, "user_name_claim": "login"});
        let changed = mapping.changed(Kind::Workloads, &object(change)).unwrap();
        let fields = changed.fields();
        assert_eq!(fields["user_name_claim"], "login");
        assert_eq!(fields["groups_claim"], Value::Null);
        assert_eq!(fields["bound_subject"], "a");
        assert_eq!(fields["bound_audiences"], json!(["cloud"]));
    }

    #[test]
    fn rules_of_another_form_are_no_mapping_of_claims() {
        let user = user_rule("sub");
        for rules in [
            json!([]),
            json!([{"local": [{"user": {"name": "ada"}}], "remote": [{"type": "sub"}]}]),
            json!([user, {"local": [{"group": {"id": "g"}}], "remote": [{"type": "sub"}]}]),
            json!([user, user_rule("email")]),
            json!([
                user,
                groups_rule("teams", &json!({"id": "d"})),
                groups_rule("roles", &json!({"id": "d"})),
            ]),
        ] {
            assert_eq!(
                ClaimMapping::of(Kind::Workloads, &Map::new(), &rules),
                None,
                "{rules}"
            );
        }
        let renamed = json!([user, groups_rule("teams", &json!({"id": "d"}))]);
        assert_eq!(
            ClaimMapping::of(Kind::OpenId, &Map::new(), &renamed),
            None,
            "the plugin gives groups under another name"
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let jwt = json!({
            "user_id_claim": "sub", "user_name_claim": "sub",
            "bound_audiences": ["cloud"], "bound_subject": "a",
        });
        let people = json!({"user_id_claim": "sub", "user_name_claim": "name"});
        for (kind, given, change, field) in [
            (
                Kind::OpenId,
                &people,
                json!({"user_id_claim": "email"}),
                "user_id_claim",
            ),
            (
                Kind::OpenId,
                &people,
                json!({"user_name_claim": "/a/b"}),
                "user_name_claim",
            ),
            (
                Kind::OpenId,
                &people,
                json!({"user_name_claim": null}),
                "user_name_claim",
            ),
            (
                Kind::OpenId,
                &people,
                json!({"bound_audiences": ["*"]}),
                "bound_audiences",
            ),
            (
                Kind::OpenId,
                &people,
                json!({"bound_subject": "1", "bound_claims": {"sub": "2"}}),
                "bound_claims",
            ),
            (
                Kind::OpenId,
                &people,
                json!({"bound_audiences": ["1"], "bound_claims": {"aud": "2"}}),
                "bound_claims",
            ),
            (
                Kind::Workloads,
                &jwt,
                json!({"bound_audiences": []}),
                "bound_audiences",
            ),
            (
                Kind::Workloads,
                &jwt,
                json!({"bound_subject": null}),
                "bound_claims",
            ),
            (
                Kind::Workloads,
                &jwt,
                json!({"groups_claim": "/a/b"}),
                "groups_claim",
            ),
        ] {
            let mut fields = object(given.clone());
            fields.extend(object(change));
            let error = made(kind, Value::Object(fields)).unwrap_err();
            assert!(error.contains(&format!("'{field}'")), "{error}");
        }
    }
}
