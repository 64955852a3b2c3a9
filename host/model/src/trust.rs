//! Trusts: one user lets another act for them in a project. A trust that allows it can be handed
//! on, and each one in such a chain stays within the one before it.

use chrono::{DateTime, Utc};

use crate::{
    Extra,
    id::{ProjectId, RoleId, TrustId, UserId},
};

/// A trust: the trustor lets the trustee act in a project with some roles.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    pub id: TrustId,
    pub trustor_user_id: UserId,
    pub trustee_user_id: UserId,
    pub project_id: Option<ProjectId>,
    /// The trustee's tokens speak as the trustor.
    pub impersonation: bool,
    pub roles: Vec<RoleId>,
    pub expires_at: Option<DateTime<Utc>>,
    /// How many more tokens it gives; `None` for any number.
    pub remaining_uses: Option<i32>,
    /// The trust that this one was made with.
    pub redelegated_trust_id: Option<TrustId>,
    /// How many trusts can follow in the chain; `None`, which only a client's null leaves, is none.
    pub redelegation_count: Option<i32>,
    pub extra: Extra,
}

/// Which trusts to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustFilter {
    All,
    Trustor(UserId),
    Trustee(UserId),
}

/// Why a trust does not follow from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWithin {
    #[error("the trust before it can not be redelegated this often")]
    Depth,
    #[error("a redelegated trust has no limited number of uses")]
    LimitedUses,
    #[error("it would outlast the trust before it")]
    Expiry,
    #[error("a role is not in the trust before it")]
    Roles,
    #[error("the trust before it is for another project")]
    Project,
    #[error("the trust before it does not impersonate")]
    Impersonation,
}

impl Trust {
    /// Whether it still counts at this time: it has neither expired nor been used up.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|expires_at| now <= expires_at)
            && self.remaining_uses.is_none_or(|uses| uses > 0)
    }

    /// Whether this trust stays within `parent`, one before it in its chain, where the operator
    /// lets chains be `most` long.
    ///
    /// # Errors
    /// Says in what it does not.
    pub fn check_within(&self, parent: &Self, most: i32) -> Result<(), NotWithin> {
        let depth = parent.redelegation_count.unwrap_or(0);
        if !(1..=most).contains(&depth) || self.redelegation_count.unwrap_or(0) >= depth {
            return Err(NotWithin::Depth);
        }
        if self.remaining_uses.is_some() {
            return Err(NotWithin::LimitedUses);
        }
        let outlasts = match (self.expires_at, parent.expires_at) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(own), Some(parents)) => own > parents,
        };
        if outlasts {
            return Err(NotWithin::Expiry);
        }
        if !self.roles.iter().all(|role| parent.roles.contains(role)) {
            return Err(NotWithin::Roles);
        }
        // Without a project it gives nothing.
        if self.project_id.is_some() && self.project_id != parent.project_id {
            return Err(NotWithin::Project);
        }
        if self.impersonation && !parent.impersonation {
            return Err(NotWithin::Impersonation);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn parent() -> Trust {
        Trust {
            id: "first".into(),
            trustor_user_id: "ada".into(),
            trustee_user_id: "bob".into(),
            project_id: Some("engines".into()),
            impersonation: true,
            roles: vec!["member".into(), "reader".into()],
            expires_at: DateTime::from_timestamp(4_000_000_000, 0),
            remaining_uses: None,
            redelegated_trust_id: None,
            redelegation_count: Some(2),
            extra: Extra::new(),
        }
    }

    fn child() -> Trust {
        Trust {
            id: "second".into(),
            trustee_user_id: "eve".into(),
            roles: vec!["reader".into()],
            redelegated_trust_id: Some("first".into()),
            redelegation_count: Some(1),
            ..parent()
        }
    }

    #[test]
    fn a_narrower_trust_follows() {
        assert_eq!(child().check_within(&parent(), 3), Ok(()));
        let unlimited = Trust {
            expires_at: None,
            ..parent()
        };
        assert_eq!(child().check_within(&unlimited, 3), Ok(()));
    }

    #[test]
    fn a_chain_ends_where_its_first_trust_or_the_operator_says() {
        for count in [None, Some(0), Some(4)] {
            let parent = Trust {
                redelegation_count: count,
                ..parent()
            };
            assert_eq!(child().check_within(&parent, 3), Err(NotWithin::Depth));
        }
        assert_eq!(child().check_within(&parent(), 1), Err(NotWithin::Depth));
    }

    #[test]
    fn nothing_gets_wider_along_a_chain() {
        let refused = |child: Trust| child.check_within(&parent(), 3).unwrap_err();
        let later = parent().expires_at.map(|end| end + TimeDelta::seconds(1));
        assert_eq!(
            refused(Trust {
                expires_at: later,
                ..child()
            }),
            NotWithin::Expiry
        );
        assert_eq!(
            refused(Trust {
                expires_at: None,
                ..child()
            }),
            NotWithin::Expiry
        );
        assert_eq!(
            refused(Trust {
                roles: vec!["reader".into(), "admin".into()],
                ..child()
            }),
            NotWithin::Roles
        );
        assert_eq!(
            refused(Trust {
                project_id: Some("looms".into()),
                ..child()
            }),
            NotWithin::Project
        );
        assert_eq!(
            refused(Trust {
                remaining_uses: Some(1),
                ..child()
            }),
            NotWithin::LimitedUses
        );
        let nowhere = Trust {
            project_id: None,
            ..parent()
        };
        assert_eq!(child().check_within(&nowhere, 3), Err(NotWithin::Project));
        let plain = Trust {
            impersonation: false,
            ..parent()
        };
        assert_eq!(
            child().check_within(&plain, 3),
            Err(NotWithin::Impersonation)
        );
    }

    #[test]
    fn a_trust_is_usable_until_it_expires_or_is_used_up() {
        let end = parent().expires_at.unwrap_or_default();
        assert!(parent().is_usable(end));
        assert!(!parent().is_usable(end + TimeDelta::microseconds(1)));
        for (uses, usable) in [(None, true), (Some(1), true), (Some(0), false)] {
            let trust = Trust {
                remaining_uses: uses,
                ..parent()
            };
            assert_eq!(trust.is_usable(end), usable);
        }
    }
}
