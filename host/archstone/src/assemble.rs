//! Wires the rooms together from the configuration.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use archstone_identity::{Identity, Parts, PasswordHasher, SharedState};
use archstone_model::clock::Clock;
use archstone_plugins::{Registry, Runtime, RuntimeOptions, Signers};
use archstone_store::{DatabaseUrl, PoolOptions, SchemaState, Store};
use archstone_token::{
    AuthMethods, CredentialCipher, FernetTokens, JwsTokens, KeyPurpose, KeyRepository, KeyRing,
    Receipts, TokenSealer,
};

use crate::config::Config;

/// Connects to the database, whatever is in it.
pub(crate) async fn store(config: &Config) -> Result<Store> {
    let options = PoolOptions {
        max_connections: config.max_connections,
        mysql_wsrep_sync_wait: config.mysql_wsrep_sync_wait,
        ..PoolOptions::default()
    };
    let url = database(config)?;
    let store = Store::connect(url, &options)
        .await
        .with_context(|| format!("cannot open the database {url}"))?;
    Ok(store.with_exact_names(config.exact_names))
}

/// Where the database is.
pub(crate) fn database(config: &Config) -> Result<&DatabaseUrl> {
    config.database.as_ref().context(
        "[database] connection is not set; for example: \
         connection = sqlite:////var/lib/archstone/keystone.db",
    )
}

/// The keys in one repository.
pub(crate) fn key_ring(
    directory: &PathBuf,
    purpose: KeyPurpose,
    make: &str,
) -> Result<Arc<KeyRing>> {
    let ring = KeyRing::load(KeyRepository::new(directory, purpose)).with_context(|| {
        format!(
            "cannot use the keys in {}; `archstone {make} setup` makes them",
            directory.display()
        )
    })?;
    Ok(Arc::new(ring))
}

/// Makes and opens tokens of the configured kind.
fn tokens(config: &Config, auth_methods: &AuthMethods) -> Result<TokenSealer> {
    let Some(repository) = &config.jws_keys else {
        let keys = key_ring(&config.fernet_keys, KeyPurpose::Tokens, "fernet")?;
        return Ok(TokenSealer::Fernet(FernetTokens::new(keys)));
    };
    let tokens = JwsTokens::load(repository.clone(), auth_methods.clone())
        .context("cannot use the keys of [jwt_tokens]")?;
    Ok(TokenSealer::Jws(tokens))
}

/// Whose plugins are loaded; nothing where it is anybody's.
pub(crate) fn plugin_signers(config: &Config) -> Result<Option<Signers>> {
    let path = config.plugin_signers.as_deref();
    path.map(Signers::read)
        .transpose()
        .context("cannot use [archstone] plugin_signers")
}

/// The whole service, with its plugin registry, on a database that is ready for it.
pub(crate) async fn identity(config: &Config) -> Result<(Identity, Registry)> {
    let store = store(config).await?;
    match store.schema_state().await? {
        SchemaState::Keystone30 {
            archstone_tables: true,
        } => {}
        _ => bail!(
            "the database {} is not ready; run `archstone db sync`",
            database(config)?
        ),
    }
    let clock = Clock::system();
    let state = SharedState::new(store.clone(), clock.clone());
    let mut options = RuntimeOptions::new(Arc::new(state));
    options.cache = config.plugin_cache.clone().or_else(|| {
        config
            .plugin_dir
            .as_ref()
            .map(|directory| directory.join(".cache"))
    });
    options.signers = plugin_signers(config)?;
    let registry = Registry::new(Runtime::new(options).context("cannot start the plugin runtime")?);
    let receipts = key_ring(&config.receipt_keys, KeyPurpose::Receipts, "fernet")?;
    let credentials = key_ring(
        &config.credential_keys,
        KeyPurpose::Credentials,
        "credential",
    )?;
    let auth_methods =
        AuthMethods::new(config.identity.auth_methods.iter().cloned()).context("[auth] methods")?;
    let identity = Identity::new(Parts {
        store,
        tokens: tokens(config, &auth_methods)?,
        receipts: Receipts::new(receipts),
        credential_cipher: CredentialCipher::new(credentials),
        auth_methods,
        passwords: PasswordHasher::start(config.hashing.clone())
            .context("cannot start the password threads")?,
        compliance: config.compliance.clone(),
        policy: config.policy_files.load(config.policy)?,
        plugins: registry.clone(),
        options: config.identity.clone(),
        clock,
    });
    Ok((identity, registry))
}
