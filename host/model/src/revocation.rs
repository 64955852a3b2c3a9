//! Revocation events: which tokens stopped being valid, and the rule that matches them.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound, Utc};

use crate::id::{DomainId, ProjectId, RoleId, TrustId, UserId};

/// A revocation event. Every field that is set must match a token for it to be revoked; a field
/// that is not set matches any. Tokens issued after `issued_before` are not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationEvent {
    pub domain_id: Option<DomainId>,
    pub project_id: Option<ProjectId>,
    pub user_id: Option<UserId>,
    pub role_id: Option<RoleId>,
    pub trust_id: Option<TrustId>,
    pub consumer_id: Option<String>,
    pub access_token_id: Option<String>,
    pub audit_id: Option<String>,
    pub audit_chain_id: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub issued_before: DateTime<Utc>,
    pub revoked_at: DateTime<Utc>,
}

impl RevocationEvent {
    /// An event that matches every token issued up to `now`; narrow it by setting fields.
    /// Times are whole seconds, as in Keystone's events and tokens.
    pub fn at(now: DateTime<Utc>) -> Self {
        let now = now.trunc_subsecs(0);
        Self {
            domain_id: None,
            project_id: None,
            user_id: None,
            role_id: None,
            trust_id: None,
            consumer_id: None,
            access_token_id: None,
            audit_id: None,
            audit_chain_id: None,
            expires_at: None,
            issued_before: now,
            revoked_at: now,
        }
    }

    /// Everything one user holds.
    pub fn for_user(user_id: UserId, now: DateTime<Utc>) -> Self {
        Self {
            user_id: Some(user_id),
            ..Self::at(now)
        }
    }

    /// One user's tokens for one project.
    pub fn for_user_in_project(user_id: UserId, project_id: ProjectId, now: DateTime<Utc>) -> Self {
        Self {
            user_id: Some(user_id),
            project_id: Some(project_id),
            ..Self::at(now)
        }
    }

    /// Everything that a trust gave.
    pub fn for_trust(trust_id: TrustId, now: DateTime<Utc>) -> Self {
        Self {
            trust_id: Some(trust_id),
            ..Self::at(now)
        }
    }

    /// The tokens made from one token, by its audit id.
    pub fn for_descendants(audit_id: String, now: DateTime<Utc>) -> Self {
        Self {
            audit_chain_id: Some(audit_id),
            ..Self::at(now)
        }
    }

    /// A single token, by its own audit id.
    pub fn for_token(audit_id: String, now: DateTime<Utc>) -> Self {
        Self {
            audit_id: Some(audit_id),
            ..Self::at(now)
        }
    }
}

/// What of a token an event can match.
#[derive(Debug, Clone)]
pub struct RevocationSubject<'a> {
    pub user_id: &'a UserId,
    pub user_domain_id: &'a DomainId,
    pub trustor_id: Option<&'a UserId>,
    pub trustee_id: Option<&'a UserId>,
    pub project_id: Option<&'a ProjectId>,
    /// The domain of the scope: the project's, or the domain itself.
    pub scope_domain_id: Option<&'a DomainId>,
    pub role_ids: &'a [RoleId],
    pub trust_id: Option<&'a TrustId>,
    pub consumer_id: Option<&'a str>,
    pub access_token_id: Option<&'a str>,
    pub audit_id: &'a str,
    pub audit_chain_id: &'a str,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl RevocationEvent {
    /// How many things must match for it to revoke a token.
    fn names(&self) -> usize {
        [
            self.domain_id.is_some(),
            self.project_id.is_some(),
            self.user_id.is_some(),
            self.role_id.is_some(),
            self.trust_id.is_some(),
            self.consumer_id.is_some(),
            self.access_token_id.is_some(),
            self.audit_id.is_some(),
            self.audit_chain_id.is_some(),
            self.expires_at.is_some(),
        ]
        .into_iter()
        .filter(|is_named| *is_named)
        .count()
    }

    /// Whether this event revokes that token.
    pub fn matches(&self, token: &RevocationSubject<'_>) -> bool {
        fn free_or<T: PartialEq + ?Sized>(wanted: Option<&T>, actual: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| actual == Some(wanted))
        }
        let user_matches = self.user_id.as_ref().is_none_or(|user| {
            user == token.user_id
                || Some(user) == token.trustor_id
                || Some(user) == token.trustee_id
        });
        let domain_matches = self.domain_id.as_ref().is_none_or(|domain| {
            domain == token.user_domain_id || Some(domain) == token.scope_domain_id
        });
        token.issued_at <= self.issued_before
            && user_matches
            && domain_matches
            && free_or(self.project_id.as_ref(), token.project_id)
            && free_or(self.trust_id.as_ref(), token.trust_id)
            && free_or(self.consumer_id.as_deref(), token.consumer_id)
            && free_or(self.access_token_id.as_deref(), token.access_token_id)
            && free_or(self.audit_id.as_deref(), Some(token.audit_id))
            && free_or(self.audit_chain_id.as_deref(), Some(token.audit_chain_id))
            && self
                .expires_at
                .is_none_or(|expires_at| expires_at == token.expires_at)
            && self
                .role_id
                .as_ref()
                .is_none_or(|role| token.role_ids.contains(role))
    }
}

/// Events sorted by what they name, so that a token meets few of them however many there are. Of those
/// that name one thing alone, as nearly all do, only the latest is kept.
#[derive(Debug, Default)]
pub struct RevocationIndex {
    audit_ids: HashMap<String, DateTime<Utc>>,
    audit_chain_ids: HashMap<String, DateTime<Utc>>,
    users: HashMap<UserId, DateTime<Utc>>,
    /// Those that name a user and more.
    by_user: HashMap<UserId, Vec<RevocationEvent>>,
    others: Vec<RevocationEvent>,
}

impl RevocationIndex {
    /// Whether any event revokes that token.
    pub fn revokes(&self, token: &RevocationSubject<'_>) -> bool {
        let covers = |issued_before: Option<&DateTime<Utc>>| {
            issued_before.is_some_and(|issued_before| token.issued_at <= *issued_before)
        };
        let users = [Some(token.user_id), token.trustor_id, token.trustee_id];
        covers(self.audit_ids.get(token.audit_id))
            || covers(self.audit_chain_ids.get(token.audit_chain_id))
            || self.others.iter().any(|event| event.matches(token))
            || users.into_iter().flatten().any(|user| {
                let mut and_more = self.by_user.get(user).into_iter().flatten();
                covers(self.users.get(user)) || and_more.any(|event| event.matches(token))
            })
    }

    pub fn add(&mut self, event: RevocationEvent) {
        let issued_before = event.issued_before;
        let names_one = event.names() == 1;
        let latest = match &event {
            RevocationEvent {
                audit_id: Some(id), ..
            } if names_one => self.audit_ids.entry(id.clone()).or_default(),
            RevocationEvent {
                audit_chain_id: Some(id),
                ..
            } if names_one => self.audit_chain_ids.entry(id.clone()).or_default(),
            RevocationEvent {
                user_id: Some(id), ..
            } if names_one => self.users.entry(id.clone()).or_default(),
            RevocationEvent {
                user_id: Some(id), ..
            } => {
                self.by_user.entry(id.clone()).or_default().push(event);
                return;
            }
            _ => {
                self.others.push(event);
                return;
            }
        };
        *latest = issued_before.max(*latest);
    }
}

impl FromIterator<RevocationEvent> for RevocationIndex {
    fn from_iter<I: IntoIterator<Item = RevocationEvent>>(events: I) -> Self {
        let mut index = Self::default();
        for event in events {
            index.add(event);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn matched(event: &RevocationEvent, issued_at: DateTime<Utc>) -> bool {
        let user_id = UserId::from("ada");
        let user_domain_id = DomainId::from("default");
        let project_id = ProjectId::from("engines");
        let role_ids = [RoleId::from("member")];
        let token = RevocationSubject {
            user_id: &user_id,
            user_domain_id: &user_domain_id,
            trustor_id: None,
            trustee_id: None,
            project_id: Some(&project_id),
            scope_domain_id: Some(&user_domain_id),
            role_ids: &role_ids,
            trust_id: None,
            consumer_id: None,
            access_token_id: None,
            audit_id: "own",
            audit_chain_id: "parent",
            issued_at,
            expires_at: issued_at + TimeDelta::hours(1),
        };
        let matches = event.matches(&token);
        let index: RevocationIndex = [event.clone()].into_iter().collect();
        assert_eq!(index.revokes(&token), matches, "{event:?}");
        matches
    }

    #[test]
    fn an_event_touches_only_what_was_issued_before_it() {
        let now = Utc::now().trunc_subsecs(0);
        let event = RevocationEvent::for_user("ada".into(), now);
        assert!(matched(&event, now));
        assert!(!matched(&event, now + TimeDelta::seconds(1)));
    }

    #[test]
    fn every_set_field_must_match() {
        let now = Utc::now().trunc_subsecs(0);
        assert!(matched(
            &RevocationEvent::for_user_in_project("ada".into(), "engines".into(), now),
            now
        ));
        assert!(!matched(
            &RevocationEvent::for_user_in_project("ada".into(), "looms".into(), now),
            now
        ));
        assert!(!matched(&RevocationEvent::for_user("bob".into(), now), now));
        assert!(matched(&RevocationEvent::for_token("own".into(), now), now));
        assert!(!matched(
            &RevocationEvent::for_token("parent".into(), now),
            now
        ));
        let of_descendants = |id: &str| RevocationEvent::for_descendants(id.to_owned(), now);
        assert!(matched(&of_descendants("parent"), now));
        assert!(!matched(&of_descendants("own"), now));
        assert!(matched(&RevocationEvent::at(now), now));
        let of_user_and_token = |audit_id: &str| RevocationEvent {
            user_id: Some("ada".into()),
            ..RevocationEvent::for_token(audit_id.to_owned(), now)
        };
        assert!(matched(&of_user_and_token("own"), now));
        assert!(!matched(&of_user_and_token("other"), now));
    }

    #[test]
    fn of_several_events_the_latest_counts_in_whatever_order_they_come() {
        let now = Utc::now().trunc_subsecs(0);
        let earlier = now - TimeDelta::minutes(1);
        for times in [[earlier, now], [now, earlier]] {
            let events = times.map(|time| RevocationEvent::for_user("ada".into(), time));
            let index: RevocationIndex = events.into_iter().collect();
            assert_eq!(index.users.get(&UserId::from("ada")), Some(&now));
        }
    }
}
