//! Signed requests of RFC 5849: their parameters, the base string, and the check of a signature.

use std::collections::BTreeMap;

use archstone_model::secret::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};

use crate::Error;

/// Everything but the unreserved characters: section 3.6.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How far a request's time may be from ours.
const TIME_TOLERANCE: TimeDelta = TimeDelta::minutes(10);

/// A request that claims to be signed, as it came.
#[derive(Debug, Clone)]
pub struct OAuthRequest {
    /// The URL that the client sees, with its query.
    pub url: String,
    /// The `Authorization` header. With the method PLAINTEXT it holds the shared secrets.
    pub authorization: Option<Secret>,
}

/// What is wrong with a signed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OAuthFault {
    /// It does not follow the protocol.
    #[error("Validation failed with errors: invalid_request, detail message is: {0}.")]
    Malformed(&'static str),
    #[error("the signature does not match")]
    Mismatch,
}

impl From<OAuthFault> for Error {
    fn from(fault: OAuthFault) -> Self {
        match fault {
            OAuthFault::Malformed(_) => Self::invalid(fault.to_string()),
            OAuthFault::Mismatch => Self::unauthenticated(fault.to_string()),
        }
    }
}

/// A signed POST, taken apart.
#[derive(Debug)]
pub(crate) struct Signed {
    base_url: String,
    /// All parameters that are signed.
    parameters: Vec<(String, String)>,
    /// Those of the protocol.
    oauth: BTreeMap<String, String>,
    realm: Option<String>,
}

impl Signed {
    /// Reads the parameters of a request; no more is known of them than that they are well-formed.
    pub(crate) fn read(request: &OAuthRequest) -> Result<Self, OAuthFault> {
        let malformed = OAuthFault::Malformed;
        let url = Url::parse(&request.url).map_err(|_| malformed("the URL cannot be read"))?;
        let header = request
            .authorization
            .as_ref()
            .ok_or(malformed("there is no Authorization header"))?;
        let mut signed = Self {
            base_url: base_url(&url).ok_or(malformed("the URL has no host"))?,
            parameters: Vec::new(),
            oauth: BTreeMap::new(),
            realm: None,
        };
        // Reading the header is what it was sent for.
        for (name, value) in header_parameters(header.expose())? {
            if name == "realm" {
                signed.realm = Some(value).filter(|realm| !realm.is_empty());
                continue;
            }
            if name.starts_with("oauth_") {
                let known = signed.oauth.insert(name.clone(), value.clone());
                if known.is_some() {
                    return Err(malformed("Duplicate OAuth1 entries."));
                }
            }
            signed.parameters.push((name, value));
        }
        for (name, value) in form_urlencoded::parse(url.query().unwrap_or_default().as_bytes()) {
            if name.starts_with("oauth_") {
                return Err(malformed("oauth_ params must come from one place"));
            }
            signed
                .parameters
                .push((name.into_owned(), value.into_owned()));
        }
        signed
            .parameters
            .retain(|(name, _)| name != "oauth_signature");
        Ok(signed)
    }

    /// A protocol parameter that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.oauth
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn consumer_key(&self) -> Option<&str> {
        self.get("oauth_consumer_key")
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.get("oauth_token")
    }

    /// The realm that the client names, if any. There are none here.
    pub(crate) fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// Checks what every signed request must have: section 3.2.
    pub(crate) fn check_protocol(&self, now: DateTime<Utc>) -> Result<(), OAuthFault> {
        let malformed = |detail| Err(OAuthFault::Malformed(detail));
        let (Some(_), Some(consumer), Some(nonce), Some(timestamp), Some(method)) = (
            self.get("oauth_signature"),
            self.consumer_key(),
            self.get("oauth_nonce"),
            self.get("oauth_timestamp"),
            self.get("oauth_signature_method"),
        ) else {
            return malformed("Missing mandatory OAuth parameters.");
        };
        if SignatureMethod::named(method).is_none() {
            return malformed("Invalid signature method.");
        }
        if self
            .oauth
            .get("oauth_version")
            .is_some_and(|version| version != "1.0")
        {
            return malformed("Invalid OAuth version.");
        }
        if timestamp.chars().count() != 10 {
            return malformed("Invalid timestamp size");
        }
        let Some(time) = timestamp
            .parse()
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        else {
            return malformed("Timestamp must be an integer.");
        };
        if (now - time).abs() > TIME_TOLERANCE {
            return malformed(
                "Timestamp given is invalid, differ from allowed by over 600 seconds.",
            );
        }
        if !is_key(consumer) {
            return malformed("Invalid client key format.");
        }
        if !nonce.bytes().all(is_hex) {
            return malformed("Invalid nonce format.");
        }
        Ok(())
    }

    /// Checks the signature: section 3.4.
    pub(crate) fn check_signature(
        &self,
        consumer_secret: &Secret,
        token_secret: Option<&Secret>,
    ) -> Result<(), OAuthFault> {
        let (Some(given), Some(method)) = (
            self.get("oauth_signature"),
            self.get("oauth_signature_method")
                .and_then(SignatureMethod::named),
        ) else {
            return Err(OAuthFault::Mismatch);
        };
        // Keying the signature is what the secrets are for.
        let token_secret = token_secret.map_or("", Secret::expose);
        let key = Secret::new(format!(
            "{}&{}",
            utf8_percent_encode(consumer_secret.expose(), RESERVED),
            utf8_percent_encode(token_secret, RESERVED)
        ));
        let expected = method.sign(&key, &self.base_string())?;
        if expected.expose().as_bytes().ct_eq(given.as_bytes()).into() {
            Ok(())
        } else {
            Err(OAuthFault::Mismatch)
        }
    }

    /// What makes this request one of its own, so that it is good for one use: section 3.3.
    pub(crate) fn single_use_key(&self) -> String {
        ["consumer_key", "token", "timestamp", "nonce"]
            .map(|name| {
                self.oauth
                    .get(&format!("oauth_{name}"))
                    .map_or("", String::as_str)
            })
            .join(" ")
    }

    /// Section 3.4.1.
    fn base_string(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let mut pairs: Vec<_> = self
            .parameters
            .iter()
            .map(|(name, value)| (encoded(name), encoded(value)))
            .collect();
        pairs.sort();
        let normalized: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(
            "POST&{}&{}",
            encoded(&self.base_url),
            encoded(&normalized.join("&"))
        )
    }
}

/// How long a request can come again, from one end of the tolerated time to the other.
pub(crate) fn replay_window() -> TimeDelta {
    TIME_TOLERANCE * 2
}

/// Whether `text` looks like a key that was made up here.
pub(crate) fn is_key(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(is_hex)
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[derive(Debug, Clone, Copy)]
enum SignatureMethod {
    HmacSha1,
    HmacSha256,
    HmacSha512,
    Plaintext,
}

impl SignatureMethod {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "HMAC-SHA1" => Self::HmacSha1,
            "HMAC-SHA256" => Self::HmacSha256,
            "HMAC-SHA512" => Self::HmacSha512,
            "PLAINTEXT" => Self::Plaintext,
            _ => return None,
        })
    }

    fn sign(self, key: &Secret, text: &str) -> Result<Secret, OAuthFault> {
        // Keying the signature is what the key is for.
        let key = key.expose();
        Ok(Secret::new(match self {
            Self::HmacSha1 => STANDARD.encode(mac::<Hmac<Sha1>>(key, text)?),
            Self::HmacSha256 => STANDARD.encode(mac::<Hmac<Sha256>>(key, text)?),
            Self::HmacSha512 => STANDARD.encode(mac::<Hmac<Sha512>>(key, text)?),
            Self::Plaintext => key.to_owned(),
        }))
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &str, text: &str) -> Result<Vec<u8>, OAuthFault> {
    let mut mac = <M as Mac>::new_from_slice(key.as_bytes()).map_err(|_| OAuthFault::Mismatch)?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

/// Section 3.4.1.2: scheme, host and port as the client sees them, and the path.
fn base_url(url: &Url) -> Option<String> {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    Some(format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str()?,
        url.path()
    ))
}

/// The parameters in an `Authorization` header: section 3.5.1.
fn header_parameters(header: &str) -> Result<Vec<(String, String)>, OAuthFault> {
    let malformed = || OAuthFault::Malformed("the Authorization header is malformed");
    let scheme = header.get(..6).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("OAuth ") {
        return Err(malformed());
    }
    let mut parameters = Vec::new();
    for item in outside_quotes(&header[6..]) {
        let item = item.trim();
        if item.is_empty() {
            continue;
        }
        let (name, value) = item.split_once('=').ok_or_else(malformed)?;
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        let value = if name.starts_with("oauth_") {
            percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| malformed())?
                .into_owned()
        } else {
            value.to_owned()
        };
        parameters.push((name.to_owned(), value));
    }
    Ok(parameters)
}

/// The parts between the commas that are in no quotes.
fn outside_quotes(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 5849, section 1.2, for temporary credentials.
    fn rfc_example() -> OAuthRequest {
        OAuthRequest {
            url: "https://photos.example.net/initiate".to_owned(),
            authorization: Some(Secret::from(
                "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
                 oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131200\", \
                 oauth_nonce=\"wIjqoS\", \
                 oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\", \
                 oauth_signature=\"74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D\"",
            )),
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let signed = Signed::read(&rfc_example()).unwrap();
        let secret = Secret::from("kd94hf93k423kf44");
        assert_eq!(signed.check_signature(&secret, None), Ok(()));
        assert_eq!(signed.realm(), Some("Photos"));
        let other = Secret::from("another");
        assert_eq!(
            signed.check_signature(&other, None),
            Err(OAuthFault::Mismatch)
        );
        assert_eq!(
            signed.check_signature(&secret, Some(&other)),
            Err(OAuthFault::Mismatch)
        );
    }

    #[test]
    fn the_url_and_its_query_are_signed() {
        let secret = Secret::from("kd94hf93k423kf44");
        for url in [
            "https://photos.example.net/other",
            "https://photos.example.net/initiate?more=x",
            "http://photos.example.net/initiate",
            "https://photos.example.net:8443/initiate",
        ] {
            let request = OAuthRequest {
                url: url.to_owned(),
                ..rfc_example()
            };
            let signed = Signed::read(&request).unwrap();
            assert_eq!(
                signed.check_signature(&secret, None),
                Err(OAuthFault::Mismatch),
                "{url}"
            );
        }
    }

    fn signed(header: &str) -> Result<Signed, OAuthFault> {
        Signed::read(&OAuthRequest {
            url: "http://k/v3/OS-OAUTH1/request_token".to_owned(),
            authorization: Some(Secret::from(header)),
        })
    }

    #[test]
    fn malformed_headers_are_refused_and_nothing_panics() {
        for header in [
            "",
            "OAut",
            "Basic x",
            "öäüöäü",
            "OAuth nonsense",
            "OAuth oauth_token=\"%ff\"",
            "OAuth oauth_token=\"a\", oauth_token=\"b\"",
        ] {
            assert!(signed(header).is_err(), "{header}");
        }
        let quoted = signed("oauth oauth_token=\"a,b\",oauth_nonce=c,").unwrap();
        assert_eq!(quoted.token(), Some("a,b"));
        assert_eq!(quoted.get("oauth_nonce"), Some("c"));
    }

    #[test]
    fn parameters_of_the_protocol_come_from_the_header_alone() {
        let request = OAuthRequest {
            url: "http://k/x?oauth_token=a".to_owned(),
            authorization: Some(Secret::from("OAuth oauth_nonce=\"b\"")),
        };
        assert!(Signed::read(&request).is_err());
    }

    #[test]
    fn a_request_is_as_old_as_it_says_and_complete() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let check = |timestamp: &str, nonce: &str, method: &str| {
            signed(&format!(
                "OAuth oauth_consumer_key=\"{}\", oauth_signature=\"x\", \
                 oauth_nonce=\"{nonce}\", oauth_timestamp=\"{timestamp}\", \
                 oauth_signature_method=\"{method}\"",
                "a".repeat(32)
            ))
            .unwrap()
            .check_protocol(now)
        };
        assert_eq!(check("1700000000", "ab12", "HMAC-SHA1"), Ok(()));
        assert_eq!(check("1700000600", "ab12", "PLAINTEXT"), Ok(()));
        assert!(check("1700000601", "ab12", "HMAC-SHA1").is_err());
        assert!(check("1699999399", "ab12", "HMAC-SHA1").is_err());
        assert!(check("17000000", "ab12", "HMAC-SHA1").is_err());
        assert!(check("170000000x", "ab12", "HMAC-SHA1").is_err());
        assert!(check("1700000000", "AB", "HMAC-SHA1").is_err());
        assert!(check("1700000000", "", "HMAC-SHA1").is_err());
        assert!(check("1700000000", "ab12", "RSA-SHA1").is_err());
    }
}
