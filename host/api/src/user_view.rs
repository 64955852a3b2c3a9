//! How users are shown.

use archstone_model::{
    Extra,
    id::{DomainId, ProjectId, UserId},
    user::{FederatedAccount, User},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    links::{BaseUrl, SelfLink},
    resource::Resource,
    time::iso_without_zone,
};

/// A user as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    #[schema(value_type = String)]
    id: UserId,
    name: String,
    #[schema(value_type = String)]
    domain_id: DomainId,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    default_project_id: Option<ProjectId>,
    /// ISO 8601 with microseconds.
    password_expires_at: Option<String>,
    #[schema(value_type = OptionsSchema)]
    options: Extra,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    federated: Vec<FederatedBody>,
    links: SelfLink,
    /// The attributes outside the schema once more, in the answer to a change.
    #[serde(rename = "extra", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    extra_again: Option<Extra>,
}

impl UserView {
    /// A user in a list, which does not tell external accounts.
    pub(crate) fn listed(mut user: User, base_url: &BaseUrl) -> Self {
        user.federated.clear();
        Self::new(user, base_url)
    }

    /// A changed user. Keystone tells the attributes outside the schema twice here, and clients may
    /// read either.
    pub(crate) fn changed(user: User, base_url: &BaseUrl) -> Self {
        Self {
            extra_again: Some(user.extra.clone()),
            ..Self::new(user, base_url)
        }
    }

    pub(crate) fn new(user: User, base_url: &BaseUrl) -> Self {
        let links = base_url.self_link(format_args!("users/{}", user.id));
        Self {
            extra: user.extra,
            name: user.name,
            domain_id: user.domain_id,
            enabled: user.enabled,
            default_project_id: user.default_project_id,
            password_expires_at: user.password_expires_at.map(iso_without_zone),
            options: user.options.to_map(),
            federated: grouped(user.federated),
            links,
            extra_again: None,
            id: user.id,
        }
    }
}

/// The names in the schema of a user.
const NAMES: [&str; 10] = [
    "id",
    "name",
    "domain_id",
    "enabled",
    "default_project_id",
    "password_expires_at",
    "options",
    "federated",
    "links",
    "extra",
];

impl Resource for UserView {
    const ONE: &'static str = "user";
    const MANY: &'static str = "users";

    fn has_unique_names(&self) -> bool {
        !self.extra.keys().any(|name| NAMES.contains(&name.as_str()))
    }
}

fn grouped(accounts: Vec<FederatedAccount>) -> Vec<FederatedBody> {
    let mut federated: Vec<FederatedBody> = Vec::new();
    for account in accounts {
        let protocol = FederatedProtocol {
            protocol_id: account.protocol_id.into_string(),
            unique_id: account.unique_id,
        };
        match federated
            .iter_mut()
            .find(|body| body.idp_id == account.idp_id.as_str())
        {
            Some(body) => body.protocols.push(protocol),
            None => federated.push(FederatedBody {
                idp_id: account.idp_id.into_string(),
                protocols: vec![protocol],
            }),
        }
    }
    federated
}

/// What options may hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by its schema only")]
pub(crate) struct OptionsSchema {
    ignore_change_password_upon_first_use: Option<bool>,
    ignore_password_expiry: Option<bool>,
    ignore_lockout_failure_attempts: Option<bool>,
    lock_password: Option<bool>,
    ignore_user_inactivity: Option<bool>,
    multi_factor_auth_rules: Option<Vec<FactorRule>>,
    multi_factor_auth_enabled: Option<bool>,
}

/// The methods that must pass together. The schema says that none is named twice.
#[derive(Deserialize)]
struct FactorRule(#[allow(dead_code, reason = "read by its schema only")] Vec<String>);

impl utoipa::PartialSchema for FactorRule {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ArrayBuilder::new()
            .items(utoipa::schema!(String))
            .min_items(Some(1))
            .unique_items(true)
            .into()
    }
}

impl ToSchema for FactorRule {}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FederatedBody {
    idp_id: String,
    #[schema(min_items = 1)]
    protocols: Vec<FederatedProtocol>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct FederatedProtocol {
    protocol_id: String,
    unique_id: String,
}

/// The accounts that a client names.
pub(crate) fn flatten(federated: Vec<FederatedBody>) -> Vec<FederatedAccount> {
    federated
        .into_iter()
        .flat_map(|FederatedBody { idp_id, protocols }| {
            protocols.into_iter().map(move |protocol| FederatedAccount {
                idp_id: idp_id.as_str().into(),
                protocol_id: protocol.protocol_id.into(),
                unique_id: protocol.unique_id,
                display_name: None,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn every_name_in_the_schema_is_known() {
        let schema = json!(UserView::schema());
        let properties = schema["properties"].as_object().unwrap();
        let in_schema: BTreeSet<_> = properties.keys().map(String::as_str).collect();
        assert_eq!(in_schema, BTreeSet::from(NAMES));
    }
}
