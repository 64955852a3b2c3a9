//! The `oauth1` method: a consumer signs the login with an access token, and gets a token that is
//! bounded by what the access token's user granted.

use archstone_model::id::{AccessTokenId, ConsumerId};

use super::{AuthRequest, Proof};
use crate::{
    Error, Identity, Result,
    oauth1::{OAuthFault, Signed},
};

const METHOD: &str = "oauth1";

impl Identity {
    pub(super) async fn prove_oauth1(
        &self,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let request = request
            .oauth1
            .as_ref()
            .ok_or_else(|| Error::unauthenticated("the login is not signed"))?;
        let signed = Signed::read(request)?;
        let id: AccessTokenId = signed
            .token()
            .ok_or_else(|| Error::missing_attribute("oauth_token", "request"))?
            .into();
        let token = self.store.access_token(&id).await?;
        if token.is_expired(self.now()) {
            return Err(Error::unauthenticated("Access token is expired"));
        }
        signed.check_protocol(self.now()).map_err(refused)?;
        let consumer_id: ConsumerId = signed.consumer_key().unwrap_or_default().into();
        if token.consumer_id != consumer_id {
            return Err(Error::unauthenticated(
                "the access token is another consumer's",
            ));
        }
        let consumer = self
            .store
            .consumer(&consumer_id)
            .await
            .map_err(|error| Error::from(error).into_unauthenticated())?;
        signed
            .check_signature(&consumer.secret, Some(&token.secret))
            .map_err(refused)?;
        self.use_up(&signed).await?;
        proof.access_token = Some(token.id);
        proof.add(METHOD, token.user_id)
    }
}

/// Whoever logs in learns no more than that the signature was not accepted.
fn refused(fault: OAuthFault) -> Error {
    Error::unauthenticated(format!("the login's OAuth signature: {fault}"))
}
