//! The `token` method: one token for another, in a different scope. The new one never lasts longer
//! and never reaches further than the old one's own bounds.

use archstone_token::{AuditId, AuditIds};
use serde_json::Value;

use super::{AuthRequest, Proof, RequestedScope};
use crate::{
    Error, Identity, Result,
    subject::{Delegation, TokenScope},
};

const METHOD: &str = "token";

impl Identity {
    pub(super) async fn prove_token(&self, request: &AuthRequest, proof: &mut Proof) -> Result<()> {
        let id = request
            .payload(METHOD)?
            .get("id")
            .and_then(Value::as_str)
            .ok_or_else(|| Error::missing_attribute("id", METHOD))?;
        self.prove_by_token(METHOD, id, request, proof).await
    }

    /// Proves by a token for a method that takes one.
    pub(super) async fn prove_by_token(
        &self,
        method: &str,
        id: &str,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let token = self.validate_now(id).await?;
        if token.is_delegated() {
            return Err(forbidden(match &token.delegation {
                Delegation::Trust(_) => {
                    "Using trust-scoped token to create another token. Create a new trust-scoped \
                     token instead"
                }
                Delegation::OAuth1(_) => {
                    "Using OAuth-scoped token to create another token. Create a new OAuth-scoped \
                     token instead"
                }
                _ => "Using a delegated token to create another token is not allowed.",
            }));
        }
        let asks_for_resource = matches!(
            request.scope,
            RequestedScope::Project(_) | RequestedScope::Domain(_)
        );
        if token.is_system_scoped() && asks_for_resource {
            return Err(forbidden(
                "Using a system-scoped token to create a project-scoped or domain-scoped token is \
                 not allowed.",
            ));
        }
        if !self.options.allow_rescope_scoped_token && token.scope != TokenScope::Unscoped {
            return Err(forbidden("rescope a scoped token"));
        }
        proof.add(method, token.user.id.clone())?;
        for method in &token.methods {
            proof.add_method(method);
        }
        proof.limit(token.expires_at);
        let chain: AuditId = token
            .audit_chain_id()
            .parse()
            .map_err(|_| Error::internal("a valid token has no valid audit id"))?;
        proof.audit_ids = Some(AuditIds::first(chain));
        if let Some(origin) = &token.federation {
            let federation = archstone_token::Federation {
                identity_provider_id: origin.identity_provider.to_string(),
                protocol_id: origin.protocol.to_string(),
                group_ids: origin.groups.iter().map(ToString::to_string).collect(),
            };
            self.require_federation_holds(&federation).await?;
            proof.federation = Some(federation);
        }
        Ok(())
    }
}

fn forbidden(action: &'static str) -> Error {
    Error::ForbiddenAction {
        action,
        reason: "the token is bounded".to_owned(),
    }
}
