//! How a new key proves where it comes from: the attestation statements of WebAuthn section 8.

use std::time::Duration;

use archstone_plugin::Denial;
use ciborium::Value;
use coset::iana::{Algorithm, EnumI64};

use crate::{
    authenticator_data::{AttestedCredential, AuthenticatorData},
    certificates::CertificatePath,
    configuration::{Attestation, Config, model},
    public_key::PublicKey,
};

/// What a browser brings from a registration (WebAuthn section 6.5.4).
#[derive(Debug)]
pub struct AttestationObject {
    pub format: String,
    statement: Vec<(Value, Value)>,
    /// As it was signed.
    pub authenticator_data: Vec<u8>,
}

impl AttestationObject {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let object: Value = ciborium::from_reader(&mut rest).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let object = object.into_map().ok()?;
        Some(Self {
            format: member(&object, "fmt")?.as_text()?.to_owned(),
            statement: member(&object, "attStmt")?.as_map()?.clone(),
            authenticator_data: member(&object, "authData")?.as_bytes()?.clone(),
        })
    }

    /// Refuses a statement that does not hold, or does not say enough for the operator.
    pub fn check(
        &self,
        registration: &Registration<'_>,
        config: &Config,
        now: Duration,
    ) -> Result<(), Denial> {
        let path = match self.format.as_str() {
            "none" if self.statement.is_empty() => None,
            "packed" => self.packed(registration)?,
            "fido-u2f" => Some(self.fido_u2f(registration)?),
            "none" => return Err(Denial::malformed("a statement, though there is none")),
            _ => return Err(Denial::rejected("the attestation is of an unknown format")),
        };
        if config.attestation == Attestation::None {
            return Ok(());
        }
        let path = path.ok_or_else(|| Denial::rejected("the key does not say who made it"))?;
        path.require_trust(&config.roots(), now)?;
        let model = model(registration.credential.aaguid);
        if !config.models.is_empty() && !config.models.contains(&model) {
            return Err(Denial::rejected(format!(
                "keys of model {model} are not taken"
            )));
        }
        Ok(())
    }

    /// WebAuthn section 8.2.
    fn packed(&self, registration: &Registration<'_>) -> Result<Option<CertificatePath>, Denial> {
        let algorithm = member(&self.statement, "alg")
            .and_then(Value::as_integer)
            .and_then(|number| i64::try_from(number).ok())
            .ok_or_else(incomplete)?;
        let signature = self.signature()?;
        let signed = [&self.authenticator_data, registration.client_data_hash].concat();
        if member(&self.statement, "x5c").is_none() {
            // The key vouches for itself.
            let key = registration.public_key;
            return match key.algorithm.to_i64() == algorithm && key.verifies(&signed, signature) {
                true => Ok(None),
                false => Err(forged()),
            };
        }
        let path = self.path()?;
        if !path.signed(algorithm, &signed, signature) {
            return Err(forged());
        }
        match path.is_for_packed(registration.credential.aaguid) {
            true => Ok(Some(path)),
            false => Err(Denial::rejected(
                "the certificate is none of a security key of this model",
            )),
        }
    }

    /// WebAuthn section 8.6.
    fn fido_u2f(&self, registration: &Registration<'_>) -> Result<CertificatePath, Denial> {
        let (key, credential) = (registration.public_key, registration.credential);
        let path = self.path()?;
        if !path.is_single() || key.algorithm != Algorithm::ES256 || credential.aaguid != [0; 16] {
            return Err(Denial::malformed("the attestation is none of a U2F key"));
        }
        let signed = [
            &[0],
            registration.data.rp_id_hash.as_slice(),
            registration.client_data_hash,
            &credential.id,
            &key.subject_public_key,
        ]
        .concat();
        match path.signed(Algorithm::ES256.to_i64(), &signed, self.signature()?) {
            true => Ok(path),
            false => Err(forged()),
        }
    }

    fn signature(&self) -> Result<&[u8], Denial> {
        let signature = member(&self.statement, "sig").and_then(Value::as_bytes);
        signature.map(Vec::as_slice).ok_or_else(incomplete)
    }

    fn path(&self) -> Result<CertificatePath, Denial> {
        let certificates = member(&self.statement, "x5c").and_then(Value::as_array);
        let certificates = certificates.ok_or_else(incomplete)?;
        let certificates: Option<Vec<_>> = certificates
            .iter()
            .map(|certificate| certificate.as_bytes().cloned())
            .collect();
        certificates
            .and_then(CertificatePath::new)
            .ok_or_else(incomplete)
    }
}

/// What a statement is about.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    pub data: &'a AuthenticatorData,
    pub credential: &'a AttestedCredential,
    pub public_key: &'a PublicKey,
    pub client_data_hash: &'a [u8],
}

fn member<'a>(map: &'a [(Value, Value)], name: &str) -> Option<&'a Value> {
    let found = map.iter().find(|(key, _)| key.as_text() == Some(name));
    found.map(|(_, value)| value)
}

fn incomplete() -> Denial {
    Denial::malformed("the attestation statement is not complete")
}

fn forged() -> Denial {
    Denial::rejected("the attestation's signature does not hold")
}
