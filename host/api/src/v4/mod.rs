//! Archstone's own API, `/v4`: what Keystone does not have.

mod bearer;
mod browser;
mod claim_mappings;
mod connector_logins;
mod connectors;
mod federation;
mod identity_providers;
mod passkey_login;
mod passkeys;
mod plugins;
mod version;
mod webauthn;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::{bearer::Bearer, browser::send_to_provider, plugins::ARTIFACT};
use crate::{App, openapi::named};

/// All routes under `/v4`, with their documentation.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(named("connectors", connectors::routes()))
        .merge(named("connector_logins", connector_logins::routes()))
        .merge(named("v4_federation", federation::routes()))
        .merge(named("v4_identity_providers", identity_providers::routes()))
        .merge(named("v4_mappings", claim_mappings::routes()))
        .merge(named("plugins", plugins::routes()))
        .merge(named("passkeys", passkeys::routes()))
        .merge(named("passkey_login", passkey_login::routes()))
        .merge(named("v4", version::routes()))
}
