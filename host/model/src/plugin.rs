//! Plugins as all nodes are to have them: the desired state that the database holds.

use chrono::{DateTime, Utc};

use crate::secret::Sealed;

/// What a plugin of this name is to be on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredPlugin {
    pub name: String,
    /// SHA-256 of the artifact, in hexadecimal digits; none where it is out of service.
    pub digest: Option<String>,
    /// The operator's settings: JSON, when open.
    pub settings: Sealed,
    /// Grows with every change.
    pub revision: i64,
}

/// From when on a plugin was to be this, until the next of its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginPeriod {
    pub since: DateTime<Utc>,
    /// None where it was out of service.
    pub digest: Option<String>,
}

/// The artifacts that a plugin was, each with when it was first, in that order.
pub fn versions(history: &[PluginPeriod]) -> Vec<(&str, DateTime<Utc>)> {
    let mut versions: Vec<(&str, DateTime<Utc>)> = Vec::new();
    for period in history {
        if let Some(digest) = period.digest.as_deref()
            && !versions.iter().any(|(known, _)| *known == digest)
        {
            versions.push((digest, period.since));
        }
    }
    versions
}

/// The version that was there before the one that is in use, or the newest where none is.
pub fn version_before<'a>(history: &'a [PluginPeriod], current: Option<&str>) -> Option<&'a str> {
    let versions = versions(history);
    let earlier = match versions.iter().position(|(it, _)| Some(*it) == current) {
        Some(place) => versions.get(..place)?,
        None => &versions,
    };
    earlier.last().map(|(digest, _)| *digest)
}

/// From when to when an artifact served; the last one may still serve.
pub fn times_in_service(
    history: &[PluginPeriod],
    digest: &str,
) -> Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    let ends = history.iter().skip(1).map(|next| Some(next.since));
    history
        .iter()
        .zip(ends.chain([None]))
        .filter(|(period, _)| period.digest.as_deref() == Some(digest))
        .map(|(period, end)| (period.since, end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    /// Installed, replaced, rolled back, taken out of service.
    fn history() -> Vec<PluginPeriod> {
        [Some("one"), Some("two"), Some("three"), Some("two"), None]
            .into_iter()
            .zip(1..)
            .map(|(digest, second)| PluginPeriod {
                since: at(second),
                digest: digest.map(str::to_owned),
            })
            .collect()
    }

    #[test]
    fn the_version_before_is_the_one_first_installed_before() {
        let history = history();
        assert_eq!(version_before(&history, Some("three")), Some("two"));
        assert_eq!(version_before(&history, Some("two")), Some("one"));
        assert_eq!(version_before(&history, Some("one")), None);
        assert_eq!(version_before(&history, None), Some("three"));
    }

    #[test]
    fn an_artifact_serves_until_there_is_another_and_perhaps_again() {
        let history = history();
        let two = [(at(2), Some(at(3))), (at(4), Some(at(5)))];
        assert_eq!(times_in_service(&history, "two"), two);
        assert_eq!(times_in_service(&history[..3], "three"), [(at(3), None)]);
        assert_eq!(times_in_service(&history, "four"), []);
    }
}
