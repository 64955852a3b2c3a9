//! Signed S3 requests: the string that was signed comes whole, in base64.

use archstone_model::secret::Secret;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{InvalidSignature, Result, SignedMembers, hmac_sha1_base64, same, text, version_4};

const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Services whose requests may be signed for a token.
const SERVICES: [&str; 3] = ["s3", "iam", "sts"];

/// Checks the signature of the string in `token`.
pub(crate) fn verify_s3(request: &SignedMembers, secret: &Secret) -> Result<()> {
    let signature = text(request, "signature")?;
    let token = text(request, "token")?.replace('+', "-").replace('/', "_");
    let string = BASE64_URL
        .decode(token)
        .map_err(|_| InvalidSignature::Malformed("token"))?;
    let expected = if string.starts_with(b"AWS4") {
        sign_version_4(secret, &string)?
    } else {
        hmac_sha1_base64(secret, &string)?
    };
    if same(&expected, signature) {
        Ok(())
    } else {
        Err(InvalidSignature::Mismatch)
    }
}

fn sign_version_4(secret: &Secret, string: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(string).map_err(|_| InvalidSignature::Malformed("token"))?;
    let lines: Vec<&str> = text.split('\n').collect();
    let [version_4::ALGORITHM, _, scope, _] = lines[..] else {
        return Err(InvalidSignature::Malformed("token"));
    };
    let scope = version_4::KeyScope::read(scope)?;
    if !SERVICES.contains(&scope.service) {
        return Err(InvalidSignature::Malformed("service"));
    }
    version_4::sign(secret, &scope, string)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use serde_json::json;

    use super::*;

    fn verify(token: String, signature: &str, secret: &str) -> Result<()> {
        let request = json!({ "token": token, "signature": signature });
        verify_s3(request.as_object().unwrap(), &Secret::from(secret))
    }

    /// The example of the Amazon S3 developer guide, "Signing and authenticating REST requests".
    #[test]
    fn amazons_own_example_is_accepted_in_both_alphabets() {
        let string =
            "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg";
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let signature = "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=";
        for token in [URL_SAFE.encode(string), STANDARD.encode(string)] {
            assert_eq!(verify(token, signature, secret), Ok(()));
        }
        assert_eq!(
            verify(URL_SAFE.encode(string), signature, "another"),
            Err(InvalidSignature::Mismatch)
        );
    }

    #[test]
    fn a_string_for_another_service_is_refused() {
        let string = "AWS4-HMAC-SHA256\n20260101T000000Z\n20260101/r/ec2/aws4_request\nx";
        assert_eq!(
            verify(URL_SAFE.encode(string), "x", "secret"),
            Err(InvalidSignature::Malformed("service"))
        );
    }
}
