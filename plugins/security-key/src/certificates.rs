//! The certificates by which makers vouch for their keys (WebAuthn section 8.2.1). Paths are
//! checked by webpki, with the host's signatures.

use std::time::Duration;

use archstone_plugin::Denial;
use pkcs1::der::{
    Decode,
    asn1::{ObjectIdentifier, OctetStringRef},
};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    UnixTime, alg_id,
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::{
    Certificate, Version,
    der::{
        Encode,
        asn1::{PrintableStringRef, Utf8StringRef},
    },
    ext::pkix::BasicConstraints,
};

use crate::signatures::{self, SignatureAlgorithm};

/// One of webpki's algorithms, done by the host.
#[derive(Debug)]
struct ByHost {
    algorithm: SignatureAlgorithm,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for ByHost {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match signatures::verify(self.algorithm, public_key, message, signature) {
            true => Ok(()),
            false => Err(InvalidSignature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

macro_rules! by_host {
    ($($name:ident: $algorithm:ident, $key:ident, $signature:ident;)*) => {
        $(static $name: ByHost = ByHost {
            algorithm: SignatureAlgorithm::$algorithm,
            key: alg_id::$key,
            signature: alg_id::$signature,
        };)*
        static ALL: &[&dyn SignatureVerificationAlgorithm] = &[$(&$name),*];
    };
}

by_host! {
    ES256: EcdsaP256Sha256, ECDSA_P256, ECDSA_SHA256;
    P256_SHA384: EcdsaP256Sha384, ECDSA_P256, ECDSA_SHA384;
    P384_SHA256: EcdsaP384Sha256, ECDSA_P384, ECDSA_SHA256;
    P384_SHA384: EcdsaP384Sha384, ECDSA_P384, ECDSA_SHA384;
    ED25519: Ed25519, ED25519, ED25519;
    RS256: RsaPkcs1Sha256, RSA_ENCRYPTION, RSA_PKCS1_SHA256;
    RS384: RsaPkcs1Sha384, RSA_ENCRYPTION, RSA_PKCS1_SHA384;
    RS512: RsaPkcs1Sha512, RSA_ENCRYPTION, RSA_PKCS1_SHA512;
}

/// A key's certificate, with those that lead to its maker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePath {
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
}

impl CertificatePath {
    /// The first is the key's.
    pub fn new(certificates: Vec<Vec<u8>>) -> Option<Self> {
        let mut certificates = certificates.into_iter().map(CertificateDer::from);
        Some(Self {
            leaf: certificates.next()?,
            intermediates: certificates.collect(),
        })
    }

    pub fn is_single(&self) -> bool {
        self.intermediates.is_empty()
    }

    /// Whether the key's certificate signed this, with one of COSE's algorithms.
    pub fn signed(&self, algorithm: i64, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn SignatureVerificationAlgorithm = match algorithm {
            -7 => &ES256,
            -8 => &ED25519,
            -35 => &P384_SHA384,
            -257 => &RS256,
            _ => return false,
        };
        EndEntityCert::try_from(&self.leaf)
            .is_ok_and(|leaf| leaf.verify_signature(algorithm, message, signature).is_ok())
    }

    /// Refuses a path that leads to none of the roots.
    pub fn require_trust(&self, roots: &[CertificateDer<'_>], now: Duration) -> Result<(), Denial> {
        let untrusted = |_| Denial::rejected("the key was made by nobody who is trusted");
        let anchors: Vec<_> = roots
            .iter()
            .filter_map(|root| anchor_from_trusted_cert(root).ok())
            .collect();
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(untrusted)?;
        leaf.verify_for_usage(
            ALL,
            &anchors,
            &self.intermediates,
            UnixTime::since_unix_epoch(now),
            // These certificates say no use; one that does must be meant for clients.
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map(drop)
        .map_err(untrusted)
    }

    /// Whether the key's certificate is one for packed attestation, of this model.
    pub fn is_for_packed(&self, aaguid: [u8; 16]) -> bool {
        self.meets_packed_rules(aaguid).unwrap_or(false)
    }

    fn meets_packed_rules(&self, aaguid: [u8; 16]) -> Option<bool> {
        const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
        const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
        const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
        const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
        /// id-fido-gen-ce-aaguid
        const MODEL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");

        let certificate = Certificate::from_der(&self.leaf).ok()?;
        let certificate = certificate.tbs_certificate();
        let has = |attribute| {
            let mut all = certificate.subject().iter();
            all.any(|one| one.oid == attribute)
        };
        let is_authenticator = certificate.subject().iter().any(|one| {
            let text = one.value.to_der().unwrap_or_default();
            let name = Utf8StringRef::from_der(&text).map(|text| text.as_str().to_owned());
            let name = name.or_else(|_| {
                PrintableStringRef::from_der(&text).map(|text| text.as_str().to_owned())
            });
            one.oid == UNIT && name.is_ok_and(|name| name == "Authenticator Attestation")
        });
        let (_, constraints) = certificate.get_extension::<BasicConstraints>().ok()??;
        let mut extensions = certificate.extensions()?.iter();
        let is_model = match extensions.find(|extension| extension.extn_id == MODEL) {
            Some(extension) => {
                let said = <&OctetStringRef>::from_der(extension.extn_value.as_bytes()).ok()?;
                said.as_bytes() == aaguid && !extension.critical
            }
            None => true,
        };
        Some(
            certificate.version() == Version::V3
                && has(COUNTRY)
                && has(ORGANIZATION)
                && has(COMMON_NAME)
                && is_authenticator
                && !constraints.ca
                && is_model,
        )
    }
}
