//! What service providers must know of this cloud to believe it (SAML metadata, section 2).

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use quick_xml::events::BytesText;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{
    SamlContact, SamlOptions,
    xml::{self, Writer},
};
use crate::{Error, Result};

pub(super) fn document(options: &SamlOptions) -> Result<String> {
    let entity_id = required(options.entity_id.as_deref(), "idp_entity_id")?;
    let sso_endpoint = required(options.sso_endpoint.as_deref(), "idp_sso_endpoint")?;
    let certificate = CertificateDer::from_pem_file(&options.certificate).map_err(|error| {
        let path = options.certificate.display();
        Error::invalid(format!("cannot read a certificate from {path}: {error}"))
    })?;
    let certificate = STANDARD.encode(certificate);
    xml::document(|writer| {
        writer
            .create_element("md:EntityDescriptor")
            .with_attributes([
                ("xmlns:md", xml::METADATA),
                ("xmlns:xmldsig", xml::SIGNATURE),
                ("entityID", entity_id),
            ])
            .write_inner_content(|writer| {
                writer
                    .create_element("md:IDPSSODescriptor")
                    .with_attribute(("protocolSupportEnumeration", xml::PROTOCOL))
                    .write_inner_content(|writer| {
                        key(writer, &certificate)?;
                        organization(writer, options)?;
                        contact(writer, &options.contact)?;
                        xml::text(
                            writer,
                            "md:NameIDFormat",
                            "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
                        )?;
                        writer
                            .create_element("md:SingleSignOnService")
                            .with_attribute(("Binding", "urn:oasis:names:tc:SAML:2.0:bindings:URI"))
                            .with_attribute(("Location", sso_endpoint))
                            .write_empty()
                            .map(drop)
                    })
                    .map(drop)
            })
            .map(drop)
    })
}

fn required<'a>(value: Option<&'a str>, option: &str) -> Result<&'a str> {
    value.ok_or_else(|| Error::invalid(format!("[saml] {option} is not set")))
}

fn key(writer: &mut Writer, certificate: &str) -> io::Result<()> {
    writer
        .create_element("md:KeyDescriptor")
        .with_attribute(("use", "signing"))
        .write_inner_content(|writer| {
            writer
                .create_element("xmldsig:KeyInfo")
                .write_inner_content(|writer| {
                    writer
                        .create_element("xmldsig:X509Data")
                        .write_inner_content(|writer| {
                            xml::text(writer, "xmldsig:X509Certificate", certificate)
                        })
                        .map(drop)
                })
                .map(drop)
        })
        .map(drop)
}

fn organization(writer: &mut Writer, options: &SamlOptions) -> io::Result<()> {
    let organization = &options.organization;
    writer
        .create_element("md:Organization")
        .write_inner_content(|writer| {
            [
                ("md:OrganizationName", &organization.name),
                ("md:OrganizationDisplayName", &organization.display_name),
                ("md:OrganizationURL", &organization.url),
            ]
            .into_iter()
            .try_for_each(|(element, text)| {
                writer
                    .create_element(element)
                    .with_attribute(("xml:lang", &*options.language))
                    .write_text_content(BytesText::new(text))
                    .map(drop)
            })
        })
        .map(drop)
}

fn contact(writer: &mut Writer, contact: &SamlContact) -> io::Result<()> {
    writer
        .create_element("md:ContactPerson")
        .with_attribute(("contactType", &*contact.kind))
        .write_inner_content(|writer| {
            xml::text(writer, "md:Company", &contact.company)?;
            xml::text(writer, "md:GivenName", &contact.given_name)?;
            xml::text(writer, "md:SurName", &contact.surname)?;
            xml::text(writer, "md:EmailAddress", &contact.email)?;
            xml::text(writer, "md:TelephoneNumber", &contact.telephone)
        })
        .map(drop)
}
