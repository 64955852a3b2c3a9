//! What a signed assertion travels in: a response (SAML core, section 3.3.3), and the envelope that
//! an enhanced client posts (SAML profiles, section 4.2.4.4).

use std::io;

use archstone_model::time::iso_seconds;
use chrono::{DateTime, Utc};
use quick_xml::events::BytesText;

use super::{
    assertion::Statement,
    signing::SignedAssertion,
    xml::{self, Writer},
    xml_id,
};
use crate::Result;

/// A response that says that somebody logged in.
pub(super) struct Response {
    id: String,
    issuer: String,
    recipient: String,
    issued_at: DateTime<Utc>,
    assertion: SignedAssertion,
}

impl Response {
    pub(super) fn new(statement: &Statement, assertion: SignedAssertion) -> Self {
        Self {
            id: xml_id(),
            issuer: statement.issuer.clone(),
            recipient: statement.recipient.clone(),
            issued_at: statement.issued_at,
            assertion,
        }
    }

    /// The response as a document.
    pub(super) fn document(&self) -> Result<String> {
        xml::document(|writer| self.write(writer))
    }

    /// The response in an envelope.
    pub(super) fn envelope(&self, relay_state: &str) -> Result<String> {
        xml::document(|writer| {
            writer
                .create_element("soap:Envelope")
                .with_attribute(("xmlns:soap", xml::SOAP))
                .write_inner_content(|writer| {
                    writer
                        .create_element("soap:Header")
                        .write_inner_content(|writer| header(writer, relay_state))?;
                    writer
                        .create_element("soap:Body")
                        .write_inner_content(|writer| self.write(writer))
                        .map(drop)
                })
                .map(drop)
        })
    }

    fn write(&self, writer: &mut Writer) -> io::Result<()> {
        writer
            .create_element("samlp:Response")
            .with_attributes([
                ("xmlns:samlp", xml::PROTOCOL),
                ("xmlns:saml", xml::ASSERTION),
                ("ID", &self.id),
                ("Version", "2.0"),
                ("IssueInstant", &iso_seconds(self.issued_at)),
                ("Destination", &self.recipient),
            ])
            .write_inner_content(|writer| {
                xml::issuer(writer, &self.issuer)?;
                writer
                    .create_element("samlp:Status")
                    .write_inner_content(|writer| {
                        writer
                            .create_element("samlp:StatusCode")
                            .with_attribute(("Value", "urn:oasis:names:tc:SAML:2.0:status:Success"))
                            .write_empty()
                            .map(drop)
                    })?;
                self.assertion.write(writer)
            })
            .map(drop)
    }
}

/// What tells the service provider where the client was going.
fn header(writer: &mut Writer, relay_state: &str) -> io::Result<()> {
    writer
        .create_element("ecp:RelayState")
        .with_attribute(("xmlns:ecp", xml::ECP))
        .with_attribute(("soap:mustUnderstand", "1"))
        .with_attribute(("soap:actor", "http://schemas.xmlsoap.org/soap/actor/next"))
        .write_text_content(BytesText::new(relay_state))
        .map(drop)
}
