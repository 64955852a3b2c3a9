//! How many failures are borne before the next try must wait.

use chrono::{DateTime, TimeDelta, Utc};

/// How many failures a minute are borne. As many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimit {
    per_minute: u32,
}

/// The failures of one origin: each adds one, and time takes them away again at the limit's pace.
#[derive(Debug, Clone, Copy)]
pub struct Failures {
    level: f64,
    at: DateTime<Utc>,
}

impl FailureLimit {
    /// `None` where there is no limit, which `0` stands for.
    pub fn per_minute(per_minute: u32) -> Option<Self> {
        (per_minute != 0).then_some(Self { per_minute })
    }

    fn a_second(self) -> f64 {
        f64::from(self.per_minute) / 60.0
    }
}

impl Failures {
    /// None yet.
    pub fn none(now: DateTime<Utc>) -> Self {
        Self {
            level: 0.0,
            at: now,
        }
    }

    /// One more.
    #[must_use]
    pub fn and_one(self, limit: FailureLimit, now: DateTime<Utc>) -> Self {
        Self {
            level: self.level_at(limit, now) + 1.0,
            at: now,
        }
    }

    /// How long to wait before another try; `None` where one may be made now.
    pub fn wait(self, limit: FailureLimit, now: DateTime<Utc>) -> Option<TimeDelta> {
        let room = f64::from(limit.per_minute) - 1.0;
        let too_many = self.level_at(limit, now) - room;
        let millis = (too_many / limit.a_second() * 1000.0).ceil();
        (too_many > 0.0).then(|| TimeDelta::milliseconds(millis as i64))
    }

    fn level_at(self, limit: FailureLimit, now: DateTime<Utc>) -> f64 {
        let passed = (now - self.at).max(TimeDelta::zero()).num_milliseconds() as f64 / 1000.0;
        (self.level - passed * limit.a_second()).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> FailureLimit {
        FailureLimit::per_minute(30).unwrap()
    }

    #[test]
    fn as_many_as_the_limit_come_at_once_and_then_one_at_a_time() {
        let now = Utc::now();
        let mut failures = Failures::none(now);
        for _ in 0..30 {
            assert_eq!(failures.wait(limit(), now), None);
            failures = failures.and_one(limit(), now);
        }
        assert_eq!(failures.wait(limit(), now), Some(TimeDelta::seconds(2)));
        let later = now + TimeDelta::seconds(2);
        assert_eq!(failures.wait(limit(), later), None);
        let failures = failures.and_one(limit(), later);
        assert_eq!(failures.wait(limit(), later), Some(TimeDelta::seconds(2)));
    }

    #[test]
    fn time_heals_and_never_wounds() {
        let now = Utc::now();
        let full = (0..40).fold(Failures::none(now), |it, _| it.and_one(limit(), now));
        assert!(full.wait(limit(), now).is_some());
        assert_eq!(full.wait(limit(), now + TimeDelta::minutes(2)), None);
        // A clock that was put back.
        assert_eq!(
            full.wait(limit(), now - TimeDelta::minutes(2)),
            full.wait(limit(), now)
        );
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(FailureLimit::per_minute(0), None);
    }
}
