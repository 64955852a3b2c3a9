//! Writing XML: the namespaces, and documents of which every character is one that XML has.

use std::io;

use quick_xml::events::BytesText;

use crate::{Error, Result};

pub(super) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(super) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(super) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(super) const ECP: &str = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp";
pub(super) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(super) const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(super) const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
pub(super) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

pub(super) type Writer = quick_xml::Writer<Vec<u8>>;

/// The document that `write` writes.
///
/// # Errors
/// `Invalid` where a text holds a character that XML has no way to write.
pub(super) fn document(write: impl FnOnce(&mut Writer) -> io::Result<()>) -> Result<String> {
    let mut writer = Writer::new(Vec::new());
    write(&mut writer).map_err(Error::internal)?;
    let document = String::from_utf8(writer.into_inner()).map_err(Error::internal)?;
    if document.chars().all(is_in_xml) {
        Ok(document)
    } else {
        Err(Error::invalid(
            "A name holds a control character, which a SAML document cannot carry.",
        ))
    }
}

/// An element with nothing but text in it.
pub(super) fn text(writer: &mut Writer, name: &str, text: &str) -> io::Result<()> {
    writer
        .create_element(name)
        .write_text_content(BytesText::new(text))
        .map(drop)
}

/// Who says what follows (SAML core, section 2.2.5).
pub(super) fn issuer(writer: &mut Writer, issuer: &str) -> io::Result<()> {
    writer
        .create_element("saml:Issuer")
        .with_attribute(("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"))
        .write_text_content(BytesText::new(issuer))
        .map(drop)
}

/// XML 1.0, section 2.2.
fn is_in_xml(character: char) -> bool {
    matches!(
        character,
        '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_stays_text() -> Result<()> {
        let document = document(|writer| text(writer, "name", "</name>&\"\r\u{e9}"))?;
        assert_eq!(document, "<name>&lt;/name&gt;&amp;&quot;&#13;\u{e9}</name>");
        Ok(())
    }

    #[test]
    fn what_xml_cannot_say_is_refused() {
        for name in ["\0", "a\u{1b}b", "\u{fffe}"] {
            let refused = document(|writer| text(writer, "name", name));
            assert!(matches!(refused, Err(Error::Invalid(_))), "{name:?}");
        }
    }
}
