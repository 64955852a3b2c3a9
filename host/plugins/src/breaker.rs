//! Stops calling a plugin that fails again and again, and tries it again after a while.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A success closes it; it opens after so many failures in a row. While open, one call at the end
/// of each waiting time is let through as a trial.
#[derive(Debug)]
pub(crate) struct Breaker {
    opens_after: u32,
    first_wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    trials: u32,
}

/// The waiting time doubles this often at most.
const MOST_DOUBLINGS: u32 = 5;

impl Breaker {
    pub fn new(opens_after: u32, first_wait: Duration) -> Self {
        Self {
            opens_after,
            first_wait,
            state: Mutex::default(),
        }
    }

    /// Lets a call through, or says how long to wait.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        let Some(open_until) = state.open_until else {
            return Ok(());
        };
        if now < open_until {
            return Err(open_until - now);
        }
        state.trials += 1;
        let doublings = state.trials.min(MOST_DOUBLINGS);
        state.open_until = Some(now + self.first_wait * (1 << doublings));
        Ok(())
    }

    pub fn succeeded(&self) {
        let mut state = self.state();
        if state.failures > 0 || state.open_until.is_some() {
            *state = State::default();
        }
    }

    pub fn failed(&self, now: Instant) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.opens_after && state.open_until.is_none() {
            state.open_until = Some(now + self.first_wait);
        }
    }

    pub fn is_open(&self) -> bool {
        self.state().open_until.is_some()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(1);

    #[test]
    fn it_opens_after_failures_in_a_row() {
        let (breaker, now) = (Breaker::new(2, WAIT), Instant::now());
        breaker.failed(now);
        breaker.succeeded();
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Err(WAIT));
    }

    #[test]
    fn one_trial_decides_whether_it_closes() {
        let (breaker, now) = (Breaker::new(1, WAIT), Instant::now());
        breaker.failed(now);
        assert_eq!(breaker.admit(now + WAIT), Ok(()));
        assert_eq!(breaker.admit(now + WAIT), Err(WAIT * 2));
        breaker.failed(now + WAIT);
        assert_eq!(breaker.admit(now + WAIT * 3), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.admit(now + WAIT * 3), Ok(()));
        assert!(!breaker.is_open());
    }
}
