//! The `external` method: a web server in front has found out who somebody is, and a trusted proxy
//! says so with the login. Nothing in the login's body asks for it.

use super::{AuthRequest, DomainReference, Proof, UserReference};
use crate::{Error, Identity, Result, options::ExternalUsers};

pub(super) const METHOD: &str = "external";

/// Whom the web server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteUser {
    /// `REMOTE_USER`
    pub name: String,
    /// `REMOTE_DOMAIN`
    pub domain: Option<String>,
}

impl Identity {
    /// Adds the user whom the web server knows. One who is not known here proves nothing, and the
    /// other methods of the login go on without.
    pub(super) async fn prove_externally(
        &self,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let (Some(remote), Some(place), true) = (
            &request.remote_user,
            self.options.external_users,
            self.supports(METHOD),
        ) else {
            return Ok(());
        };
        let domain = match (&remote.domain, place) {
            (Some(name), ExternalUsers::NamedDomain) => DomainReference::Name(name.clone()),
            _ => DomainReference::Id(self.options.default_domain_id.clone()),
        };
        let reference = UserReference::Name {
            name: remote.name.clone(),
            domain,
        };
        match self.login_user(&reference).await {
            Ok((user, _)) => proof.add(METHOD, user.id.clone()),
            Err(Error::Unauthenticated { reason }) => {
                tracing::info!(reason, "the user that a proxy told of cannot log in");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
