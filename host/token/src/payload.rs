//! What a token says, and its layout for each of Keystone 30's payload versions.

use chrono::{DateTime, Utc};

use crate::{
    AuditId, AuditIds, Methods, PayloadError,
    msgpack::{Blob, Reader, Writer},
    packed_id,
};

/// The contents of a token, apart from the time it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPayload {
    pub user_id: String,
    pub methods: Methods,
    pub audit_ids: AuditIds,
    /// Tokens carry whole seconds; a fraction is dropped when the token is sealed.
    pub expires_at: DateTime<Utc>,
    pub kind: TokenKind,
}

/// What the token is scoped to, and what it was delegated by. One variant for each
/// payload class of Keystone 30.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Unscoped,
    Domain {
        domain_id: String,
    },
    Project {
        project_id: String,
    },
    /// A trust without a project gives a token without one.
    Trust {
        project_id: Option<String>,
        trust_id: String,
    },
    FederatedUnscoped {
        federation: Federation,
    },
    FederatedProject {
        project_id: String,
        federation: Federation,
    },
    FederatedDomain {
        domain_id: String,
        federation: Federation,
    },
    OAuth1 {
        project_id: String,
        access_token_id: String,
    },
    /// Scoped to the whole system, the only system scope there is.
    System,
    ApplicationCredential {
        project_id: String,
        application_credential_id: String,
    },
    /// Bound to a client certificate by its SHA-256 thumbprint (RFC 8705).
    OAuth2MutualTls {
        project_id: Option<String>,
        domain_id: Option<String>,
        thumbprint: String,
    },
}

/// Where a federated user came from, and the groups the mapping gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federation {
    pub identity_provider_id: String,
    pub protocol_id: String,
    pub group_ids: Vec<String>,
}

const SYSTEM_ALL: &str = "all";

impl TokenKind {
    /// Keystone's payload version for this kind.
    pub const fn version(&self) -> u64 {
        match self {
            Self::Unscoped => 0,
            Self::Domain { .. } => 1,
            Self::Project { .. } => 2,
            Self::Trust { .. } => 3,
            Self::FederatedUnscoped { .. } => 4,
            Self::FederatedProject { .. } => 5,
            Self::FederatedDomain { .. } => 6,
            Self::OAuth1 { .. } => 7,
            Self::System => 8,
            Self::ApplicationCredential { .. } => 9,
            Self::OAuth2MutualTls { .. } => 10,
        }
    }

    pub fn project_id(&self) -> Option<&str> {
        match self {
            Self::Project { project_id }
            | Self::FederatedProject { project_id, .. }
            | Self::OAuth1 { project_id, .. }
            | Self::ApplicationCredential { project_id, .. } => Some(project_id),
            Self::Trust { project_id, .. } | Self::OAuth2MutualTls { project_id, .. } => {
                project_id.as_deref()
            }
            _ => None,
        }
    }

    pub fn domain_id(&self) -> Option<&str> {
        match self {
            Self::Domain { domain_id } | Self::FederatedDomain { domain_id, .. } => Some(domain_id),
            Self::OAuth2MutualTls { domain_id, .. } => domain_id.as_deref(),
            _ => None,
        }
    }

    /// `all` for a system-scoped token.
    pub fn system(&self) -> Option<&'static str> {
        matches!(self, Self::System).then_some(SYSTEM_ALL)
    }

    pub fn trust_id(&self) -> Option<&str> {
        match self {
            Self::Trust { trust_id, .. } => Some(trust_id),
            _ => None,
        }
    }

    pub fn federation(&self) -> Option<&Federation> {
        match self {
            Self::FederatedUnscoped { federation }
            | Self::FederatedProject { federation, .. }
            | Self::FederatedDomain { federation, .. } => Some(federation),
            _ => None,
        }
    }

    pub fn access_token_id(&self) -> Option<&str> {
        match self {
            Self::OAuth1 {
                access_token_id, ..
            } => Some(access_token_id),
            _ => None,
        }
    }

    pub fn application_credential_id(&self) -> Option<&str> {
        match self {
            Self::ApplicationCredential {
                application_credential_id,
                ..
            } => Some(application_credential_id),
            _ => None,
        }
    }

    pub fn thumbprint(&self) -> Option<&str> {
        match self {
            Self::OAuth2MutualTls { thumbprint, .. } => Some(thumbprint),
            _ => None,
        }
    }
}

impl TokenPayload {
    /// The MessagePack form, byte for byte what Keystone writes for the same contents.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(160);
        let w = &mut writer;
        w.array(self.kind.field_count());
        w.unsigned(self.kind.version());
        packed_id::write(w, &self.user_id);
        w.unsigned(self.methods.bits());
        match &self.kind {
            TokenKind::Unscoped => self.write_validity(w),
            TokenKind::Domain { domain_id } => {
                packed_id::write_bare(w, domain_id);
                self.write_validity(w);
            }
            TokenKind::Project { project_id } => {
                packed_id::write(w, project_id);
                self.write_validity(w);
            }
            TokenKind::Trust {
                project_id,
                trust_id,
            } => {
                packed_id::write_optional(w, project_id.as_deref());
                self.write_validity(w);
                packed_id::write_bare(w, trust_id);
            }
            TokenKind::FederatedUnscoped { federation } => {
                federation.write(w);
                self.write_validity(w);
            }
            TokenKind::FederatedProject {
                project_id: scope_id,
                federation,
            }
            | TokenKind::FederatedDomain {
                domain_id: scope_id,
                federation,
            } => {
                packed_id::write(w, scope_id);
                federation.write(w);
                self.write_validity(w);
            }
            TokenKind::OAuth1 {
                project_id,
                access_token_id,
            } => {
                packed_id::write(w, project_id);
                packed_id::write(w, access_token_id);
                self.write_validity(w);
            }
            TokenKind::System => {
                w.text(SYSTEM_ALL);
                self.write_validity(w);
            }
            TokenKind::ApplicationCredential {
                project_id,
                application_credential_id,
            } => {
                packed_id::write(w, project_id);
                self.write_validity(w);
                packed_id::write(w, application_credential_id);
            }
            TokenKind::OAuth2MutualTls {
                project_id,
                domain_id,
                thumbprint,
            } => {
                packed_id::write_optional(w, project_id.as_deref());
                packed_id::write_optional(w, domain_id.as_deref());
                self.write_validity(w);
                w.array(2);
                w.boolean(false);
                w.text(thumbprint);
            }
        }
        writer.into_bytes()
    }

    /// Reads the MessagePack form. Work and memory are bounded by the input's length.
    ///
    /// # Errors
    /// [`PayloadError`] if the version is unknown or anything departs from its layout,
    /// trailing bytes included.
    pub fn decode(plaintext: &[u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(plaintext);
        let r = &mut reader;
        let fields = r.array("layout")?;
        let version = r.unsigned("version")?;
        let user_id = packed_id::read(r, "user id")?;
        let methods = Methods::from_bits(r.unsigned("methods")?);
        let (kind, (expires_at, audit_ids)) = match version {
            0 => (TokenKind::Unscoped, read_validity(r)?),
            1 => {
                let domain_id = packed_id::read_bare(r, "domain id")?;
                (TokenKind::Domain { domain_id }, read_validity(r)?)
            }
            2 => {
                let project_id = packed_id::read(r, "project id")?;
                (TokenKind::Project { project_id }, read_validity(r)?)
            }
            3 => {
                let project_id = packed_id::read_optional(r, "project id")?;
                let validity = read_validity(r)?;
                let trust_id = packed_id::read_bare(r, "trust id")?;
                let kind = TokenKind::Trust {
                    project_id,
                    trust_id,
                };
                (kind, validity)
            }
            4 => {
                let federation = Federation::read(r)?;
                (
                    TokenKind::FederatedUnscoped { federation },
                    read_validity(r)?,
                )
            }
            5 => {
                let project_id = packed_id::read(r, "project id")?;
                let federation = Federation::read(r)?;
                let kind = TokenKind::FederatedProject {
                    project_id,
                    federation,
                };
                (kind, read_validity(r)?)
            }
            6 => {
                let domain_id = packed_id::read(r, "domain id")?;
                let federation = Federation::read(r)?;
                let kind = TokenKind::FederatedDomain {
                    domain_id,
                    federation,
                };
                (kind, read_validity(r)?)
            }
            7 => {
                let project_id = packed_id::read(r, "project id")?;
                let access_token_id = packed_id::read(r, "access token id")?;
                let kind = TokenKind::OAuth1 {
                    project_id,
                    access_token_id,
                };
                (kind, read_validity(r)?)
            }
            8 => match packed_id::read_text(r, "system")?.as_str() {
                SYSTEM_ALL => (TokenKind::System, read_validity(r)?),
                _ => return Err(PayloadError::Malformed("system")),
            },
            9 => {
                let project_id = packed_id::read(r, "project id")?;
                let validity = read_validity(r)?;
                let application_credential_id = packed_id::read(r, "application credential id")?;
                let kind = TokenKind::ApplicationCredential {
                    project_id,
                    application_credential_id,
                };
                (kind, validity)
            }
            10 => {
                let project_id = packed_id::read_optional(r, "project id")?;
                let domain_id = packed_id::read_optional(r, "domain id")?;
                let validity = read_validity(r)?;
                let thumbprint = packed_id::read(r, "thumbprint")?;
                let kind = TokenKind::OAuth2MutualTls {
                    project_id,
                    domain_id,
                    thumbprint,
                };
                (kind, validity)
            }
            unknown => return Err(PayloadError::UnknownVersion(unknown)),
        };
        if fields != kind.field_count() {
            return Err(PayloadError::Malformed("layout"));
        }
        reader.end()?;
        Ok(Self {
            user_id,
            methods,
            audit_ids,
            expires_at,
            kind,
        })
    }

    fn write_validity(&self, writer: &mut Writer) {
        writer.time(self.expires_at);
        writer.array(self.audit_ids.iter().count());
        for id in self.audit_ids.iter() {
            writer.binary(id.as_bytes());
        }
    }
}

impl TokenKind {
    /// Elements of the payload's array, version included.
    const fn field_count(&self) -> usize {
        match self {
            Self::Unscoped => 5,
            Self::Domain { .. } | Self::Project { .. } | Self::System => 6,
            Self::Trust { .. } | Self::OAuth1 { .. } | Self::ApplicationCredential { .. } => 7,
            Self::FederatedUnscoped { .. } | Self::OAuth2MutualTls { .. } => 8,
            Self::FederatedProject { .. } | Self::FederatedDomain { .. } => 9,
        }
    }
}

impl Federation {
    fn write(&self, writer: &mut Writer) {
        writer.array(self.group_ids.len());
        for id in &self.group_ids {
            packed_id::write(writer, id);
        }
        packed_id::write(writer, &self.identity_provider_id);
        writer.text(&self.protocol_id);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, PayloadError> {
        let groups = reader.array("groups")?;
        Ok(Self {
            group_ids: (0..groups)
                .map(|_| packed_id::read(reader, "groups"))
                .collect::<Result<_, _>>()?,
            identity_provider_id: packed_id::read(reader, "identity provider id")?,
            protocol_id: packed_id::read_text(reader, "protocol id")?,
        })
    }
}

fn read_validity(reader: &mut Reader<'_>) -> Result<(DateTime<Utc>, AuditIds), PayloadError> {
    let expires_at = reader.time("expiry")?;
    let ids = reader.array("audit ids")?;
    let own = read_audit_id(reader)?;
    let parent = match ids {
        1 => None,
        2 => Some(read_audit_id(reader)?),
        _ => return Err(PayloadError::Malformed("audit ids")),
    };
    Ok((expires_at, AuditIds { own, parent }))
}

fn read_audit_id(reader: &mut Reader<'_>) -> Result<AuditId, PayloadError> {
    match reader.blob("audit ids")? {
        Blob::Binary(bytes) | Blob::Text(bytes) => bytes
            .try_into()
            .map(AuditId::from_bytes)
            .map_err(|_| PayloadError::Malformed("audit ids")),
        Blob::Nil => Err(PayloadError::Malformed("audit ids")),
    }
}
