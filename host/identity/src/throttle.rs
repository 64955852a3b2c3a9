//! Slows down guessing: who fails to log in too often from one address waits before the next try, and so
//! does an address that fails for many.

use std::{net::IpAddr, time::Duration};

use archstone_model::throttle::{FailureLimit, Failures};
use chrono::{DateTime, Utc};
use moka::sync::Cache;

use crate::{Error, Result};

/// The most origins that failures are remembered of.
const MOST_ORIGINS: u64 = 100_000;

/// Failures older than this are healed at any limit.
const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// How many failed logins a minute are borne.
#[derive(Debug, Clone, Copy)]
pub struct ThrottleOptions {
    /// `[archstone] failed_logins_per_user`, of one claimed user from one address.
    pub per_user: Option<FailureLimit>,
    /// `[archstone] failed_logins_per_address`
    pub per_address: Option<FailureLimit>,
}

impl Default for ThrottleOptions {
    fn default() -> Self {
        Self {
            per_user: FailureLimit::per_minute(30),
            per_address: FailureLimit::per_minute(600),
        }
    }
}

/// Where a try comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Origin {
    address: IpAddr,
    /// Who it claims to be.
    user: Option<String>,
}

/// What is remembered of failed logins.
#[derive(Debug)]
pub(crate) struct Throttle {
    options: ThrottleOptions,
    failures: Cache<Origin, Failures>,
}

impl Throttle {
    pub(crate) fn new(options: ThrottleOptions) -> Self {
        Self {
            options,
            failures: Cache::builder()
                .max_capacity(MOST_ORIGINS)
                .time_to_live(REMEMBERED_FOR)
                .build(),
        }
    }

    fn origins(
        &self,
        address: Option<IpAddr>,
        user: Option<&str>,
    ) -> impl Iterator<Item = (Origin, FailureLimit)> {
        // The whole of what one customer gets of IPv6.
        let address = address.map(|address| match address.to_canonical() {
            IpAddr::V6(six) => IpAddr::from((u128::from(six) >> 64 << 64).to_be_bytes()),
            four => four,
        });
        let by_user = user.map(|user| (Some(user.to_lowercase()), self.options.per_user));
        [by_user, Some((None, self.options.per_address))]
            .into_iter()
            .flatten()
            .filter_map(move |(user, limit)| {
                let address = address?;
                Some((Origin { address, user }, limit?))
            })
    }

    /// # Errors
    /// `TooManyFailures` where the next try must wait.
    pub(crate) fn admit(
        &self,
        address: Option<IpAddr>,
        user: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let waits = self.origins(address, user).filter_map(|(origin, limit)| {
            let failures = self.failures.get(&origin)?;
            failures.wait(limit, now)
        });
        match waits.max() {
            None => Ok(()),
            Some(wait) => {
                metrics::counter!("archstone_logins_throttled_total").increment(1);
                Err(Error::TooManyFailures {
                    retry_after_seconds: u64::try_from(wait.num_seconds()).unwrap_or(0) + 1,
                })
            }
        }
    }

    pub(crate) fn failed(&self, address: Option<IpAddr>, user: Option<&str>, now: DateTime<Utc>) {
        for (origin, limit) in self.origins(address, user) {
            self.failures.entry(origin).and_upsert_with(|known| {
                let known = known.map_or_else(|| Failures::none(now), moka::Entry::into_value);
                known.and_one(limit, now)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(ThrottleOptions {
            per_user: FailureLimit::per_minute(2),
            per_address: FailureLimit::per_minute(4),
        })
    }

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn a_guesser_waits_and_others_do_not() {
        let (throttle, now) = (throttle(), Utc::now());
        throttle.failed(HERE, Some("Ada"), now);
        assert!(throttle.admit(HERE, Some("ada"), now).is_ok());
        throttle.failed(HERE, Some("ada"), now);
        let refused = throttle.admit(HERE, Some("ADA"), now);
        assert!(matches!(
            refused,
            Err(Error::TooManyFailures {
                retry_after_seconds: 31
            })
        ));
        assert!(throttle.admit(HERE, Some("bob"), now).is_ok());
        assert!(throttle.admit(THERE, Some("ada"), now).is_ok());
        let later = now + TimeDelta::seconds(31);
        assert!(throttle.admit(HERE, Some("ada"), later).is_ok());
    }

    #[test]
    fn an_address_that_guesses_everywhere_waits_with_everybody() {
        let (throttle, now) = (throttle(), Utc::now());
        for user in ["a", "b", "c", "d"] {
            throttle.failed(HERE, Some(user), now);
        }
        assert!(throttle.admit(HERE, Some("e"), now).is_err());
        assert!(throttle.admit(HERE, None, now).is_err());
        assert!(throttle.admit(THERE, None, now).is_ok());
    }

    #[test]
    fn a_customer_of_ipv6_has_one_address() {
        let (throttle, now) = (throttle(), Utc::now());
        for last in 0..4 {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
            throttle.failed(Some(address), None, now);
        }
        let another = IpAddr::from([0x2001, 0xdb8, 0, 0, 9, 9, 9, 9]);
        assert!(throttle.admit(Some(another), None, now).is_err());
    }
}
