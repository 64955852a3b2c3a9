//! An identity provider's settings, and the configuration that they are.

use serde_json::{Map, Value, json};

use super::{Fields, Inexpressible, Kind, text};
use crate::connector::Connector;

/// Where metadata are, below an issuer.
const METADATA: &str = "/.well-known/openid-configuration";

/// Properties of a configuration that `provider_config` does not hold, and what does.
const ELSEWHERE: [(&str, &str); 10] = [
    ("client_id", "oidc_client_id"),
    ("client_secret", "oidc_client_secret"),
    ("issuer", "bound_issuer"),
    ("jwks_uri", "jwks_url"),
    ("keys", "jwt_validation_pubkeys"),
    ("scopes", "oidc_scopes"),
    ("audiences", "the mapping's bound_audiences"),
    ("bound_claims", "the mapping's bound_claims"),
    ("groups_claim", "the mapping's groups_claim"),
    ("subject_claim", "the mapping's user_id_claim"),
];

/// The plugin for an identity provider that is being made: who has a client's name at the provider
/// logs people in.
pub fn kind_for(fields: &Fields) -> Kind {
    match text(fields, "oidc_client_id") {
        Some(_) => Kind::OpenId,
        None => Kind::Workloads,
    }
}

/// Changes a configuration by an identity provider's fields. A property that becomes null is to be
/// taken away. `read_key` makes a JWK of a public key.
///
/// # Errors
/// For a field that a connector of this kind has nothing for.
pub fn configure(
    kind: Option<Kind>,
    config: &mut Map<String, Value>,
    fields: &Fields,
    read_key: impl Fn(&str) -> Option<Value>,
) -> Result<(), Inexpressible> {
    for (field, value) in fields {
        let unknown = || {
            let why = match kind {
                Some(Kind::OpenId) => "an identity provider with an oidc_client_id has none",
                Some(Kind::Workloads) => "an identity provider without an oidc_client_id has none",
                None => "the connector's plugin does not know it; see provider_config",
            };
            Err(Inexpressible::new(field, why))
        };
        let property = match (field.as_str(), kind) {
            ("provider_config", _) => {
                add_all(config, value)?;
                continue;
            }
            ("bound_issuer" | "oidc_discovery_url", Some(_)) => continue,
            ("oidc_client_id", Some(Kind::OpenId)) if value.is_null() => {
                let why = "without one, it would be an identity provider of another kind";
                return Err(Inexpressible::new(field, why));
            }
            ("oidc_client_id", Some(Kind::OpenId)) => "client_id",
            ("oidc_client_secret", Some(Kind::OpenId)) => "client_secret",
            ("oidc_scopes", Some(Kind::OpenId)) => "scopes",
            ("oidc_response_mode", Some(Kind::OpenId)) => {
                require(field, value, &json!("query"))?;
                continue;
            }
            ("oidc_response_types", Some(Kind::OpenId)) => {
                require(field, value, &json!(["code"]))?;
                continue;
            }
            ("jwks_url", Some(_)) => "jwks_uri",
            ("jwt_validation_pubkeys", Some(Kind::Workloads)) => {
                config.insert("keys".to_owned(), key_set(field, value, &read_key)?);
                continue;
            }
            (
                "bound_issuer"
                | "jwks_url"
                | "jwt_validation_pubkeys"
                | "oidc_client_id"
                | "oidc_client_secret"
                | "oidc_discovery_url"
                | "oidc_response_mode"
                | "oidc_response_types"
                | "oidc_scopes",
                _,
            ) if !value.is_null() => return unknown(),
            _ => continue,
        };
        config.insert(property.to_owned(), value.clone());
    }
    if let Some(issuer) = issuer(config, fields)? {
        config.insert("issuer".to_owned(), issuer);
    }
    Ok(())
}

/// What a connector's configuration is as an identity provider's settings. `mapping_name` is what
/// its mapping is called, or is to be called.
pub fn settings(connector: &Connector, mapping_name: Option<&str>) -> Fields {
    let kind = Kind::of_plugin(&connector.plugin);
    let config = &connector.config;
    let property = |name: &str| config.get(name).cloned().unwrap_or_default();
    let mut fields = Fields::new();
    let mut add = |field: &str, value: Value| fields.insert(field.to_owned(), value);
    add(
        "allowed_redirect_uris",
        connector.redirect_uris.clone().into(),
    );
    add("default_mapping_name", mapping_name.into());
    let mut rest = config.clone();
    if let Some(kind) = kind {
        let issuer = property("issuer");
        add("oidc_discovery_url", discovery(kind, config));
        add("bound_issuer", issuer);
        add("jwks_url", property("jwks_uri"));
        let keys = property("keys")["keys"].as_array().map(|keys| {
            let keys: Vec<_> = keys.iter().map(Value::to_string).collect();
            Value::from(keys)
        });
        add("jwt_validation_pubkeys", keys.unwrap_or_default());
        add("oidc_client_id", property("client_id"));
        add("oidc_scopes", property("scopes"));
        let of_people = |value: Value| match kind {
            Kind::OpenId => value,
            Kind::Workloads => Value::Null,
        };
        add("oidc_response_mode", of_people(json!("query")));
        add("oidc_response_types", of_people(json!(["code"])));
        rest.retain(|name, _| ELSEWHERE.iter().all(|(property, _)| property != name));
    }
    let rest = match rest.is_empty() {
        true => Value::Null,
        false => Value::Object(rest),
    };
    add("provider_config", rest);
    fields
}

/// The configuration of a connector that has no mapping yet, with something in place of what
/// mappings add, so that it can be checked.
pub fn provisional(kind: Option<Kind>, mut config: Map<String, Value>) -> Map<String, Value> {
    if kind == Some(Kind::Workloads) {
        for (name, nobody) in [
            ("audiences", json!(["nobody"])),
            ("bound_claims", json!({"sub": "nobody"})),
        ] {
            config.entry(name).or_insert(nobody);
        }
    }
    config
}

/// Where the metadata are that a connector looks at.
fn discovery(kind: Kind, config: &Map<String, Value>) -> Value {
    let without = match kind {
        Kind::OpenId => config.get("discovery") == Some(&Value::Bool(false)),
        Kind::Workloads => config.contains_key("jwks_uri") || config.contains_key("keys"),
    };
    match config.get("issuer").and_then(Value::as_str) {
        Some(issuer) if !without => format!("{}{METADATA}", issuer.trim_end_matches('/')).into(),
        _ => Value::Null,
    }
}

/// The issuer, where the fields say something of it. Its metadata are nowhere but below it.
fn issuer(config: &Map<String, Value>, fields: &Fields) -> Result<Option<Value>, Inexpressible> {
    let below = text(fields, "oidc_discovery_url").map(|url| {
        let url = url.strip_suffix(METADATA).unwrap_or(url);
        url.trim_end_matches('/').to_owned()
    });
    let said = fields.get("bound_issuer").cloned();
    let known = said.clone().or_else(|| config.get("issuer").cloned());
    let Some(below) = below else {
        return Ok(said);
    };
    let is_the_same = |known: &str| known.trim_end_matches('/') == below;
    match known.as_ref().and_then(Value::as_str) {
        Some(known) if is_the_same(known) => Ok(said),
        Some(_) if said.is_some() => Err(Inexpressible::new(
            "oidc_discovery_url",
            format!("an issuer's metadata are at its own address, followed by {METADATA}"),
        )),
        _ => Ok(Some(below.into())),
    }
}

fn require(field: &str, value: &Value, only: &Value) -> Result<(), Inexpressible> {
    match value.is_null() || value == only {
        true => Ok(()),
        false => Err(Inexpressible::new(field, format!("only {only} is used"))),
    }
}

fn key_set(
    field: &str,
    value: &Value,
    read_key: impl Fn(&str) -> Option<Value>,
) -> Result<Value, Inexpressible> {
    let Some(keys) = value.as_array().filter(|keys| !keys.is_empty()) else {
        return Ok(Value::Null);
    };
    let unreadable = || {
        let why = "each is a public key for signatures in PEM, or a JWK as text";
        Inexpressible::new(field, why)
    };
    let keys = keys
        .iter()
        .map(|key| key.as_str().and_then(&read_key).ok_or_else(unreadable))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "keys": keys }))
}

/// Adds what `provider_config` names to a configuration; what is null there is taken away.
fn add_all(config: &mut Map<String, Value>, more: &Value) -> Result<(), Inexpressible> {
    if more.is_null() {
        config.retain(|name, _| ELSEWHERE.iter().any(|(property, _)| property == name));
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        if let Some((_, field)) = ELSEWHERE.iter().find(|(property, _)| property == name) {
            let field_of = format!("provider_config/{name}");
            return Err(Inexpressible::new(field_of, format!("use {field}")));
        }
        config.insert(name.clone(), value.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn configured(kind: Kind, config: Value, fields: Value) -> Result<Value, String> {
        let mut config = object(config);
        let read_key = |text: &str| (text != "bad").then(|| json!({ "kid": text }));
        configure(Some(kind), &mut config, &object(fields), read_key)
            .map_err(|error| error.to_string())?;
        Ok(Value::Object(config))
    }

    #[test]
    fn settings_are_a_configuration() {
        let fields = json!({
            "name": "staff",
            "oidc_client_id": "cloud",
            "oidc_client_secret": "s",
            "oidc_discovery_url": "https://id.example/realms/staff/.well-known/openid-configuration",
            "oidc_scopes": ["email"],
            "oidc_response_types": ["code"],
            "oidc_response_mode": null,
            "jwks_url": "https://id.example/keys",
            "provider_config": {"userinfo": "never"},
        });
        let expected = json!({
            "client_id": "cloud",
            "client_secret": "s",
            "scopes": ["email"],
            "jwks_uri": "https://id.example/keys",
            "userinfo": "never",
            "issuer": "https://id.example/realms/staff",
        });
        assert_eq!(kind_for(&object(fields.clone())), Kind::OpenId);
        assert_eq!(
            configured(Kind::OpenId, json!({}), fields).unwrap(),
            expected
        );
        let keys = json!({"bound_issuer": "https://ci.example", "jwt_validation_pubkeys": ["a"]});
        assert_eq!(kind_for(&object(keys.clone())), Kind::Workloads);
        assert_eq!(
            configured(Kind::Workloads, json!({}), keys).unwrap(),
            json!({"issuer": "https://ci.example", "keys": {"keys": [{"kid": "a"}]}})
        );
    }

    #[test]
    fn an_issuer_keeps_its_spelling() {
        let slash = json!({"issuer": "https://id.example/"});
        let url = "https://id.example/.well-known/openid-configuration";
        let both = json!({"oidc_discovery_url": url, "bound_issuer": "https://id.example/"});
        assert_eq!(
            configured(Kind::OpenId, json!({}), both).unwrap(),
            json!({"issuer": "https://id.example/"})
        );
        let again = json!({ "oidc_discovery_url": url });
        assert_eq!(
            configured(Kind::OpenId, slash.clone(), again).unwrap(),
            slash
        );
        let moved = json!({"oidc_discovery_url": "https://new.example"});
        assert_eq!(
            configured(Kind::OpenId, slash, moved).unwrap()["issuer"],
            "https://new.example"
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (kind, fields, field) in [
            (
                Kind::Workloads,
                json!({"oidc_client_secret": "s"}),
                "oidc_client_secret",
            ),
            (
                Kind::Workloads,
                json!({"oidc_client_id": "late"}),
                "oidc_client_id",
            ),
            (Kind::Workloads, json!({"oidc_scopes": []}), "oidc_scopes"),
            (
                Kind::Workloads,
                json!({"jwt_validation_pubkeys": ["bad"]}),
                "jwt_validation_pubkeys",
            ),
            (
                Kind::OpenId,
                json!({"jwt_validation_pubkeys": ["a"]}),
                "jwt_validation_pubkeys",
            ),
            (
                Kind::OpenId,
                json!({"oidc_client_id": null}),
                "oidc_client_id",
            ),
            (
                Kind::OpenId,
                json!({"oidc_response_mode": "fragment"}),
                "oidc_response_mode",
            ),
            (
                Kind::OpenId,
                json!({"oidc_response_types": ["id_token"]}),
                "oidc_response_types",
            ),
            (
                Kind::OpenId,
                json!({"provider_config": {"client_id": "x"}}),
                "provider_config/client_id",
            ),
            (
                Kind::OpenId,
                json!({"oidc_discovery_url": "https://a.example", "bound_issuer": "https://b.example"}),
                "oidc_discovery_url",
            ),
        ] {
            let error = configured(kind, json!({}), fields).unwrap_err();
            assert!(error.contains(&format!("'{field}'")), "{error}");
        }
    }

    #[test]
    fn null_empties_a_setting() {
        let config = json!({"client_id": "c", "issuer": "i", "jwks_uri": "k", "userinfo": "never"});
        let fields = json!({"jwks_url": null, "oidc_client_secret": null, "provider_config": null});
        assert_eq!(
            configured(Kind::OpenId, config, fields).unwrap(),
            json!({"client_id": "c", "issuer": "i", "jwks_uri": null, "client_secret": null})
        );
    }
}
