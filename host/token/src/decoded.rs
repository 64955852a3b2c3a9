//! Opened tokens in plain words: the JSON of `archstone token inspect`, with
//! Keystone's own names for the fields.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    AuditIds, AuthMethods, Federation, InvalidAuditId, OpenedReceipt, OpenedToken, ReceiptPayload,
    TokenKind, TokenPayload, time::iso,
};

/// A token's contents, every field of every kind present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodedToken {
    pub user_id: String,
    pub methods: Vec<String>,
    pub audit_ids: Vec<String>,
    pub system: Option<String>,
    pub domain_id: Option<String>,
    pub project_id: Option<String>,
    pub trust_id: Option<String>,
    pub federated_group_ids: Option<Vec<GroupReference>>,
    pub identity_provider_id: Option<String>,
    pub protocol_id: Option<String>,
    pub access_token_id: Option<String>,
    pub app_cred_id: Option<String>,
    pub thumbprint: Option<String>,
    #[serde(with = "iso")]
    pub issued_at: DateTime<Utc>,
    #[serde(with = "iso")]
    pub expires_at: DateTime<Utc>,
}

/// `{"id": ...}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReference {
    pub id: String,
}

/// A receipt's contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodedReceipt {
    pub user_id: String,
    pub methods: Vec<String>,
    #[serde(with = "iso")]
    pub issued_at: DateTime<Utc>,
    #[serde(with = "iso")]
    pub expires_at: DateTime<Utc>,
}

/// The fields do not make up a token of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidDecodedToken {
    #[error("a token has one audit id, or two if it was made from another token")]
    AuditIds,
    #[error(transparent)]
    AuditId(#[from] InvalidAuditId),
    #[error("this kind of token needs a project_id")]
    NoProject,
    #[error("the only system scope is `all`")]
    System,
}

impl DecodedToken {
    /// Spells out `token`; `methods` gives the names of its methods.
    pub fn new(token: &OpenedToken, methods: &AuthMethods) -> Self {
        let OpenedToken { payload, issued_at } = token;
        let kind = &payload.kind;
        let own = |id: Option<&str>| id.map(str::to_owned);
        let federation = kind.federation();
        Self {
            user_id: payload.user_id.clone(),
            methods: names(methods, payload.methods),
            audit_ids: payload.audit_ids.iter().map(|id| id.to_string()).collect(),
            system: own(kind.system()),
            domain_id: own(kind.domain_id()),
            project_id: own(kind.project_id()),
            trust_id: own(kind.trust_id()),
            federated_group_ids: federation.map(|from| {
                let ids = from.group_ids.iter().cloned();
                ids.map(|id| GroupReference { id }).collect()
            }),
            identity_provider_id: federation.map(|from| from.identity_provider_id.clone()),
            protocol_id: federation.map(|from| from.protocol_id.clone()),
            access_token_id: own(kind.access_token_id()),
            app_cred_id: own(kind.application_credential_id()),
            thumbprint: own(kind.thumbprint()),
            issued_at: *issued_at,
            expires_at: payload.expires_at,
        }
    }

    /// The token these fields describe. Its kind follows from the fields that are
    /// there, in Keystone's order: delegations first, then the plain scopes.
    ///
    /// # Errors
    /// [`InvalidDecodedToken`] if a field is malformed or one is missing.
    pub fn into_token(self, methods: &AuthMethods) -> Result<OpenedToken, InvalidDecodedToken> {
        let audit_ids = match self.audit_ids.as_slice() {
            [own] => AuditIds::first(own.parse()?),
            [own, parent] => AuditIds {
                own: own.parse()?,
                parent: Some(parent.parse()?),
            },
            _ => return Err(InvalidDecodedToken::AuditIds),
        };
        let groups = self.federated_group_ids.unwrap_or_default();
        let federation = self.identity_provider_id.zip(self.protocol_id).map(
            |(identity_provider_id, protocol_id)| Federation {
                identity_provider_id,
                protocol_id,
                group_ids: groups.into_iter().map(|group| group.id).collect(),
            },
        );
        let kind = if let Some(access_token_id) = self.access_token_id {
            TokenKind::OAuth1 {
                project_id: self.project_id.ok_or(InvalidDecodedToken::NoProject)?,
                access_token_id,
            }
        } else if let Some(trust_id) = self.trust_id {
            TokenKind::Trust {
                project_id: self.project_id,
                trust_id,
            }
        } else if let Some(federation) = federation {
            match (self.project_id, self.domain_id) {
                (Some(project_id), _) => TokenKind::FederatedProject {
                    project_id,
                    federation,
                },
                (None, Some(domain_id)) => TokenKind::FederatedDomain {
                    domain_id,
                    federation,
                },
                (None, None) => TokenKind::FederatedUnscoped { federation },
            }
        } else if let Some(application_credential_id) = self.app_cred_id {
            TokenKind::ApplicationCredential {
                project_id: self.project_id.ok_or(InvalidDecodedToken::NoProject)?,
                application_credential_id,
            }
        } else if let Some(thumbprint) = self.thumbprint {
            TokenKind::OAuth2MutualTls {
                project_id: self.project_id,
                domain_id: self.domain_id,
                thumbprint,
            }
        } else {
            match (self.project_id, self.domain_id, self.system.as_deref()) {
                (Some(project_id), _, _) => TokenKind::Project { project_id },
                (None, Some(domain_id), _) => TokenKind::Domain { domain_id },
                (None, None, Some("all")) => TokenKind::System,
                (None, None, Some(_)) => return Err(InvalidDecodedToken::System),
                (None, None, None) => TokenKind::Unscoped,
            }
        };
        Ok(OpenedToken {
            payload: TokenPayload {
                user_id: self.user_id,
                methods: methods.encode(self.methods),
                audit_ids,
                expires_at: self.expires_at,
                kind,
            },
            issued_at: self.issued_at,
        })
    }
}

impl DecodedReceipt {
    /// Spells out `receipt`; `methods` gives the names of its methods.
    pub fn new(receipt: &OpenedReceipt, methods: &AuthMethods) -> Self {
        Self {
            user_id: receipt.payload.user_id.clone(),
            methods: names(methods, receipt.payload.methods),
            issued_at: receipt.issued_at,
            expires_at: receipt.payload.expires_at,
        }
    }

    /// The receipt these fields describe.
    pub fn into_receipt(self, methods: &AuthMethods) -> OpenedReceipt {
        OpenedReceipt {
            payload: ReceiptPayload {
                user_id: self.user_id,
                methods: methods.encode(self.methods),
                expires_at: self.expires_at,
            },
            issued_at: self.issued_at,
        }
    }
}

fn names(table: &AuthMethods, methods: crate::Methods) -> Vec<String> {
    table
        .names(methods)
        .into_iter()
        .map(str::to_owned)
        .collect()
}
