//! The operator's settings that the service layer obeys, with Keystone's defaults.

use std::{collections::HashMap, time::Duration};

use archstone_model::{
    domain_config::{ConfigOptions, SERVER_OPTIONS, SupportedOptions},
    id::{DomainId, MappingId, ProtocolId},
    limit::EnforcementModel,
};
use chrono::TimeDelta;

use crate::{DirectoryOptions, SamlOptions, ThrottleOptions};

/// Settings of the service layer. The binary fills them from `keystone.conf`.
#[derive(Debug, Clone)]
pub struct Options {
    /// `[auth] methods`, in order: the bit of a method in a token is its place here.
    pub auth_methods: Vec<String>,
    /// `[archstone] authorizers`: plugins that are asked after policy has said yes.
    pub authorizers: Vec<String>,
    /// `[token] expiration`
    pub token_lifetime: TimeDelta,
    /// How long a token that was found valid is remembered at most; zero for not at all.
    pub remember_tokens_for: Duration,
    /// `[token] allow_expired_window`
    pub allow_expired_window: TimeDelta,
    /// `[token] allow_rescope_scoped_token`
    pub allow_rescope_scoped_token: bool,
    /// `[token] revoke_by_id`: which answer the list of revoked PKI tokens, which is no more, gives.
    pub revoke_by_id: bool,
    /// `[revoke] expiration_buffer`: how long a revocation is kept after the last token that it
    /// can touch has expired.
    pub revocation_buffer: TimeDelta,
    /// `[receipt] expiration`
    pub receipt_lifetime: TimeDelta,
    /// `[identity] default_domain_id`
    pub default_domain_id: DomainId,
    /// `[identity] domain_specific_drivers_enabled`: users and groups are listed domain by domain.
    pub domain_specific_drivers: bool,
    /// `[DEFAULT] list_limit`: the most entries a list gives.
    pub list_limit: Option<u64>,
    /// `[application_credential] user_limit`; `None` for no limit.
    pub application_credential_user_limit: Option<u64>,
    /// `[credential] user_limit`
    pub credential_user_limit: Option<u64>,
    /// `[credential] auth_ttl`: how old a signature made with EC2 keys may be.
    pub signature_lifetime: TimeDelta,
    /// `[oauth1] request_token_duration`; zero stands for ever.
    pub request_token_lifetime: TimeDelta,
    /// `[oauth1] access_token_duration`; zero stands for ever.
    pub access_token_lifetime: TimeDelta,
    /// `[oauth2] oauth2_authn_methods` has `client_secret_basic`.
    pub accept_client_secrets: bool,
    /// `[oauth2] oauth2_authn_methods` has `tls_client_auth`.
    pub accept_client_certificates: bool,
    /// `[oauth2] oauth2_cert_dn_mapping_id`: the mapping that says whom a certificate names.
    pub certificate_mapping_id: MappingId,
    /// `[resource] project_name_url_safe` is `strict`
    pub strict_project_names: bool,
    /// `[resource] domain_name_url_safe` is `strict`
    pub strict_domain_names: bool,
    /// `[assignment] prohibited_implied_role`
    pub prohibited_implied_roles: Vec<String>,
    /// `[trust] max_redelegation_count`: how many trusts may follow one in a chain.
    pub max_redelegation_count: i32,
    /// How far a project may be from its domain: `[DEFAULT] max_project_tree_depth`
    pub max_project_tree_depth: u32,
    /// `[DEFAULT] public_endpoint`, which endpoint URLs may refer to.
    pub public_endpoint: Option<String>,
    /// `[policy] list_limit`, which goes before `list_limit`.
    pub policy_list_limit: Option<u64>,
    /// `[catalog] list_limit`, which goes before `list_limit`.
    pub catalog_list_limit: Option<u64>,
    /// `[endpoint_filter] return_all_endpoints_if_no_filter`
    pub return_all_endpoints_if_no_filter: bool,
    /// `[unified_limit] enforcement_model`
    pub enforcement_model: EnforcementModel,
    /// `[DEFAULT] max_db_limit`: the most entries of a list that a client gets at once.
    pub max_db_limit: u64,
    pub federation: FederationOptions,
    pub saml: SamlOptions,
    pub domain_config: DomainConfigOptions,
    pub directories: DirectoryOptions,
    /// `[auth] external`: where users live whom a web server in front knows. Nobody is believed
    /// unless it is set, though the method is among the default ones.
    pub external_users: Option<ExternalUsers>,
    pub tokenless: TokenlessOptions,
    pub departures: Departures,
    pub throttle: ThrottleOptions,
}

/// Where an operator may have Archstone answer otherwise than Keystone can without breaking somebody.
/// Each is off unless `[archstone]` says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Departures {
    /// `keep_tokens_of_former_members`: who leaves a group keeps their tokens, which lose what the
    /// group gave.
    pub keep_tokens_of_former_members: bool,
    /// `show_own_role_assignments`: users may list the roles that they have.
    pub show_own_role_assignments: bool,
    /// `renew_password_hashes`: a password that was hashed otherwise than passwords are now is
    /// hashed anew at the next login.
    pub renew_password_hashes: bool,
}

/// Where users live whom a web server in front knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalUsers {
    DefaultDomain,
    /// In the domain that the web server names, or else in the default one.
    NamedDomain,
}

/// `[tokenless_auth]`: certificates in place of tokens.
#[derive(Debug, Clone)]
pub struct TokenlessOptions {
    /// The names of authorities whose certificates count.
    pub trusted_issuers: Vec<String>,
    /// The variable that holds the issuer's name.
    pub issuer_attribute: String,
    /// The protocol that has the mapping, at the identity provider that stands for the issuer.
    pub protocol_id: ProtocolId,
}

impl Default for TokenlessOptions {
    fn default() -> Self {
        Self {
            trusted_issuers: Vec::new(),
            issuer_attribute: "SSL_CLIENT_I_DN".to_owned(),
            protocol_id: ProtocolId::new("x509"),
        }
    }
}

/// What domains may have configurations of their own for.
#[derive(Debug, Clone)]
pub struct DomainConfigOptions {
    /// With `[domain_config] additional_whitelisted_options` and `additional_sensitive_options`.
    pub supported: SupportedOptions,
    /// What the server is configured with.
    pub defaults: ConfigOptions,
}

impl Default for DomainConfigOptions {
    fn default() -> Self {
        let mut defaults = ConfigOptions::default();
        for (group, options) in &SERVER_OPTIONS {
            for option in *options {
                defaults.insert(group, option.name, option.kind.into());
            }
        }
        Self {
            supported: SupportedOptions::default(),
            defaults,
        }
    }
}

/// Settings of federated logins.
#[derive(Debug, Clone)]
pub struct FederationOptions {
    /// `[federation] attribute_mapping_default_schema_version`
    pub default_schema_version: String,
    /// `[federation] remote_id_attribute`
    pub remote_id_attribute: Option<String>,
    /// `remote_id_attribute` in a section that is named as a protocol.
    pub remote_id_attributes: HashMap<String, String>,
    /// `[federation] default_authorization_ttl`: how long a group membership outlasts the login
    /// that gave it.
    pub default_membership_lifetime: TimeDelta,
    /// `[saml] relay_state_prefix`
    pub relay_state_prefix: String,
}

impl Default for FederationOptions {
    fn default() -> Self {
        Self {
            default_schema_version: "1.0".to_owned(),
            remote_id_attribute: None,
            remote_id_attributes: HashMap::new(),
            default_membership_lifetime: TimeDelta::zero(),
            relay_state_prefix: "ss:mem:".to_owned(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            auth_methods: [
                "external",
                "password",
                "token",
                "oauth1",
                "mapped",
                "application_credential",
                "ec2credential",
            ]
            .map(String::from)
            .to_vec(),
            authorizers: Vec::new(),
            token_lifetime: TimeDelta::hours(1),
            remember_tokens_for: Duration::from_secs(60),
            allow_expired_window: TimeDelta::hours(48),
            allow_rescope_scoped_token: true,
            revoke_by_id: true,
            revocation_buffer: TimeDelta::minutes(30),
            receipt_lifetime: TimeDelta::minutes(5),
            default_domain_id: DomainId::new("default"),
            domain_specific_drivers: false,
            list_limit: None,
            application_credential_user_limit: None,
            credential_user_limit: None,
            signature_lifetime: TimeDelta::minutes(15),
            request_token_lifetime: TimeDelta::hours(8),
            access_token_lifetime: TimeDelta::hours(24),
            accept_client_secrets: true,
            accept_client_certificates: true,
            certificate_mapping_id: MappingId::new("oauth2_mapping"),
            strict_project_names: false,
            strict_domain_names: false,
            prohibited_implied_roles: vec!["admin".to_owned()],
            max_redelegation_count: 3,
            max_project_tree_depth: 5,
            public_endpoint: None,
            policy_list_limit: None,
            catalog_list_limit: None,
            return_all_endpoints_if_no_filter: true,
            enforcement_model: EnforcementModel::default(),
            federation: FederationOptions::default(),
            saml: SamlOptions::default(),
            domain_config: DomainConfigOptions::default(),
            directories: DirectoryOptions::default(),
            external_users: None,
            tokenless: TokenlessOptions::default(),
            departures: Departures::default(),
            throttle: ThrottleOptions::default(),
            max_db_limit: 1000,
        }
    }
}
