//! The nouns of an OpenStack identity service and the rules over them. Nothing here does I/O.

pub mod catalog;
pub mod catalog_url;
pub mod clock;
pub mod connector;
pub mod credential;
pub mod dialect;
pub mod directory;
pub mod domain_config;
pub mod endpoint_filter;
pub mod endpoint_policy;
pub mod entity;
pub mod federation;
pub mod id;
pub mod limit;
pub mod listing;
pub mod login_route;
pub mod mapping;
pub mod oauth1;
pub mod password_rules;
pub mod plugin;
pub mod policy;
pub mod project;
pub mod revocation;
pub mod role;
pub mod roles;
pub mod scope;
pub mod secret;
pub mod throttle;
pub mod time;
pub mod trust;
pub mod user;

/// Attributes outside an entity's schema, kept and returned as the client sent them.
pub type Extra = serde_json::Map<String, serde_json::Value>;
