//! Signed EC2 requests: their verb, host, path, parameters and headers come apart, and the string
//! that was signed is put together again.

use std::{borrow::Cow, collections::BTreeMap};

use archstone_model::secret::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    InvalidSignature, Result, SignedMembers, hmac_sha1_base64, hmac_sha256, object, same, text,
    version_4::{self, KeyScope},
};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Parameters in the order of their names, as texts.
type Parameters<'a> = BTreeMap<&'a str, Cow<'a, str>>;

/// Checks the signature, and gives the time that the client says it signed at, where it says one.
pub(crate) fn verify_ec2<'a>(
    request: &'a SignedMembers,
    secret: &Secret,
) -> Result<Option<&'a str>> {
    let signature = text(request, "signature")?;
    let params = object(request, "params")?;
    let texts = parameters(params)?;
    if is_version_4(request, params) {
        let signed = Version4::read(request, params)?;
        let expected = signed.signature(request, &texts, secret)?;
        return if same(&expected, signature) {
            Ok(Some(signed.date))
        } else {
            Err(InvalidSignature::Mismatch)
        };
    }
    let host = text(request, "host")?;
    let expected = match params.get("SignatureVersion").and_then(Value::as_str) {
        Some("0") => version_0(params, secret)?,
        Some("1") => version_1(&texts, secret)?,
        Some("2") => {
            let expected = version_2(request, host, &texts, secret)?;
            if host.contains(':') && !same(&expected, signature) {
                // Some clients leave the port out of what they sign.
                version_2(request, &without_port(host), &texts, secret)?
            } else {
                expected
            }
        }
        _ => return Err(InvalidSignature::UnknownVersion),
    };
    if same(&expected, signature) {
        Ok(date_of_old_versions(request, params))
    } else {
        Err(InvalidSignature::Mismatch)
    }
}

fn is_version_4(request: &SignedMembers, params: &SignedMembers) -> bool {
    let version = params.get("SignatureVersion").and_then(Value::as_str);
    if matches!(version, Some("0" | "1" | "2")) {
        return false;
    }
    let header = request
        .get("headers")
        .and_then(|headers| headers.get("Authorization"));
    match header {
        Some(header) => header
            .as_str()
            .is_some_and(|header| header.starts_with(version_4::ALGORITHM)),
        None => params.get("X-Amz-Algorithm").and_then(Value::as_str) == Some(version_4::ALGORITHM),
    }
}

fn date_of_old_versions<'a>(
    request: &'a SignedMembers,
    params: &'a SignedMembers,
) -> Option<&'a str> {
    let header = request
        .get("headers")
        .and_then(|headers| headers.get("X-Amz-Date"));
    [params.get("Timestamp"), header, params.get("X-Amz-Date")]
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|date| !date.is_empty())
}

fn version_0(params: &SignedMembers, secret: &Secret) -> Result<String> {
    let string = [text(params, "Action")?, text(params, "Timestamp")?].concat();
    hmac_sha1_base64(secret, string.as_bytes())
}

fn version_1(params: &Parameters<'_>, secret: &Secret) -> Result<String> {
    let mut params: Vec<_> = params.iter().collect();
    params.sort_by_key(|(name, _)| name.to_lowercase());
    let string: String = params
        .into_iter()
        .flat_map(|(name, value)| [*name, value.as_ref()])
        .collect();
    hmac_sha1_base64(secret, string.as_bytes())
}

fn version_2(
    request: &SignedMembers,
    host: &str,
    params: &Parameters<'_>,
    secret: &Secret,
) -> Result<String> {
    let mut params = params.clone();
    params.insert("SignatureMethod", "HmacSHA256".into());
    let string = format!(
        "{}\n{host}\n{}\n{}",
        text(request, "verb")?,
        text(request, "path")?,
        canonical_query(&params)
    );
    // Keying the signature is what the secret is for.
    let mac = hmac_sha256(secret.expose().as_bytes(), string.as_bytes())?;
    Ok(STANDARD.encode(mac))
}

/// What version 4 says in the `Authorization` header or in `X-Amz-` parameters.
struct Version4<'a> {
    headers: &'a SignedMembers,
    signed_headers: &'a str,
    /// `day/region/service/aws4_request`
    scope: &'a str,
    date: &'a str,
}

impl<'a> Version4<'a> {
    fn read(request: &'a SignedMembers, params: &'a SignedMembers) -> Result<Self> {
        let headers = object(request, "headers")?;
        let said = |in_header: &'static str, in_query: &'static str| match headers
            .get("Authorization")
            .and_then(Value::as_str)
        {
            Some(header) => header
                .split_once(in_header)
                .map(|(_, rest)| rest.split(',').next().unwrap_or(rest))
                .ok_or(InvalidSignature::Malformed("Authorization")),
            None => text(params, in_query),
        };
        let (_access, scope) = said("Credential=", "X-Amz-Credential")?
            .split_once('/')
            .ok_or(InvalidSignature::Malformed("Credential"))?;
        let date = match headers.get("X-Amz-Date") {
            Some(_) => text(headers, "X-Amz-Date")?,
            None => text(params, "X-Amz-Date")?,
        };
        Ok(Self {
            headers,
            signed_headers: said("SignedHeaders=", "X-Amz-SignedHeaders")?,
            scope,
            date,
        })
    }

    fn signature(
        &self,
        request: &SignedMembers,
        params: &Parameters<'_>,
        secret: &Secret,
    ) -> Result<String> {
        let scope = KeyScope::read(self.scope)?;
        if !self.date.starts_with(scope.day) {
            return Err(InvalidSignature::AnotherDate);
        }
        let verb = text(request, "verb")?.to_uppercase();
        // A POST carries its parameters in the body, whose hash is signed.
        let query = if verb == "POST" {
            String::new()
        } else {
            canonical_query(params)
        };
        let canonical = [
            verb.as_str(),
            text(request, "path")?,
            &query,
            &self.canonical_headers()?,
            self.signed_headers,
            text(request, "body_hash")?,
        ]
        .join("\n");
        let string = version_4::string_to_sign(self.date, self.scope, &canonical);
        version_4::sign(secret, &scope, string.as_bytes())
    }

    fn canonical_headers(&self) -> Result<String> {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| {
                let value = value
                    .as_str()
                    .ok_or(InvalidSignature::Malformed("headers"))?;
                Ok((name.trim().to_lowercase(), value.trim()))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        let without_port = headers
            .get("user-agent")
            .is_some_and(|agent| signs_without_port(agent));
        let lines: Vec<String> = self
            .signed_headers
            .split(';')
            .filter_map(|name| {
                let value = *headers.get(name)?;
                let value = if name == "host" && without_port {
                    value.split(':').next().unwrap_or(value)
                } else {
                    value
                };
                Some(format!("{name}:{value}"))
            })
            .collect();
        Ok(lines.join("\n") + "\n")
    }
}

/// Boto before 2.9.3 leaves the port out of the host that it signs.
fn signs_without_port(user_agent: &str) -> bool {
    let Some(version) = user_agent.strip_prefix("Boto/2.") else {
        return false;
    };
    matches!(version.as_bytes(), [b'0'..=b'9', b'.', b'0'..=b'2', ..])
}

fn without_port(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or(host).to_lowercase()
}

fn canonical_query(params: &Parameters<'_>) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| {
            format!(
                "{}={}",
                utf8_percent_encode(name, RESERVED),
                utf8_percent_encode(value, RESERVED)
            )
        })
        .collect();
    pairs.join("&")
}

/// The parameters as Python writes them, for that is what the clients sign.
fn parameters(params: &SignedMembers) -> Result<Parameters<'_>> {
    params
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => Cow::from(text),
                Value::Null => "None".into(),
                Value::Bool(true) => "True".into(),
                Value::Bool(false) => "False".into(),
                Value::Number(number) => number.to_string().into(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(InvalidSignature::Malformed("params"));
                }
            };
            Ok((name.as_str(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of the AWS General Reference, "Signature version 2 signing process".
    fn amazons_example() -> Value {
        json!({
            "host": "elasticmapreduce.amazonaws.com",
            "verb": "GET",
            "path": "/",
            "params": {
                "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
                "Action": "DescribeJobFlows",
                "SignatureMethod": "HmacSHA256",
                "SignatureVersion": "2",
                "Timestamp": "2011-10-03T15:19:30",
                "Version": "2009-03-31",
            },
            "signature": "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
        })
    }

    fn verify(request: &Value, secret: &str) -> Result<Option<String>> {
        verify_ec2(request.as_object().unwrap(), &Secret::from(secret))
            .map(|date| date.map(str::to_owned))
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    #[test]
    fn amazons_own_example_of_version_2_is_accepted() {
        assert_eq!(
            verify(&amazons_example(), SECRET),
            Ok(Some("2011-10-03T15:19:30".to_owned()))
        );
    }

    #[test]
    fn nothing_that_was_signed_can_be_changed() {
        for (name, value) in [
            ("host", json!("other.example")),
            ("verb", json!("POST")),
            ("path", json!("/x")),
            ("signature", json!("")),
        ] {
            let mut request = amazons_example();
            request[name] = value;
            assert_eq!(
                verify(&request, SECRET),
                Err(InvalidSignature::Mismatch),
                "{name}"
            );
        }
        let mut request = amazons_example();
        request["params"]["Timestamp"] = json!("2099-10-03T15:19:30");
        assert_eq!(verify(&request, SECRET), Err(InvalidSignature::Mismatch));
    }

    /// `get-vanilla` of the AWS Signature Version 4 test suite.
    #[test]
    fn amazons_own_example_of_version_4_is_accepted() {
        let request = json!({
            "host": "example.amazonaws.com",
            "verb": "GET",
            "path": "/",
            "params": {},
            "headers": {
                "Host": "example.amazonaws.com",
                "X-Amz-Date": "20150830T123600Z",
                "Authorization": "AWS4-HMAC-SHA256 \
                    Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                    SignedHeaders=host;x-amz-date, Signature=unused",
            },
            "body_hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "signature": "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        });
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(
            verify(&request, secret),
            Ok(Some("20150830T123600Z".to_owned()))
        );
    }

    /// Parameters of a POST are not signed, so its time must be taken from what is.
    #[test]
    fn an_old_version_4_request_does_not_get_younger_by_a_parameter() {
        let mut request = json!({
            "verb": "GET",
            "path": "/",
            "params": { "Timestamp": "2099-01-01T00:00:00Z" },
            "headers": {
                "X-Amz-Date": "20150830T123600Z",
                "Authorization": "AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request,SignedHeaders=",
            },
            "body_hash": "",
            "signature": "",
        });
        request["verb"] = json!("POST");
        let members = request.as_object().unwrap();
        let signed = Version4::read(members, object(members, "params").unwrap()).unwrap();
        assert_eq!(signed.date, "20150830T123600Z");
    }

    #[test]
    fn what_is_missing_is_refused_and_nothing_panics() {
        let whole = amazons_example();
        for name in ["host", "verb", "path", "params", "signature"] {
            let mut request = whole.clone();
            request.as_object_mut().unwrap().remove(name);
            assert_eq!(
                verify(&request, SECRET),
                Err(InvalidSignature::Malformed(name))
            );
        }
        let empty = json!({ "signature": "x", "params": {}, "host": "h" });
        assert_eq!(
            verify(&empty, SECRET),
            Err(InvalidSignature::UnknownVersion)
        );
    }

    #[test]
    fn only_old_boto_signs_without_the_port() {
        assert!(signs_without_port("Boto/2.9.2 (linux2)"));
        assert!(!signs_without_port("Boto/2.9.3"));
        assert!(!signs_without_port("Boto/2.10.0"));
        assert_eq!(without_port("Objects.Example:8080"), "objects.example");
        assert_eq!(without_port("[::1]:8080"), "::1");
    }
}
