//! Users, their passwords' state and options, and groups.

use chrono::{DateTime, NaiveDate, Utc};

use crate::{
    Extra,
    id::{DomainId, GroupId, IdentityProviderId, ProjectId, ProtocolId, UserId},
    listing::{Change, NameFilter, Page},
};

/// Where a user's name and proof of identity live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// A row in `local_user`, with or without a password.
    Local,
    /// A row in `nonlocal_user`: a name only, proven elsewhere.
    NonLocal,
    /// Known only through `federated_user` rows.
    Federated,
}

/// A user as the API shows it. Never carries a password or its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub id: UserId,
    pub domain_id: DomainId,
    pub name: String,
    pub kind: UserKind,
    pub enabled: bool,
    pub default_project_id: Option<ProjectId>,
    pub created_at: Option<DateTime<Utc>>,
    pub last_active_at: Option<NaiveDate>,
    /// When the current password stops being accepted.
    pub password_expires_at: Option<DateTime<Utc>>,
    pub options: UserOptions,
    /// External accounts, as the `federated` attribute shows them.
    pub federated: Vec<FederatedAccount>,
    /// Attributes that the schema does not know (`description`, `email`, anything a client sent).
    pub extra: Extra,
}

/// One external account of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedAccount {
    pub idp_id: IdentityProviderId,
    pub protocol_id: ProtocolId,
    pub unique_id: String,
    pub display_name: Option<String>,
}

/// Per-user options; `None` means not set. Their ids in the database are in the field docs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserOptions {
    /// `1000`
    pub ignore_change_password_upon_first_use: Option<bool>,
    /// `1001`
    pub ignore_password_expiry: Option<bool>,
    /// `1002`
    pub ignore_lockout_failure_attempts: Option<bool>,
    /// `1003`
    pub lock_password: Option<bool>,
    /// `1004`
    pub ignore_user_inactivity: Option<bool>,
    /// `MFAR`
    pub multi_factor_auth_rules: Option<Vec<Vec<String>>>,
    /// `MFAE`
    pub multi_factor_auth_enabled: Option<bool>,
}

impl UserOptions {
    /// These options after `changes`, an object of option names and values; null removes one.
    /// Names and types that are not an option's are ignored: the request schema refuses them.
    pub fn with_changes(mut self, changes: &Extra) -> Self {
        for (name, value) in changes {
            let flag = value.as_bool();
            match name.as_str() {
                "ignore_change_password_upon_first_use" => {
                    self.ignore_change_password_upon_first_use = flag;
                }
                "ignore_password_expiry" => self.ignore_password_expiry = flag,
                "ignore_lockout_failure_attempts" => self.ignore_lockout_failure_attempts = flag,
                "lock_password" => self.lock_password = flag,
                "ignore_user_inactivity" => self.ignore_user_inactivity = flag,
                "multi_factor_auth_enabled" => self.multi_factor_auth_enabled = flag,
                "multi_factor_auth_rules" => {
                    self.multi_factor_auth_rules = serde_json::from_value(value.clone()).ok();
                }
                _ => {}
            }
        }
        self
    }

    /// The options that are set, by name, as the API shows them.
    pub fn to_map(&self) -> Extra {
        let flags = [
            (
                "ignore_change_password_upon_first_use",
                self.ignore_change_password_upon_first_use,
            ),
            ("ignore_password_expiry", self.ignore_password_expiry),
            (
                "ignore_lockout_failure_attempts",
                self.ignore_lockout_failure_attempts,
            ),
            ("lock_password", self.lock_password),
            ("ignore_user_inactivity", self.ignore_user_inactivity),
            ("multi_factor_auth_enabled", self.multi_factor_auth_enabled),
        ];
        let mut map: Extra = flags
            .into_iter()
            .filter_map(|(name, flag)| Some((name.to_owned(), flag?.into())))
            .collect();
        if let Some(rules) = &self.multi_factor_auth_rules {
            map.insert("multi_factor_auth_rules".to_owned(), rules.clone().into());
        }
        map
    }
}

/// What is needed to create a user.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub id: UserId,
    pub domain_id: DomainId,
    pub name: String,
    pub enabled: bool,
    pub default_project_id: Option<ProjectId>,
    /// Already hashed; the store never sees a clear password.
    pub password: Option<NewPassword>,
    pub options: UserOptions,
    pub federated: Vec<FederatedAccount>,
    pub extra: Extra,
    pub created_at: DateTime<Utc>,
}

/// A password ready to be stored.
#[derive(Clone)]
pub struct NewPassword {
    pub hash: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    /// Set by its owner, not by an administrator.
    pub self_service: bool,
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPassword")
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("self_service", &self.self_service)
            .finish_non_exhaustive()
    }
}

/// A stored password, newest last in a user's history.
#[derive(Clone)]
pub struct StoredPassword {
    pub hash: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub self_service: bool,
}

impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredPassword")
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("self_service", &self.self_service)
            .finish_non_exhaustive()
    }
}

/// What a password login needs to know about a user, in one read.
#[derive(Debug, Clone)]
pub struct UserWithPasswords {
    pub user: User,
    /// Oldest first; the last one is current.
    pub passwords: Vec<StoredPassword>,
    pub failed_auth_count: u32,
    pub failed_auth_at: Option<DateTime<Utc>>,
}

/// An update of a user.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    pub name: Change<String>,
    pub enabled: Change<bool>,
    pub default_project_id: Change<Option<ProjectId>>,
    /// `Set(None)` removes the password.
    pub password: Change<Option<NewPassword>>,
    /// The complete options after the update.
    pub options: Change<UserOptions>,
    pub federated: Change<Vec<FederatedAccount>>,
    /// The complete extra attributes after the update.
    pub extra: Change<Extra>,
}

/// Which users to list.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    pub domain_id: Option<DomainId>,
    pub enabled: Option<bool>,
    pub names: Vec<NameFilter>,
    pub idp_id: Option<IdentityProviderId>,
    pub protocol_id: Option<ProtocolId>,
    pub unique_id: Option<String>,
    /// `password_expires_at` comparisons, as in `?password_expires_at=lt:2026-01-01T00:00:00Z`.
    pub password_expires: Vec<(TimeComparison, DateTime<Utc>)>,
    pub page: Page,
}

/// `lt`, `lte`, `gt`, `gte`, `eq`, `neq` of a time filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeComparison {
    Before,
    NotAfter,
    After,
    NotBefore,
    At,
    NotAt,
}

/// Where a group lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// A row in `group`.
    Local,
    /// In a directory: without a description, it is shown without that attribute.
    NonLocal,
}

/// A group of users in one domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub id: GroupId,
    pub domain_id: DomainId,
    pub name: String,
    pub kind: GroupKind,
    pub description: Option<String>,
    pub extra: Extra,
}

/// An update of a group.
#[derive(Debug, Clone, Default)]
pub struct GroupPatch {
    pub name: Change<String>,
    pub description: Change<Option<String>>,
    pub extra: Change<Extra>,
}

/// Which groups to list.
#[derive(Debug, Clone, Default)]
pub struct GroupFilter {
    pub domain_id: Option<DomainId>,
    pub names: Vec<NameFilter>,
    pub page: Page,
}
