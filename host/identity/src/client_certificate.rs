//! A client's certificate, as a proxy that ended TLS hands it on: who it names, and its thumbprint.
//! That it is valid and that the client has its key, the proxy has checked.

use archstone_model::mapping::Assertion;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate,
    prelude::FromDer,
    x509::{AttributeTypeAndValue, X509Name},
};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// How long a line of PEM is.
const LINE: usize = 64;

/// A certificate that was read.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    attributes: Assertion,
    thumbprint: String,
}

/// Why a certificate cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableCertificate {
    #[error("the certificate is not in PEM or base64")]
    Encoding,
    #[error("the certificate is not X.509")]
    Structure,
    #[error("a name in the certificate has an attribute that is no plain text")]
    Name,
}

impl ClientCertificate {
    /// Reads what a header holds: PEM, with its line ends percent-encoded or replaced by spaces, or
    /// the bare base64 of a certificate.
    ///
    /// # Errors
    /// Where it is no single certificate, or one whose names Keystone's mappings cannot tell.
    pub fn read(text: &str) -> Result<Self, UnusableCertificate> {
        let der = decode(text)?;
        let (rest, certificate) =
            X509Certificate::from_der(&der).map_err(|_| UnusableCertificate::Structure)?;
        if !rest.is_empty() {
            return Err(UnusableCertificate::Structure);
        }
        let mut attributes = Vec::new();
        for (whose, name) in [
            ("SUBJECT", certificate.subject()),
            ("ISSUER", certificate.issuer()),
        ] {
            add_name(&mut attributes, whose, name)?;
        }
        Ok(Self {
            attributes: attributes.into_iter().collect(),
            thumbprint: thumbprint(&der),
        })
    }

    /// The attributes of its names, for mapping rules: `SSL_CLIENT_SUBJECT_DN_CN` and so on.
    pub(crate) fn attributes(&self) -> &Assertion {
        &self.attributes
    }

    /// What services compare with the certificate of who shows them the token.
    pub(crate) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

/// RFC 8705 takes the digest of the certificate's DER. Keystone and its middleware take that of the
/// PEM, and services look for that.
fn thumbprint(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(END);
    pem.push('\n');
    URL_SAFE.encode(Sha256::digest(pem))
}

fn decode(text: &str) -> Result<Vec<u8>, UnusableCertificate> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| UnusableCertificate::Encoding)?;
    let text = text.trim();
    let base64 = match text.strip_prefix(BEGIN) {
        Some(rest) => rest
            .strip_suffix(END)
            .ok_or(UnusableCertificate::Encoding)?,
        None => text,
    };
    let base64: String = base64.split_ascii_whitespace().collect();
    STANDARD
        .decode(base64)
        .map_err(|_| UnusableCertificate::Encoding)
}

fn add_name(
    attributes: &mut Vec<(String, String)>,
    whose: &str,
    name: &X509Name<'_>,
) -> Result<(), UnusableCertificate> {
    for attribute in name.iter_attributes() {
        let value = attribute.as_str().map_err(|_| UnusableCertificate::Name)?;
        // Keystone takes an attribute apart at its only `=`.
        if value.contains('=') {
            return Err(UnusableCertificate::Name);
        }
        let name = format!("SSL_CLIENT_{whose}_DN_{}", short_name(attribute));
        attributes.push((name, escaped(value)));
    }
    Ok(())
}

/// The name of an attribute in RFC 4514, or its dotted number.
fn short_name(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let name = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "EMAILADDRESS",
        _ => return oid,
    };
    name.to_owned()
}

/// A value as RFC 4514, section 2.4, writes it.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut written = String::new();
    for (place, c) in value.chars().enumerate() {
        match c {
            '\0' => {
                written.push_str("\\00");
                continue;
            }
            '\\' | '"' | '+' | ',' | ';' | '<' | '>' => written.push('\\'),
            '#' if place == 0 => written.push('\\'),
            ' ' if (place == 0 && last > 0) || place == last => written.push('\\'),
            _ => {}
        }
        written.push(c);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `CN=ada, lovelace` of `O=Analytical + Engines`, with a mail address, signed by itself.
    const PEM: &str = include_str!("client_certificate.pem");

    #[test]
    fn each_form_that_a_proxy_sends_is_the_same_certificate() {
        let spaced = PEM.trim().replace('\n', " ");
        let encoded = PEM
            .replace('\n', "%0A")
            .replace('+', "%2B")
            .replace(' ', "%20");
        let bare = PEM.replace(BEGIN, "").replace(END, "").replace('\n', "");
        let thumbprint = URL_SAFE.encode(Sha256::digest(PEM));
        for form in [PEM, &spaced, &encoded, &bare] {
            let certificate = ClientCertificate::read(form).unwrap();
            assert_eq!(certificate.thumbprint(), thumbprint, "{form}");
        }
    }

    #[test]
    fn names_are_told_as_keystone_tells_them() {
        let certificate = ClientCertificate::read(PEM).unwrap();
        let attribute = |name| certificate.attributes().get(name);
        assert_eq!(
            attribute("SSL_CLIENT_SUBJECT_DN_CN"),
            Some(r"ada\, lovelace")
        );
        assert_eq!(
            attribute("SSL_CLIENT_ISSUER_DN_O"),
            Some(r"Analytical \+ Engines")
        );
        assert_eq!(
            attribute("SSL_CLIENT_SUBJECT_DN_EMAILADDRESS"),
            Some("ada@example.org")
        );
        assert_eq!(attribute("SSL_CLIENT_SUBJECT_DN_OU"), None);
    }

    #[test]
    fn what_is_no_single_certificate_is_refused() {
        let twice = format!("{PEM}{PEM}");
        let truncated = &PEM[..PEM.len() / 2];
        for (text, problem) in [
            ("", UnusableCertificate::Structure),
            ("ada", UnusableCertificate::Encoding),
            ("AAAA", UnusableCertificate::Structure),
            (truncated, UnusableCertificate::Encoding),
            (&twice, UnusableCertificate::Encoding),
            ("%ff", UnusableCertificate::Encoding),
        ] {
            assert_eq!(
                ClientCertificate::read(text).unwrap_err(),
                problem,
                "{text}"
            );
        }
    }

    #[test]
    fn values_are_written_as_the_rfc_says() {
        for (value, written) in [
            (" a ", r"\ a\ "),
            (" ", r"\ "),
            ("#a", r"\#a"),
            ("a#b c", "a#b c"),
            (r#"a"b\c"#, r#"a\"b\\c"#),
            ("a;b<c>d", r"a\;b\<c\>d"),
            ("", ""),
        ] {
            assert_eq!(escaped(value), written);
        }
    }
}
