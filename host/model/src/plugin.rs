//! Plugins as all nodes are to have them: the desired state that the database holds.

use chrono::{DateTime, Utc};

/// What a plugin of this name is to be on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredPlugin {
    pub name: String,
    /// SHA-256 of the artifact, in hexadecimal digits; none where it is out of service.
    pub digest: Option<String>,
    pub settings: SealedSettings,
    /// Grows with every change.
    pub revision: i64,
}

/// An operator's settings of a plugin, sealed with the credential keys: JSON when open.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSettings {
    pub sealed: String,
    /// SHA-1 of the key that sealed them, so that a key can be retired safely.
    pub key_hash: String,
}

impl std::fmt::Debug for SealedSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedSettings")
    }
}

/// An artifact that a plugin was, at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    pub digest: String,
    pub installed_at: DateTime<Utc>,
}

/// The version before the one that is in use, or the newest where none is. `versions` are in the
/// order of their installation.
pub fn version_before<'a>(
    versions: &'a [PluginVersion],
    current: Option<&str>,
) -> Option<&'a PluginVersion> {
    let earlier = match versions
        .iter()
        .position(|it| Some(it.digest.as_str()) == current)
    {
        Some(place) => versions.get(..place)?,
        None => versions,
    };
    earlier.last()
}

/// From when to when an artifact served, as far as installations tell: from its own to the next.
pub fn time_in_service(
    versions: &[PluginVersion],
    digest: &str,
) -> Option<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    let place = versions.iter().position(|it| it.digest == digest)?;
    let next = versions.get(place + 1).map(|next| next.installed_at);
    Some((versions.get(place)?.installed_at, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions() -> Vec<PluginVersion> {
        ["one", "two", "three"]
            .into_iter()
            .zip(1..)
            .map(|(digest, second)| PluginVersion {
                digest: digest.to_owned(),
                installed_at: DateTime::from_timestamp(second, 0).unwrap(),
            })
            .collect()
    }

    #[test]
    fn the_version_before_is_the_one_installed_before() {
        let versions = versions();
        let before = |current| version_before(&versions, current).map(|it| it.digest.as_str());
        assert_eq!(before(Some("three")), Some("two"));
        assert_eq!(before(Some("one")), None);
        assert_eq!(before(None), Some("three"));
    }

    #[test]
    fn an_artifact_serves_until_the_next_one_is_installed() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        assert_eq!(
            time_in_service(&versions(), "two"),
            Some((at(2), Some(at(3))))
        );
        assert_eq!(time_in_service(&versions(), "three"), Some((at(3), None)));
        assert_eq!(time_in_service(&versions(), "four"), None);
    }
}
