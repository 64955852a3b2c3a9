//! Logins that an operator's routes lead from the method they name to another, or to a connector.

use std::sync::Arc;

use archstone_model::login_route::{LoginRoutes, Routed};
use serde_json::Value;

use super::AuthRequest;
use crate::{Error, Identity, Result};

impl Identity {
    /// Puts new routes in force for every login from now on.
    pub fn replace_login_routes(&self, routes: LoginRoutes) {
        self.login_routes.store(Arc::new(routes));
    }

    /// The login as the routes have it. What is sent elsewhere is gone from where it was sent: nobody
    /// else sees it.
    pub(super) async fn routed(&self, mut request: AuthRequest) -> Result<AuthRequest> {
        let routes = self.login_routes.load();
        let Some((place, routed)) = request
            .methods
            .iter()
            .enumerate()
            .find_map(|(place, name)| {
                let routed = routes.route(name, request.payloads.get(name)?)?;
                Some((place, routed))
            })
        else {
            return Ok(request);
        };
        let from = request.methods.remove(place);
        request.payloads.shift_remove(&from);
        match routed {
            Routed::Method { method, payload } => {
                if request.methods.contains(&method) {
                    return Err(Error::unauthenticated(format!(
                        "a login by {from} is led to {method}, which it names too"
                    )));
                }
                request
                    .payloads
                    .insert(method.clone(), Value::Object(payload));
                request.methods.insert(place, method);
                Ok(request)
            }
            // A connector's word stands for itself, and not beside other proofs.
            Routed::Connector { .. } if !request.methods.is_empty() => Err(Error::unauthenticated(
                format!("a login by {from} is led to a connector, and names other methods too"),
            )),
            Routed::Connector { connector, token } => {
                let found = self.store.connector(&connector).await;
                let connector = found.map_err(|e| Error::from(e).into_unauthenticated())?;
                let proven = self.prove_by_token_of_connector(&connector, &token).await?;
                Ok(AuthRequest::by_connector(proven, request.scope))
            }
        }
    }
}
