//! OAuth 1.0 delegation: a consumer is a program, a request token is its wish to act for somebody,
//! and an access token is what that somebody granted.

use chrono::{DateTime, Utc};

use crate::{
    Extra,
    id::{AccessTokenId, ConsumerId, ProjectId, RequestTokenId, RoleId, UserId},
    secret::Secret,
};

/// A program that users can let act for them.
#[derive(Debug, Clone)]
pub struct Consumer {
    pub id: ConsumerId,
    pub description: Option<String>,
    pub secret: Secret,
    pub extra: Extra,
}

/// A consumer's wish to act in a project.
#[derive(Debug, Clone)]
pub struct RequestToken {
    pub id: RequestTokenId,
    pub secret: Secret,
    pub consumer_id: ConsumerId,
    pub project_id: ProjectId,
    pub grant: Option<Grant>,
    /// Lasts for ever where it is absent.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a user granted to a request token.
#[derive(Debug, Clone)]
pub struct Grant {
    pub user_id: UserId,
    pub roles: Vec<RoleId>,
    /// What the user tells the consumer, so that no other consumer can use the grant.
    pub verifier: Secret,
}

/// A consumer's right to act for a user in a project, with these roles and what they imply, as far
/// as the user has them.
#[derive(Debug, Clone)]
pub struct AccessToken {
    pub id: AccessTokenId,
    pub secret: Secret,
    pub consumer_id: ConsumerId,
    pub user_id: UserId,
    pub project_id: ProjectId,
    pub roles: Vec<RoleId>,
    /// Lasts for ever where it is absent.
    pub expires_at: Option<DateTime<Utc>>,
}

impl RequestToken {
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| now > end)
    }
}

impl AccessToken {
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| now > end)
    }
}
