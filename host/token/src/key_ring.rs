//! The keys in use, replaced while the server runs when the repository changes.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::{KeyRepository, KeyRepositoryError, KeySet, fingerprint::Fingerprint};

/// The current [`KeySet`], shared by everything that seals or opens.
#[derive(Debug)]
pub struct KeyRing {
    current: ArcSwap<KeySet>,
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    repository: KeyRepository,
    loaded: Mutex<Fingerprint>,
}

impl KeyRing {
    /// Loads `repository`.
    ///
    /// # Errors
    /// Those of [`KeyRepository::load`].
    pub fn load(repository: KeyRepository) -> Result<Self, KeyRepositoryError> {
        let fingerprint = repository.fingerprint()?;
        let keys = repository.load()?;
        Ok(Self {
            current: ArcSwap::from_pointee(keys),
            source: Some(Source {
                repository,
                loaded: Mutex::new(fingerprint),
            }),
        })
    }

    /// A ring of keys that do not come from a directory and never change.
    pub fn fixed(keys: KeySet) -> Self {
        Self {
            current: ArcSwap::from_pointee(keys),
            source: None,
        }
    }

    /// The keys of this moment; hold them for one operation, not longer.
    pub fn current(&self) -> Guard<Arc<KeySet>> {
        self.current.load()
    }

    /// Loads the repository again if its files changed, and says whether it did. Costs
    /// a directory listing when nothing changed; call it on a timer.
    ///
    /// # Errors
    /// Those of [`KeyRepository::load`]; the keys in use stay in use.
    pub fn reload_if_changed(&self) -> Result<bool, KeyRepositoryError> {
        let Some(source) = &self.source else {
            return Ok(false);
        };
        let mut loaded = source.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let found = source.repository.fingerprint()?;
        if *loaded == found {
            return Ok(false);
        }
        self.current.store(Arc::new(source.repository.load()?));
        *loaded = found;
        Ok(true)
    }
}
