//! `[security_compliance]`: what a password must be, how long it lasts, when an account locks.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use fancy_regex::Regex;

use crate::{
    secret::Secret,
    user::{StoredPassword, User, UserOptions, UserWithPasswords},
};

/// The `[security_compliance]` options, with Keystone's defaults.
#[derive(Debug, Clone, Default)]
pub struct PasswordRules {
    /// `lockout_failure_attempts`; `None` never locks.
    pub lockout_failure_attempts: Option<u32>,
    /// `lockout_duration`; `None` locks until an administrator unlocks.
    pub lockout_duration: Option<TimeDelta>,
    /// `disable_user_account_days_inactive`
    pub disable_after_days_inactive: Option<i64>,
    /// `password_expires_days`
    pub password_expires_days: Option<i64>,
    /// `unique_last_password_count`
    pub unique_last_password_count: usize,
    /// `minimum_password_age`, in days.
    pub minimum_password_age_days: i64,
    /// `password_regex`
    pub password_regex: Option<PasswordPattern>,
    /// `password_regex_description`
    pub password_regex_description: Option<String>,
    /// `change_password_upon_first_use`
    pub change_password_upon_first_use: bool,
}

/// A regular expression of Python's that passwords must match from their first character on.
/// Look-around, as in Keystone's documented example, is understood.
#[derive(Debug, Clone)]
pub struct PasswordPattern {
    expression: String,
    regex: Regex,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a regular expression: {0}")]
pub struct InvalidPattern(#[source] Box<fancy_regex::Error>);

impl PasswordPattern {
    /// # Errors
    /// Says where the expression is wrong.
    pub fn new(expression: &str) -> Result<Self, InvalidPattern> {
        // Python's `re.match`.
        let regex = Regex::new(&format!("^(?:{expression})"))
            .map_err(|error| InvalidPattern(Box::new(error)))?;
        Ok(Self {
            expression: expression.to_owned(),
            regex,
        })
    }

    /// The expression as the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.expression
    }

    /// A pattern that takes too much backtracking for this password does not match.
    fn matches(&self, password: &Secret) -> bool {
        // The text is looked at, never shown.
        self.regex.is_match(password.expose()).unwrap_or(false)
    }
}

/// A rule that a new password breaks. The text is for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    #[error("The password does not match the requirements: {description}.")]
    Strength { description: String },
    #[error("Password validation error: Password must be a string type.")]
    Null,
    #[error(
        "Password validation error: Cannot change password before minimum age {minimum} days is \
         met. Password must be used for {left} more day(s) before it can be changed. Please \
         contact your administrator to reset the password."
    )]
    TooYoung { minimum: i64, left: i64 },
    #[error(
        "Password validation error: The new password cannot be identical to a previous password. \
         The total number which includes the new password must be unique is {count}."
    )]
    Reused { count: usize },
}

impl PasswordRules {
    /// Where passwords have to match a pattern, null is none.
    ///
    /// # Errors
    /// `Null` where there is a `password_regex`.
    pub fn check_null(&self) -> Result<(), BrokenRule> {
        match self.password_regex {
            Some(_) => Err(BrokenRule::Null),
            None => Ok(()),
        }
    }

    /// # Errors
    /// `Strength` where the password does not match `password_regex`.
    pub fn check_strength(&self, password: &Secret) -> Result<(), BrokenRule> {
        match &self.password_regex {
            Some(pattern) if !pattern.matches(password) => Err(BrokenRule::Strength {
                description: self.password_regex_description.clone().unwrap_or_default(),
            }),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// `TooYoung` where a password that its owner chose has not been used long enough.
    pub fn check_minimum_age(
        &self,
        current: &StoredPassword,
        now: DateTime<Utc>,
    ) -> Result<(), BrokenRule> {
        let may_change_at = current.created_at + TimeDelta::days(self.minimum_password_age_days);
        if current.self_service && now < may_change_at {
            return Err(BrokenRule::TooYoung {
                minimum: self.minimum_password_age_days,
                left: (may_change_at - now).num_days(),
            });
        }
        Ok(())
    }

    /// The hashes that a new password must not match.
    pub fn remembered<'a>(&self, history: &'a [StoredPassword]) -> impl Iterator<Item = &'a str> {
        let first = history
            .len()
            .saturating_sub(self.unique_last_password_count);
        history[first..]
            .iter()
            .filter_map(|password| password.hash.as_deref())
    }

    /// What to say of a password that was used before.
    pub fn reused(&self) -> BrokenRule {
        BrokenRule::Reused {
            count: self.unique_last_password_count,
        }
    }

    /// When a password set now expires.
    pub fn expiry(&self, now: DateTime<Utc>, options: &UserOptions) -> Option<DateTime<Utc>> {
        if options.ignore_password_expiry == Some(true) {
            return None;
        }
        self.password_expires_days
            .map(|days| (now + TimeDelta::days(days)).trunc_subsecs(0))
    }

    /// Whether a password that an administrator chose is good for nothing but changing it.
    pub fn must_change_on_first_use(&self, options: &UserOptions) -> bool {
        self.change_password_upon_first_use
            && options.ignore_change_password_upon_first_use != Some(true)
    }

    /// Whether a user's current password has expired.
    pub fn is_expired(&self, user: &User, now: DateTime<Utc>) -> bool {
        user.options.ignore_password_expiry != Some(true)
            && user
                .password_expires_at
                .is_some_and(|expires_at| now >= expires_at)
    }

    /// Whether too many failed logins have locked the account.
    pub fn lockout(&self, account: &UserWithPasswords, now: DateTime<Utc>) -> Lockout {
        let Some(attempts) = self
            .lockout_failure_attempts
            .filter(|attempts| *attempts > 0)
        else {
            return Lockout::Open;
        };
        if account.user.options.ignore_lockout_failure_attempts == Some(true)
            || account.failed_auth_count < attempts
        {
            return Lockout::Open;
        }
        match (self.lockout_duration, account.failed_auth_at) {
            (Some(duration), Some(failed_at)) if failed_at + duration <= now => Lockout::Over,
            _ => Lockout::Locked,
        }
    }

    /// Whether a user counts as enabled: one who was not active for long enough does not.
    pub fn is_enabled(&self, user: &User, now: DateTime<Utc>) -> bool {
        if !user.enabled || user.options.ignore_user_inactivity == Some(true) {
            return user.enabled;
        }
        let last_active = user
            .last_active_at
            .or_else(|| user.created_at.map(|time| time.date_naive()));
        match (self.disable_after_days_inactive, last_active) {
            (Some(days), Some(last_active)) => (now.date_naive() - last_active).num_days() < days,
            _ => true,
        }
    }

    /// A user as the API shows them: one who does not count as enabled is not.
    #[must_use]
    pub fn shown(&self, mut user: User, now: DateTime<Utc>) -> User {
        user.enabled = self.is_enabled(&user, now);
        user
    }
}

/// The state of an account's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lockout {
    Open,
    Locked,
    /// It was locked and the time is up: forget the failures.
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::UserKind;

    fn account(failures: u32, failed_at: DateTime<Utc>) -> UserWithPasswords {
        UserWithPasswords {
            user: User {
                id: "ada".into(),
                domain_id: "default".into(),
                name: "ada".into(),
                kind: UserKind::Local,
                enabled: true,
                default_project_id: None,
                created_at: Some(failed_at),
                last_active_at: None,
                password_expires_at: None,
                options: UserOptions::default(),
                federated: Vec::new(),
                extra: crate::Extra::new(),
            },
            passwords: Vec::new(),
            failed_auth_count: failures,
            failed_auth_at: Some(failed_at),
        }
    }

    #[test]
    fn an_account_locks_after_too_many_failures_and_opens_when_the_time_is_up() {
        let rules = PasswordRules {
            lockout_failure_attempts: Some(3),
            lockout_duration: Some(TimeDelta::minutes(30)),
            ..PasswordRules::default()
        };
        let now = Utc::now();
        assert_eq!(rules.lockout(&account(2, now), now), Lockout::Open);
        assert_eq!(rules.lockout(&account(3, now), now), Lockout::Locked);
        let later = now + TimeDelta::minutes(31);
        assert_eq!(rules.lockout(&account(3, now), later), Lockout::Over);
    }

    #[test]
    fn an_exempt_user_is_never_locked() {
        let rules = PasswordRules {
            lockout_failure_attempts: Some(1),
            ..PasswordRules::default()
        };
        let now = Utc::now();
        let mut exempt = account(9, now);
        exempt.user.options.ignore_lockout_failure_attempts = Some(true);
        assert_eq!(rules.lockout(&exempt, now), Lockout::Open);
    }

    #[test]
    fn an_inactive_user_counts_as_disabled() {
        let rules = PasswordRules {
            disable_after_days_inactive: Some(90),
            ..PasswordRules::default()
        };
        let now = Utc::now();
        let user = account(0, now).user;
        assert!(rules.is_enabled(&user, now + TimeDelta::days(89)));
        assert!(!rules.is_enabled(&user, now + TimeDelta::days(90)));
    }

    #[test]
    fn an_inactive_user_is_shown_as_disabled_unless_exempt_or_active_since() {
        let rules = PasswordRules {
            disable_after_days_inactive: Some(90),
            ..PasswordRules::default()
        };
        let now = Utc::now();
        let later = now + TimeDelta::days(90);
        let user = account(0, now).user;
        assert!(rules.shown(user.clone(), now).enabled);
        assert!(!rules.shown(user.clone(), later).enabled);
        assert!(PasswordRules::default().shown(user.clone(), later).enabled);
        let mut active = user.clone();
        active.last_active_at = Some(later.date_naive());
        assert!(rules.shown(active, later).enabled);
        let mut exempt = user.clone();
        exempt.options.ignore_user_inactivity = Some(true);
        assert!(rules.shown(exempt, later).enabled);
        let mut disabled = user;
        disabled.enabled = false;
        assert!(!rules.shown(disabled, now).enabled);
    }

    #[test]
    fn a_weak_password_is_refused_with_the_description() {
        let rules = PasswordRules {
            password_regex: Some(PasswordPattern::new("^.{8,}$").unwrap()),
            password_regex_description: Some("eight characters".into()),
            ..PasswordRules::default()
        };
        assert!(rules.check_strength(&"long enough".into()).is_ok());
        let broken = rules.check_strength(&"short".into()).unwrap_err();
        assert!(broken.to_string().contains("eight characters"));
    }

    #[test]
    fn null_is_no_password_where_there_is_a_pattern() {
        let rules = PasswordRules {
            password_regex: Some(PasswordPattern::new("").unwrap()),
            ..PasswordRules::default()
        };
        assert_eq!(rules.check_null(), Err(BrokenRule::Null));
        assert_eq!(PasswordRules::default().check_null(), Ok(()));
    }

    #[test]
    fn keystones_documented_pattern_wants_a_letter_and_a_digit() {
        let pattern = PasswordPattern::new(r"^(?=.*\d)(?=.*[a-zA-Z]).{7,}$").unwrap();
        assert!(pattern.matches(&"passw0rd".into()));
        for weak in ["password", "12345678", "passw0"] {
            assert!(!pattern.matches(&weak.into()), "{weak}");
        }
    }

    #[test]
    fn a_pattern_matches_from_the_first_character_on() {
        let pattern = PasswordPattern::new("a|b").unwrap();
        assert!(pattern.matches(&"b and more".into()));
        assert!(!pattern.matches(&"more b".into()));
        assert!(PasswordPattern::new("(").is_err());
    }

    #[test]
    fn a_password_that_makes_a_pattern_backtrack_forever_is_refused() {
        let pattern = PasswordPattern::new(r"(?=(a+)+$)a*\1x?$").unwrap();
        assert!(!pattern.matches(&format!("{}!", "a".repeat(64)).as_str().into()));
    }
}
