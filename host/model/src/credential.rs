//! Things a user authenticates or delegates with besides a password: credentials, application
//! credentials with their access rules, and trusts.

use chrono::{DateTime, Utc};

use crate::{
    Extra,
    id::{AccessRuleId, ApplicationCredentialId, CredentialId, ProjectId, RoleId, TrustId, UserId},
    listing::Page,
};

/// A credential row. The blob is sealed with the credential keys; only the service layer opens it.
#[derive(Clone, PartialEq)]
pub struct SealedCredential {
    pub id: CredentialId,
    pub user_id: UserId,
    pub project_id: Option<ProjectId>,
    /// `ec2`, `cert`, `totp`, or anything a client chose.
    pub kind: String,
    pub encrypted_blob: String,
    /// SHA-1 of the key that sealed the blob, so that a key can be retired safely.
    pub key_hash: String,
    pub extra: Extra,
}

impl std::fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedCredential")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Which credentials to list.
#[derive(Debug, Clone, Default)]
pub struct CredentialFilter {
    pub user_id: Option<UserId>,
    pub kind: Option<String>,
    pub page: Page,
}

/// An application credential: a user's delegation to a program, in one project.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationCredential {
    pub id: ApplicationCredentialId,
    pub name: String,
    pub description: Option<String>,
    pub user_id: UserId,
    /// Nothing where it was made without being in a project; then nobody can log in with it.
    pub project_id: Option<ProjectId>,
    pub roles: Vec<RoleId>,
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it may create further application credentials and trusts. Not said is no.
    pub unrestricted: Option<bool>,
    pub access_rules: Vec<AccessRule>,
}

impl ApplicationCredential {
    pub fn is_unrestricted(&self) -> bool {
        self.unrestricted == Some(true)
    }
}

/// What is needed to create an application credential.
#[derive(Debug, Clone)]
pub struct NewApplicationCredential {
    pub credential: ApplicationCredential,
    pub secret_hash: SecretHash,
}

/// The hash of an application credential's secret.
#[derive(Clone)]
pub struct SecretHash(pub String);

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One request that a restricted application credential may make of another service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccessRule {
    pub id: AccessRuleId,
    pub service: Option<String>,
    pub path: Option<String>,
    pub method: Option<String>,
}

impl AccessRule {
    /// Whether this rule allows a request of a service. In the rule's path, `*` and `{anything}`
    /// stand for what is between two slashes, and `**` for anything at all.
    pub fn allows(&self, service: &str, method: &str, path: &str) -> bool {
        self.service.as_deref() == Some(service)
            && self.method.as_deref() == Some(method)
            && self
                .path
                .as_deref()
                .is_some_and(|pattern| path_matches(pattern, path.as_bytes()))
    }
}

/// What a part of a rule's path stands for.
enum Piece {
    Literal(u8),
    /// One or more bytes, none of them a slash.
    Segment,
    /// Any bytes, or none.
    Anything,
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let tag_end = rest.iter().position(|byte| *byte == b'}');
        rest = match (first, after.first(), tag_end) {
            (b'*', Some(b'*'), _) => {
                pieces.push(Piece::Anything);
                &after[1..]
            }
            (b'*', _, _) => {
                pieces.push(Piece::Segment);
                after
            }
            (b'{', _, Some(end)) => {
                pieces.push(Piece::Segment);
                &rest[end + 1..]
            }
            (literal, _, _) => {
                pieces.push(Piece::Literal(*literal));
                after
            }
        };
    }
    pieces
}

/// Follows all ways to match at once, so that no pattern takes long.
fn path_matches(pattern: &str, path: &[u8]) -> bool {
    // `reached[n]`: the pieces so far can stand for the first n bytes of the path.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for piece in pieces(pattern) {
        let mut next = vec![false; path.len() + 1];
        match piece {
            Piece::Literal(literal) => {
                for (index, byte) in path.iter().enumerate() {
                    next[index + 1] = reached[index] && *byte == literal;
                }
            }
            Piece::Segment => {
                for (index, byte) in path.iter().enumerate() {
                    next[index + 1] = (next[index] || reached[index]) && *byte != b'/';
                }
            }
            Piece::Anything => {
                let mut before = false;
                for (index, here) in reached.iter().enumerate() {
                    before |= here;
                    next[index] = before;
                }
            }
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

/// Which application credentials of a user to list.
#[derive(Debug, Clone, Default)]
pub struct ApplicationCredentialFilter {
    pub name: Option<String>,
    pub page: Page,
}

/// A trust: the trustor lets the trustee act in a project with some roles.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    pub id: TrustId,
    pub trustor_user_id: UserId,
    pub trustee_user_id: UserId,
    pub project_id: Option<ProjectId>,
    pub impersonation: bool,
    pub roles: Vec<RoleId>,
    pub expires_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub remaining_uses: Option<i32>,
    pub redelegated_trust_id: Option<TrustId>,
    pub redelegation_count: Option<i32>,
    pub extra: Extra,
}

/// Which trusts to list.
#[derive(Debug, Clone, Default)]
pub struct TrustFilter {
    pub trustor_user_id: Option<UserId>,
    pub trustee_user_id: Option<UserId>,
    pub page: Page,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, path: &str) -> bool {
        let rule = AccessRule {
            id: "rule".into(),
            service: Some("compute".to_owned()),
            path: Some(pattern.to_owned()),
            method: Some("GET".to_owned()),
        };
        rule.allows("compute", "GET", path)
    }

    #[test]
    fn a_star_and_a_tag_stay_between_two_slashes() {
        assert!(allows("/v2/servers/*", "/v2/servers/1"));
        assert!(allows("/v2/servers/{id}/ips", "/v2/servers/1/ips"));
        assert!(!allows("/v2/servers/*", "/v2/servers/"));
        assert!(!allows("/v2/servers/*", "/v2/servers/1/ips"));
        assert!(!allows("/v2/servers/{id}", "/v2/servers/1/ips"));
    }

    #[test]
    fn two_stars_reach_further() {
        assert!(allows("/v2/**", "/v2/"));
        assert!(allows("/v2/**", "/v2/servers/1/ips"));
        assert!(!allows("/v2/**", "/v3/servers"));
        assert!(allows("/**/ips", "/v2/servers/1/ips"));
    }

    #[test]
    fn a_path_without_stars_is_that_path_only() {
        assert!(allows("/v2/servers", "/v2/servers"));
        assert!(!allows("/v2/servers", "/v2/servers/"));
        assert!(!allows("/v2.1/x", "/v2x1/x"));
    }

    #[test]
    fn another_service_or_method_is_not_allowed() {
        let rule = AccessRule {
            id: "rule".into(),
            service: Some("compute".to_owned()),
            path: Some("/**".to_owned()),
            method: Some("GET".to_owned()),
        };
        assert!(!rule.allows("identity", "GET", "/x"));
        assert!(!rule.allows("compute", "POST", "/x"));
    }
}
