//! The service layer: it decides. Who may log in and how, what a token is good for, who may do what
//! to which entity, and what a change brings with it. It speaks to storage, tokens and plugins
//! below, and knows nothing of HTTP.
//!
//! [`Identity`] is the whole of it; its methods are grouped by area in one file each. Every
//! operation on behalf of somebody takes a [`Caller`], which only a valid token gives.

mod application_credentials;
mod assignments;
mod audit;
mod authentication;
mod aws_signature;
mod bootstrap;
mod caller;
mod catalog;
mod client_certificate;
mod connectors;
mod credentials;
mod directories;
mod domain_configs;
mod domains;
mod ec2_credentials;
mod endpoint_filters;
mod enrollments;
mod error;
mod federation;
mod groups;
mod known_revocations;
mod known_users;
mod limits;
mod oauth1;
mod options;
mod passwords;
mod plugin_state;
mod plugins;
mod policies;
mod projects;
mod public_key;
mod remembered;
mod revocations;
mod roles;
mod saml;
mod scope;
mod subject;
mod throttle;
mod tokens;
mod trusts;
mod users;

use std::sync::Arc;

use arc_swap::ArcSwap;
use archstone_model::{
    clock::Clock, login_route::LoginRoutes, password_rules::PasswordRules, policy::PolicyEngine,
};
use archstone_plugins::Registry;
use archstone_store::Store;
use archstone_token::{AuthMethods, CredentialCipher, Receipts, TokenSealer};
use chrono::{DateTime, Utc};

pub use archstone_plugins::{LARGEST_ARTIFACT, PluginProfile, Settings};

pub use crate::{
    application_credentials::{
        AccessRuleCreation, ApplicationCredentialCreation, CreatedApplicationCredential, RoleName,
    },
    assignments::{AssignmentQuery, EffectiveAssignment, Named},
    authentication::{
        AuthRequest, DomainReference, IssuedToken, ProjectReference, RemoteUser, RequestedScope,
        UserReference,
    },
    bootstrap::{Bootstrap, Bootstrapped},
    caller::{Caller, RequestLine},
    catalog::{CatalogEndpoint, CatalogService},
    client_certificate::{ClientCertificate, UnusableCertificate},
    connectors::{
        Arrival, BegunLogin, ClaimMappingFilter, ConnectorChange, ConnectorCreation,
        ConnectorDetails, DeviceLogin, DeviceProgress, Finished, Purpose, Trial, TrialRule,
    },
    credentials::{Credential, CredentialCreation},
    directories::{ConfigSource, DirectoryConfig, DirectoryOptions, Unusable},
    domains::DomainCreation,
    ec2_credentials::Ec2Credential,
    endpoint_filters::EndpointGroupCreation,
    enrollments::{Enrollment, EnrollmentAnswer, EnrollmentQuestion},
    error::{Error, ReceiptIssued, Result},
    federation::IdentityProviderCreation,
    groups::{GroupChange, GroupCreation},
    limits::{LimitCreation, RegisteredLimitCreation},
    oauth1::{ConsumerChange, ConsumerCreation, IssuedOAuthToken, OAuthRequest},
    options::{
        Departures, DomainConfigOptions, ExternalUsers, FederationOptions, Options,
        TokenlessOptions,
    },
    passwords::{HashAlgorithm, HashOptions, PasswordHasher},
    plugin_state::SharedState,
    plugins::{InstalledPlugin, PluginDetails},
    policies::PolicyDocumentCreation,
    projects::{ProjectChange, ProjectCreation},
    remembered::Validated,
    roles::{RoleChange, RoleCreation},
    saml::{SamlContact, SamlOptions, SamlOrganization, Voucher},
    subject::{
        Delegation, DomainRef, FederatedOrigin, OAuth1Delegation, ProjectRef, TokenScope,
        TrustDelegation, UserRef, ValidToken,
    },
    throttle::ThrottleOptions,
    tokens::{RevocationReach, ValidationOptions},
    trusts::TrustCreation,
    users::{UserChange, UserCreation},
};

/// What the service layer is made of.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub tokens: TokenSealer,
    pub receipts: Receipts,
    pub credential_cipher: CredentialCipher,
    pub auth_methods: AuthMethods,
    pub passwords: PasswordHasher,
    pub compliance: PasswordRules,
    pub policy: PolicyEngine,
    pub plugins: Registry,
    pub options: Options,
    pub clock: Clock,
}

/// The identity service.
#[derive(Debug)]
pub struct Identity {
    store: Store,
    tokens: TokenSealer,
    receipts: Receipts,
    credential_cipher: CredentialCipher,
    auth_methods: AuthMethods,
    passwords: PasswordHasher,
    compliance: PasswordRules,
    policy: ArcSwap<PolicyEngine>,
    plugins: Registry,
    login_routes: ArcSwap<LoginRoutes>,
    signer: saml::Signer,
    directories: directories::Directories,
    memory: remembered::Memory,
    throttle: throttle::Throttle,
    followed: plugins::Followed,
    options: Options,
    clock: Clock,
}

impl Identity {
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            tokens: parts.tokens,
            receipts: parts.receipts,
            credential_cipher: parts.credential_cipher,
            auth_methods: parts.auth_methods,
            passwords: parts.passwords,
            compliance: parts.compliance,
            policy: ArcSwap::from_pointee(parts.policy),
            plugins: parts.plugins,
            login_routes: ArcSwap::default(),
            signer: saml::Signer::new(&parts.options.saml),
            directories: directories::Directories::default(),
            memory: remembered::Memory::new(parts.options.remember_tokens_for),
            throttle: throttle::Throttle::new(parts.options.throttle),
            followed: plugins::Followed::default(),
            options: parts.options,
            clock: parts.clock,
        }
    }

    /// Puts a new policy in force for every decision from now on.
    pub fn replace_policy(&self, policy: PolicyEngine) {
        self.policy.store(Arc::new(policy));
    }

    /// Takes up keys of tokens, receipts and credentials that changed on disk, and says whether
    /// any did.
    ///
    /// # Errors
    /// Where new keys cannot be used; the old ones of that repository stay in use, and the other
    /// repositories are looked at all the same.
    pub fn reload_keys(&self) -> Result<bool> {
        let reloaded = [
            self.tokens.reload_if_changed().map_err(Error::internal),
            self.receipts.reload_if_changed().map_err(Error::internal),
            self.credential_cipher
                .reload_if_changed()
                .map_err(Error::internal),
        ];
        // A key that is gone takes its tokens with it.
        if reloaded.iter().any(|one| matches!(one, Ok(true))) {
            self.memory.clear();
        }
        reloaded
            .into_iter()
            .try_fold(false, |any, one| one.map(|changed| any || changed))
    }

    /// Whether requests can be answered.
    ///
    /// # Errors
    /// `Unavailable` where the database does not answer.
    pub async fn ready(&self) -> Result<()> {
        self.store.ping().await.map_err(Error::from)
    }

    /// Whether OAuth 2.0 clients can log in with a secret.
    pub fn accepts_client_secrets(&self) -> bool {
        self.options.accept_client_secrets
    }

    /// Whether OAuth 2.0 clients can log in with a certificate.
    pub fn accepts_client_certificates(&self) -> bool {
        self.options.accept_client_certificates
    }

    /// How long a token lasts that nothing ends earlier.
    pub fn token_lifetime(&self) -> chrono::TimeDelta {
        self.options.token_lifetime
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A page of a list that is `most` entries long, or as long as `[DEFAULT] list_limit` says,
    /// unless the client asks for another length, which `[DEFAULT] max_db_limit` bounds.
    pub(crate) fn page_of(
        &self,
        mut page: archstone_model::listing::Page,
        most: Option<u64>,
    ) -> archstone_model::listing::Page {
        page = self.page_asked_for(page);
        page.limit = page.limit.or(most).or(self.options.list_limit);
        page
    }

    /// The page that a client asks for, no longer than `[DEFAULT] max_db_limit`: for lists that no
    /// other option cuts.
    pub(crate) fn page_asked_for(
        &self,
        mut page: archstone_model::listing::Page,
    ) -> archstone_model::listing::Page {
        page.limit = page.limit.map(|asked| asked.min(self.options.max_db_limit));
        page
    }
}

/// A new entity id: 32 hexadecimal digits.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
