//! `[saml]`: this cloud as an identity provider.

use std::path::PathBuf;

use archstone_identity::{SamlContact, SamlOptions, SamlOrganization};
use url::Url;

use super::{Result, source::Source};

const SECTION: &str = "saml";

pub(super) fn options(source: &Source) -> Result<SamlOptions> {
    let defaults = SamlOptions::default();
    Ok(SamlOptions {
        assertion_lifetime: source.seconds(
            SECTION,
            "assertion_expiration_time",
            defaults.assertion_lifetime,
        )?,
        xmlsec1: source
            .path(SECTION, "xmlsec1_binary")?
            .unwrap_or(defaults.xmlsec1),
        certificate: file(source, "certfile")?.unwrap_or(defaults.certificate),
        key: file(source, "keyfile")?.unwrap_or(defaults.key),
        entity_id: uri(source, "idp_entity_id")?,
        sso_endpoint: uri(source, "idp_sso_endpoint")?,
        language: text(source, "idp_lang", defaults.language)?,
        organization: organization(source, defaults.organization)?,
        contact: contact(source, defaults.contact)?,
    })
}

fn organization(source: &Source, defaults: SamlOrganization) -> Result<SamlOrganization> {
    Ok(SamlOrganization {
        name: text(source, "idp_organization_name", defaults.name)?,
        display_name: text(
            source,
            "idp_organization_display_name",
            defaults.display_name,
        )?,
        url: uri(source, "idp_organization_url")?.unwrap_or(defaults.url),
    })
}

fn contact(source: &Source, defaults: SamlContact) -> Result<SamlContact> {
    let kinds = ["technical", "support", "administrative", "billing", "other"];
    Ok(SamlContact {
        company: text(source, "idp_contact_company", defaults.company)?,
        given_name: text(source, "idp_contact_name", defaults.given_name)?,
        surname: text(source, "idp_contact_surname", defaults.surname)?,
        email: text(source, "idp_contact_email", defaults.email)?,
        telephone: text(source, "idp_contact_telephone", defaults.telephone)?,
        kind: source
            .choice(
                SECTION,
                "idp_contact_type",
                &kinds.map(|kind| (kind, kind)),
                "other",
            )?
            .to_owned(),
    })
}

fn text(source: &Source, option: &str, default: String) -> Result<String> {
    Ok(source.text(SECTION, option)?.unwrap_or(default))
}

/// `xmlsec1` is given both files in one argument.
fn file(source: &Source, option: &str) -> Result<Option<PathBuf>> {
    source.read_as(SECTION, option, |path| {
        if path.contains(',') {
            Err("the path must not contain a comma")
        } else {
            Ok(path.into())
        }
    })
}

/// A URI as it was written, which is how others compare it.
fn uri(source: &Source, option: &str) -> Result<Option<String>> {
    /// SAML core, section 8.3.6.
    const LONGEST: usize = 1024;
    source.read_as(SECTION, option, |text| match Url::parse(text) {
        Ok(_) if text.len() <= LONGEST => Ok(text.to_owned()),
        Ok(_) => Err(format!("it is longer than {LONGEST} characters")),
        Err(error) => Err(format!("{text:?} is not a URI: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, error};

    #[test]
    fn without_options_it_is_as_keystone_has_it() {
        let saml = config("").unwrap().identity.saml;
        assert_eq!(saml.assertion_lifetime.num_seconds(), 3600);
        assert_eq!(saml.xmlsec1.to_str(), Some("xmlsec1"));
        assert_eq!(saml.entity_id, None);
    }

    #[test]
    fn what_no_assertion_can_be_made_with_stops_the_start() {
        for (line, expected) in [
            (
                "certfile = /a,b",
                "certfile: the path must not contain a comma",
            ),
            (
                "keyfile = /a,b",
                "keyfile: the path must not contain a comma",
            ),
            ("idp_entity_id = us", "idp_entity_id: \"us\" is not a URI"),
            (
                "idp_contact_type = boss",
                "idp_contact_type: \"boss\" is not one of",
            ),
            (
                "assertion_expiration_time = -1",
                "assertion_expiration_time: -1 is not within",
            ),
        ] {
            let error = error(&format!("[saml]\n{line}\n"));
            assert!(
                error.starts_with(&format!(":2: [saml] {expected}")),
                "{error}"
            );
        }
        let long = format!("[saml]\nidp_entity_id = urn:{}\n", "x".repeat(1024));
        assert!(error(&long).contains("longer than 1024"));
    }
}
