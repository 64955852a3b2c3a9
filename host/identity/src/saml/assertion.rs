//! The assertion before it is signed (SAML core, section 2.3.3), with the place for the signature
//! (section 5.4).

use std::io;

use archstone_model::time::{iso, iso_seconds};
use chrono::{DateTime, SubsecRound, Utc};
use quick_xml::events::BytesText;

use super::xml::{self, Writer};
use crate::Result;

const EXCLUSIVE_CANONICAL: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Python Keystone signs with SHA-1, which libraries have begun to refuse.
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// What is said of a user, by whom, to whom, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub id: String,
    /// Names the login to the service provider.
    pub session: String,
    pub issuer: String,
    /// The URL that the assertion is for.
    pub recipient: String,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub user: String,
    pub user_domain: String,
    pub roles: Vec<String>,
    pub project: String,
    pub project_domain: String,
    pub groups: Vec<String>,
}

impl Statement {
    /// The assertion, for the signer to fill in.
    ///
    /// # Errors
    /// `Invalid` where a name cannot be written in XML.
    pub(super) fn unsigned(&self) -> Result<String> {
        xml::document(|writer| self.assertion(writer))
    }

    fn assertion(&self, writer: &mut Writer) -> io::Result<()> {
        writer
            .create_element("saml:Assertion")
            .with_attributes([
                ("xmlns:saml", xml::ASSERTION),
                ("xmlns:xmldsig", xml::SIGNATURE),
                ("xmlns:xs", xml::SCHEMA),
                ("xmlns:xsi", xml::INSTANCE),
                ("Version", "2.0"),
                ("ID", &self.id),
                ("IssueInstant", &iso_seconds(self.issued_at)),
            ])
            .write_inner_content(|writer| {
                xml::issuer(writer, &self.issuer)?;
                self.signature(writer)?;
                self.subject(writer)?;
                self.login(writer)?;
                self.attributes(writer)
            })
            .map(drop)
    }

    fn signature(&self, writer: &mut Writer) -> io::Result<()> {
        writer
            .create_element("xmldsig:Signature")
            .write_inner_content(|writer| {
                writer
                    .create_element("xmldsig:SignedInfo")
                    .write_inner_content(|writer| {
                        algorithm(writer, "CanonicalizationMethod", EXCLUSIVE_CANONICAL)?;
                        algorithm(writer, "SignatureMethod", RSA_SHA256)?;
                        self.reference(writer)
                    })?;
                writer
                    .create_element("xmldsig:SignatureValue")
                    .write_empty()?;
                writer
                    .create_element("xmldsig:KeyInfo")
                    .write_inner_content(|writer| {
                        writer
                            .create_element("xmldsig:X509Data")
                            .write_empty()
                            .map(drop)
                    })
                    .map(drop)
            })
            .map(drop)
    }

    /// The signature is over the whole assertion.
    fn reference(&self, writer: &mut Writer) -> io::Result<()> {
        let uri = format!("#{}", self.id);
        writer
            .create_element("xmldsig:Reference")
            .with_attribute(("URI", &*uri))
            .write_inner_content(|writer| {
                writer
                    .create_element("xmldsig:Transforms")
                    .write_inner_content(|writer| {
                        algorithm(writer, "Transform", ENVELOPED)?;
                        algorithm(writer, "Transform", EXCLUSIVE_CANONICAL)
                    })?;
                algorithm(writer, "DigestMethod", SHA256)?;
                writer
                    .create_element("xmldsig:DigestValue")
                    .write_empty()
                    .map(drop)
            })
            .map(drop)
    }

    fn subject(&self, writer: &mut Writer) -> io::Result<()> {
        writer
            .create_element("saml:Subject")
            .write_inner_content(|writer| {
                xml::text(writer, "saml:NameID", &self.user)?;
                writer
                    .create_element("saml:SubjectConfirmation")
                    .with_attribute(("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer"))
                    .write_inner_content(|writer| {
                        writer
                            .create_element("saml:SubjectConfirmationData")
                            .with_attribute(("NotOnOrAfter", &*self.end()))
                            .with_attribute(("Recipient", &*self.recipient))
                            .write_empty()
                            .map(drop)
                    })
                    .map(drop)
            })
            .map(drop)
    }

    fn login(&self, writer: &mut Writer) -> io::Result<()> {
        writer
            .create_element("saml:AuthnStatement")
            .with_attribute(("AuthnInstant", &*iso_seconds(self.issued_at)))
            .with_attribute(("SessionIndex", &*self.session))
            .with_attribute(("SessionNotOnOrAfter", &*self.end()))
            .write_inner_content(|writer| {
                writer
                    .create_element("saml:AuthnContext")
                    .write_inner_content(|writer| {
                        xml::text(
                            writer,
                            "saml:AuthnContextClassRef",
                            "urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
                        )?;
                        xml::text(writer, "saml:AuthenticatingAuthority", &self.issuer)
                    })
                    .map(drop)
            })
            .map(drop)
    }

    fn attributes(&self, writer: &mut Writer) -> io::Result<()> {
        writer
            .create_element("saml:AttributeStatement")
            .write_inner_content(|writer| {
                attribute(writer, "openstack_user", [&self.user])?;
                attribute(writer, "openstack_roles", &self.roles)?;
                attribute(writer, "openstack_project", [&self.project])?;
                attribute(writer, "openstack_project_domain", [&self.project_domain])?;
                attribute(writer, "openstack_user_domain", [&self.user_domain])?;
                if self.groups.is_empty() {
                    return Ok(());
                }
                attribute(writer, "openstack_groups", &self.groups)
            })
            .map(drop)
    }

    /// In whole seconds, written as a time with a fraction.
    fn end(&self) -> String {
        iso(self.expires_at.trunc_subsecs(0))
    }
}

fn algorithm(writer: &mut Writer, element: &str, algorithm: &str) -> io::Result<()> {
    writer
        .create_element(format!("xmldsig:{element}"))
        .with_attribute(("Algorithm", algorithm))
        .write_empty()
        .map(drop)
}

fn attribute<'a>(
    writer: &mut Writer,
    name: &str,
    values: impl IntoIterator<Item = &'a String>,
) -> io::Result<()> {
    writer
        .create_element("saml:Attribute")
        .with_attribute(("Name", name))
        .with_attribute((
            "NameFormat",
            "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
        ))
        .write_inner_content(|writer| {
            values.into_iter().try_for_each(|value| {
                writer
                    .create_element("saml:AttributeValue")
                    .with_attribute(("xsi:type", "xs:string"))
                    .write_text_content(BytesText::new(value))
                    .map(drop)
            })
        })
        .map(drop)
}
