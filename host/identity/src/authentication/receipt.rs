//! Multi-factor rules: which methods together are enough for a user, and the receipt for those
//! already passed.

use archstone_model::{id::UserId, secret::Secret, time::iso, user::User};
use archstone_token::ReceiptPayload;
use chrono::SubsecRound;
use serde_json::json;

use crate::{Error, Identity, ReceiptIssued, Result};

impl Identity {
    /// The methods that a receipt vouches for.
    ///
    /// # Errors
    /// `Unauthenticated` where it is not valid, has expired, or is somebody else's.
    pub(super) fn receipt_methods(
        &self,
        receipt: &Secret,
        user_id: &UserId,
    ) -> Result<Vec<String>> {
        let opened = self.receipts.open(receipt.expose()).map_err(|error| {
            Error::unauthenticated(format!("the receipt is not valid: {error}"))
        })?;
        if opened.payload.user_id != user_id.as_str() {
            return Err(Error::unauthenticated("the receipt is another user's"));
        }
        if opened.payload.expires_at <= self.now() {
            return Err(Error::unauthenticated("the receipt has expired"));
        }
        let names = self.auth_methods.names(opened.payload.methods);
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    /// Refuses a login that the user's rules do not find enough, with a receipt to go on from.
    pub(super) async fn require_enough_methods(
        &self,
        user: &User,
        methods: &[String],
    ) -> Result<()> {
        if self.satisfies_rules(user, methods) {
            return Ok(());
        }
        let rules = self.usable_rules(user);
        let now = self.now().trunc_subsecs(0);
        let expires_at = now + self.options.receipt_lifetime;
        let payload = ReceiptPayload {
            user_id: user.id.to_string(),
            methods: self.auth_methods.encode(methods),
            expires_at,
        };
        let domain = self.store.domain(&user.domain_id).await?;
        let body = json!({
            "receipt": {
                "methods": methods,
                "user": {
                    "id": user.id,
                    "name": user.name,
                    "domain": { "id": domain.id, "name": domain.name },
                },
                "expires_at": iso(expires_at),
                "issued_at": iso(now),
            },
            "required_auth_methods": rules,
        });
        Err(Error::MoreMethodsNeeded {
            user_id: user.id.to_string(),
            methods: methods.to_vec(),
            receipt: Box::new(ReceiptIssued {
                receipt: Secret::new(self.receipts.seal(&payload, now)),
                body,
            }),
        })
    }

    /// Refuses what a single signature proves where the user's rules ask for more than that. There
    /// is no second round in which the rest could be proven, and so no receipt.
    pub(super) fn require_rules_satisfied(&self, user: &User, methods: &[String]) -> Result<()> {
        if self.satisfies_rules(user, methods) {
            Ok(())
        } else {
            Err(Error::unauthenticated(format!(
                "the rules of user {} ask for more methods",
                user.id
            )))
        }
    }

    fn satisfies_rules(&self, user: &User, methods: &[String]) -> bool {
        if user.options.multi_factor_auth_enabled == Some(false) {
            return true;
        }
        let rules = self.usable_rules(user);
        let satisfied = |rule: &Vec<String>| rule.iter().all(|method| methods.contains(method));
        rules.is_empty() || rules.iter().any(satisfied)
    }

    /// A user's rules, less the methods that are not configured: an operator who takes a
    /// method away must not lock users out. A configured method that is not there just now, such as a
    /// plugin that fails to load, still counts: a second factor is never skipped.
    fn usable_rules(&self, user: &User) -> Vec<Vec<String>> {
        let supported = &self.options.auth_methods;
        user.options
            .multi_factor_auth_rules
            .iter()
            .flatten()
            .map(|rule| {
                rule.iter()
                    .filter(|method| supported.contains(method))
                    .cloned()
                    .collect()
            })
            .filter(|rule: &Vec<String>| !rule.is_empty())
            .collect()
    }
}
