//! `credentials`: the secrets of the user being authenticated, and that user's pseudonym.

use crate::{
    Account, Digest,
    bindings::archstone::plugin::credentials::{self, CredentialsError},
    call::Call,
    capabilities::CALLS,
};

impl credentials::Host for Call {
    fn of_type(&mut self, kind: String) -> Result<Vec<credentials::Credential>, CredentialsError> {
        if !self.granted.credential_types.contains(&kind) {
            tracing::trace!(target: CALLS, plugin = self.granted.method, "credentials of type {kind:?}: not granted");
            return Err(CredentialsError::NotGranted);
        }
        let account = self.account.as_ref().ok_or(CredentialsError::NoAccount)?;
        let method = &self.granted.method;
        let count = account.credentials.iter().filter(|one| one.kind == kind);
        tracing::trace!(target: CALLS, plugin = method, "credentials of type {kind:?}: {}", count.count());
        let of_type = account.credentials.iter().filter(|one| one.kind == kind);
        Ok(of_type
            .map(|one| credentials::Credential {
                handle: pseudonym(method, "credential", &one.id),
                // The plugin checks the claimant's proof against this.
                blob: one.blob.expose().to_owned(),
            })
            .collect())
    }
}

impl Account {
    /// What one method knows this user by: the same at every login and on every node.
    pub(crate) fn handle(&self, method: &str) -> String {
        pseudonym(method, "account", self.user_id.as_str())
    }
}

fn pseudonym(method: &str, noun: &str, id: &str) -> String {
    let text = format!("archstone/{noun}\0{method}\0{id}");
    let mut digits = Digest::of(text.as_bytes()).to_string();
    digits.truncate(32);
    digits
}
