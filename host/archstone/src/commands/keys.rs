//! `archstone fernet` and `archstone credential`: making and rotating keys.

use std::{num::NonZeroUsize, path::Path};

use anyhow::{Context, Result, bail};
use archstone_model::secret::Sealed;
use archstone_token::{CredentialCipher, KeyPurpose, KeyRepository};
use chrono::Utc;
use clap::Subcommand;

use crate::{assemble, commands::say, config::Config};

#[derive(Debug, Subcommand)]
pub(crate) enum Fernet {
    /// Make a staged and a primary key, unless there are keys.
    Setup,
    /// Promote the staged key, stage a new one, and drop keys beyond [fernet_tokens] max_active_keys.
    Rotate,
}

impl Fernet {
    pub(crate) fn run(self, config: &Config) -> Result<()> {
        match self {
            Self::Setup => {
                setup(&config.fernet_keys, KeyPurpose::Tokens)?;
                if config.receipt_keys != config.fernet_keys {
                    setup(&config.receipt_keys, KeyPurpose::Receipts)?;
                }
                Ok(())
            }
            Self::Rotate => {
                let keep = NonZeroUsize::new(config.max_active_keys)
                    .context("[fernet_tokens] max_active_keys must be at least 1")?;
                rotate(&config.fernet_keys, KeyPurpose::Tokens, keep)?;
                if config.receipt_keys != config.fernet_keys {
                    rotate(&config.receipt_keys, KeyPurpose::Receipts, keep)?;
                }
                Ok(())
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Credential {
    /// Make a staged and a primary key, unless there are keys.
    Setup,
    /// Promote the staged key and stage a new one; refused while secrets need `migrate`.
    Rotate,
    /// Seal every stored credential, connector's secret and plugin's setting with the primary key.
    Migrate,
}

/// The keys a credential repository keeps: primary, staged and the one before.
const CREDENTIAL_KEYS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

impl Credential {
    pub(crate) async fn run(self, config: &Config) -> Result<()> {
        let directory = &config.credential_keys;
        match self {
            Self::Setup => setup(directory, KeyPurpose::Credentials),
            Self::Rotate => {
                let cipher = cipher(config)?;
                let store = assemble::store(config).await?;
                let older = store.sealed_otherwise(&cipher.primary_key_hash()).await?;
                if !older.is_empty() {
                    bail!(
                        "some secrets are sealed with an older key; run `archstone credential migrate` first"
                    );
                }
                rotate(directory, KeyPurpose::Credentials, CREDENTIAL_KEYS)
            }
            Self::Migrate => {
                let cipher = cipher(config)?;
                let store = assemble::store(config).await?;
                let older = store.sealed_otherwise(&cipher.primary_key_hash()).await?;
                let sealed_anew = older.len();
                for (thing, id, was) in older {
                    let blob = cipher
                        .decrypt(&was.text)
                        .with_context(|| format!("{thing:?} {id}"))?;
                    let sealed = cipher.encrypt(&blob, Utc::now());
                    let sealed = Sealed {
                        text: sealed.encrypted_blob,
                        key_hash: sealed.key_hash,
                    };
                    store.seal_anew(thing, &id, &was, &sealed).await?;
                }
                say(format_args!(
                    "{sealed_anew} secrets sealed with the primary key"
                ))
            }
        }
    }
}

fn cipher(config: &Config) -> Result<CredentialCipher> {
    let keys = assemble::key_ring(
        &config.credential_keys,
        KeyPurpose::Credentials,
        "credential",
    )?;
    Ok(CredentialCipher::new(keys))
}

fn setup(directory: &Path, purpose: KeyPurpose) -> Result<()> {
    let outcome = KeyRepository::new(directory, purpose).setup()?;
    say(format_args!("{}: {outcome:?}", directory.display()))
}

fn rotate(directory: &Path, purpose: KeyPurpose, keep: NonZeroUsize) -> Result<()> {
    let outcome = KeyRepository::new(directory, purpose).rotate(keep)?;
    say(format_args!("{}: {outcome:?}", directory.display()))
}
