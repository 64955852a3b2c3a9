//! The operator's routes of logins: `[archstone] login_routes`, a file that may change at any time.

use std::{fs, path::PathBuf, time::SystemTime};

use anyhow::{Context, Result};
use archstone_model::login_route::LoginRoutes;

#[derive(Debug, Clone)]
pub(crate) struct LoginRoutesFile(pub PathBuf);

impl LoginRoutesFile {
    /// # Errors
    /// Where it cannot be read, or is no list of routes.
    pub(crate) fn load(&self) -> Result<LoginRoutes> {
        let path = self.0.display();
        let text = fs::read_to_string(&self.0)
            .with_context(|| format!("cannot read the login routes {path}"))?;
        LoginRoutes::read(&text)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("login routes {path}"))
    }

    /// What changes when the file does.
    pub(crate) fn stamp(&self) -> Option<SystemTime> {
        fs::metadata(&self.0).and_then(|data| data.modified()).ok()
    }
}
