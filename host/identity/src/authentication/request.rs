//! What a login asks for, in the shape of `POST /v3/auth/tokens`.

use std::net::IpAddr;

use archstone_model::{
    id::{
        ApplicationCredentialId, DomainId, IdentityProviderId, ProjectId, ProtocolId, TrustId,
        UserId,
    },
    mapping::Assertion,
    secret::Secret,
};
use serde_json::{Map, Value, json};

use crate::{Error, OAuthRequest, RemoteUser, Result, connectors::Proven};

/// No user's id or name is longer.
const LONGEST_CLAIM: usize = 255;

/// A login: the methods with their payloads, and the scope wanted.
pub struct AuthRequest {
    /// In the order the client named them, without repetitions.
    pub methods: Vec<String>,
    /// The members of `auth.identity`, by method.
    pub payloads: Map<String, Value>,
    pub scope: RequestedScope,
    /// `Openstack-Auth-Receipt`: proof of methods passed in an earlier round.
    pub receipt: Option<Secret>,
    /// The request as an OAuth consumer signed it.
    pub oauth1: Option<OAuthRequest>,
    /// Whom a web server in front knows, by way of a proxy that is trusted to tell.
    pub remote_user: Option<RemoteUser>,
    /// What an identity provider said, by way of a proxy that is trusted to tell.
    pub assertion: Assertion,
    /// Whom a connector proved, which said what the assertion says.
    pub proven: Option<Proven>,
    /// Where the request comes from.
    pub client: Option<IpAddr>,
}

impl std::fmt::Debug for AuthRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthRequest")
            .field("methods", &self.methods)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The scope a login asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedScope {
    /// Nothing was said: the user's default project where it is usable, otherwise unscoped.
    Default,
    Unscoped,
    Project(ProjectReference),
    Domain(DomainReference),
    System,
    Trust(TrustId),
}

/// A domain, by id or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainReference {
    Id(DomainId),
    Name(String),
}

/// A project, by id or by name in a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectReference {
    Id(ProjectId),
    Name {
        name: String,
        domain: DomainReference,
    },
}

/// A user, by id or by name in a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserReference {
    Id(UserId),
    Name {
        name: String,
        domain: DomainReference,
    },
}

/// An application credential, by id or by name and owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApplicationCredentialReference {
    Id(ApplicationCredentialId),
    Name { name: String, owner: UserReference },
}

impl AuthRequest {
    /// Reads the `auth` member of a login body, already checked against its schema.
    ///
    /// # Errors
    /// `Invalid` where a part that the schema cannot demand is missing.
    pub fn from_body(auth: &Map<String, Value>, receipt: Option<Secret>) -> Result<Self> {
        let identity = auth
            .get("identity")
            .and_then(Value::as_object)
            .ok_or_else(|| Error::missing_attribute("identity", "auth"))?;
        let mut methods: Vec<String> = Vec::new();
        for method in identity
            .get("methods")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(method) = method.as_str()
                && !methods.iter().any(|known| known == method)
            {
                methods.push(method.to_owned());
            }
        }
        for method in &methods {
            if !identity.contains_key(method) {
                return Err(Error::missing_attribute(method, "identity"));
            }
        }
        let payloads = identity
            .iter()
            .filter(|(name, _)| methods.contains(name))
            .map(|(name, payload)| (name.clone(), payload.clone()))
            .collect();
        Ok(Self {
            methods,
            payloads,
            scope: RequestedScope::from_body(auth.get("scope"))?,
            receipt,
            oauth1: None,
            remote_user: None,
            assertion: Assertion::default(),
            proven: None,
            client: None,
        })
    }

    /// Whom the client claims to be, in its own words: an id or a name, for the audit trail.
    pub(super) fn claimed_user(&self) -> Option<String> {
        self.payloads.values().find_map(|payload| {
            let user = payload.get("user")?;
            let claim = user.get("id").or_else(|| user.get("name"))?.as_str()?;
            Some(claim.chars().take(LONGEST_CLAIM).collect())
        })
    }

    /// A login by what an identity provider says.
    pub fn federated(
        idp_id: &IdentityProviderId,
        protocol_id: &ProtocolId,
        assertion: Assertion,
    ) -> Self {
        let method = protocol_id.as_str();
        let payload = json!({ "identity_provider": idp_id, "protocol": protocol_id });
        Self {
            methods: vec![method.to_owned()],
            payloads: Map::from_iter([(method.to_owned(), payload)]),
            scope: RequestedScope::Default,
            receipt: None,
            oauth1: None,
            remote_user: None,
            assertion,
            proven: None,
            client: None,
        }
    }

    /// A login by a connector's word. Whatever the protocol is called, the method is `mapped`: that
    /// one is there without an operator's doing.
    pub(crate) fn by_connector(proven: Proven, scope: RequestedScope) -> Self {
        let connector = &proven.connector;
        let assertion = Assertion::from_claims(&proven.subject, &proven.claims);
        let payload = json!({
            "identity_provider": connector.idp_id,
            "protocol": connector.protocol_id,
        });
        Self {
            methods: vec!["mapped".to_owned()],
            payloads: Map::from_iter([("mapped".to_owned(), payload)]),
            scope,
            receipt: None,
            oauth1: None,
            remote_user: None,
            assertion,
            proven: Some(proven),
            client: None,
        }
    }

    /// The payload of one method.
    pub(crate) fn payload(&self, method: &str) -> Result<&Map<String, Value>> {
        self.payloads
            .get(method)
            .and_then(Value::as_object)
            .ok_or_else(|| Error::missing_attribute(method, "identity"))
    }
}

impl RequestedScope {
    /// Reads the `scope` member of a login body.
    ///
    /// # Errors
    /// `Invalid` where it is none.
    pub fn from_body(scope: Option<&Value>) -> Result<Self> {
        let Some(scope) = scope else {
            return Ok(Self::Default);
        };
        let one_of = || {
            Error::missing_attribute(
                "system, project, domain, OS-TRUST:trust or unscoped",
                "scope",
            )
        };
        let scope = match scope {
            Value::String(word) if word == "unscoped" => return Ok(Self::Unscoped),
            Value::Object(scope) => scope,
            _ => return Err(one_of()),
        };
        let kinds = ["system", "project", "domain", "unscoped", "OS-TRUST:trust"];
        let mut named = kinds.into_iter().filter(|kind| scope.contains_key(*kind));
        let (Some(kind), None) = (named.next(), named.next()) else {
            return Err(one_of());
        };
        let no_members = Map::new();
        let members = scope[kind].as_object().unwrap_or(&no_members);
        match kind {
            "system" => Ok(Self::System),
            "unscoped" => Ok(Self::Unscoped),
            "project" => ProjectReference::from_body(members).map(Self::Project),
            "domain" => DomainReference::from_body(members, "scope/domain").map(Self::Domain),
            _ => text(members, "id")
                .map(|id| Self::Trust(TrustId::from(id)))
                .ok_or_else(|| Error::missing_attribute("trust_id", "trust")),
        }
    }
}

impl DomainReference {
    fn from_body(members: &Map<String, Value>, path: &str) -> Result<Self> {
        // A name wins over an id where both are given, as in Keystone.
        if let Some(name) = text(members, "name") {
            return Ok(Self::Name(name.to_owned()));
        }
        text(members, "id")
            .map(|id| Self::Id(DomainId::from(id)))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "Invalid input for field {path}: id or name must be present."
                ))
            })
    }
}

impl ProjectReference {
    fn from_body(members: &Map<String, Value>) -> Result<Self> {
        if let Some(name) = text(members, "name") {
            let domain = members
                .get("domain")
                .and_then(Value::as_object)
                .ok_or_else(|| Error::missing_attribute("domain", "project"))?;
            let domain = DomainReference::from_body(domain, "scope/project/domain")?;
            return Ok(Self::Name {
                name: name.to_owned(),
                domain,
            });
        }
        text(members, "id")
            .map(|id| Self::Id(ProjectId::from(id)))
            .ok_or_else(|| {
                Error::invalid("Invalid input for field scope/project: id or name must be present.")
            })
    }
}

impl UserReference {
    /// Reads the `user` member of a method's payload.
    pub(crate) fn from_payload(payload: &Map<String, Value>, method: &str) -> Result<Self> {
        let user = payload
            .get("user")
            .and_then(Value::as_object)
            .ok_or_else(|| Error::missing_attribute("user", method))?;
        if let Some(name) = text(user, "name") {
            let domain = user
                .get("domain")
                .and_then(Value::as_object)
                .ok_or_else(|| Error::missing_attribute("domain", "user"))?;
            let domain =
                DomainReference::from_body(domain, &format!("identity/{method}/user/domain"))?;
            return Ok(Self::Name {
                name: name.to_owned(),
                domain,
            });
        }
        text(user, "id")
            .map(|id| Self::Id(UserId::from(id)))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "Invalid input for field identity/{method}/user: id or name must be present."
                ))
            })
    }
}

impl ApplicationCredentialReference {
    pub(crate) fn from_payload(payload: &Map<String, Value>) -> Result<Self> {
        match payload.get("id") {
            Some(Value::String(id)) if !id.is_empty() => return Ok(Self::Id(id.as_str().into())),
            // No id is spelled like this, and what is not there is not found.
            Some(Value::Number(id)) => return Ok(Self::Id(id.to_string().into())),
            _ => {}
        }
        let name = text(payload, "name")
            .ok_or_else(|| Error::missing_attribute("name or ID", "application credential"))?;
        let owner = UserReference::from_payload(payload, "application_credential")?;
        Ok(Self::Name {
            name: name.to_owned(),
            owner,
        })
    }
}

/// A text member that is present and not empty.
pub(crate) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(auth: Value) -> Result<AuthRequest> {
        AuthRequest::from_body(auth.as_object().unwrap(), None)
    }

    #[test]
    fn a_method_without_its_payload_is_refused() {
        let error = read(json!({"identity": {"methods": ["password"]}})).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("Expecting to find password in identity.")
        );
    }

    #[test]
    fn a_repeated_method_counts_once() {
        let request =
            read(json!({"identity": {"methods": ["token", "token"], "token": {"id": "x"}}}));
        assert_eq!(request.unwrap().methods, ["token"]);
    }

    #[test]
    fn two_scopes_at_once_are_refused() {
        let error = read(json!({
            "identity": {"methods": []},
            "scope": {"system": {"all": true}, "domain": {"id": "default"}},
        }));
        assert!(matches!(error, Err(Error::Invalid(_))));
    }

    #[test]
    fn both_spellings_of_unscoped_are_understood() {
        for scope in [json!("unscoped"), json!({"unscoped": {}})] {
            let request = read(json!({"identity": {"methods": []}, "scope": scope})).unwrap();
            assert_eq!(request.scope, RequestedScope::Unscoped);
        }
    }

    #[test]
    fn a_project_name_needs_its_domain() {
        let error = read(json!({
            "identity": {"methods": []},
            "scope": {"project": {"name": "admin"}},
        }));
        assert!(error.unwrap_err().to_string().contains("domain in project"));
    }

    #[test]
    fn debug_output_shows_no_payload() {
        let request = read(json!({
            "identity": {"methods": ["password"], "password": {"user": {"password": "hunter2"}}},
        }));
        assert!(!format!("{:?}", request.unwrap()).contains("hunter2"));
    }
}
