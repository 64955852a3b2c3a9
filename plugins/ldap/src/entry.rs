//! What a directory says of somebody, read as users and groups are.

use ldap3_proto::proto::{LdapPartialAttribute, LdapSearchResultEntry};
use serde_json::{Map, Value};

use crate::{config::Tree, dn};

const LONGEST: usize = 255;

/// A user or a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub dn: String,
    pub id: String,
    pub name: String,
    pub enabled: bool,
    pub extra: Map<String, Value>,
    /// The values of a group's attribute for members, where they were asked for.
    pub members: Vec<String>,
}

/// What else than a tree's own attributes is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Besides<'a> {
    pub enabled: Option<&'a str>,
    pub members: Option<&'a str>,
}

impl Tree {
    /// The attributes to ask for.
    pub fn attributes(&self, besides: Besides<'_>) -> Vec<String> {
        let mut all = vec![self.id_attribute.clone(), self.name_attribute.clone()];
        all.extend(self.shown.iter().map(|(_, attribute)| attribute.clone()));
        let besides = [besides.enabled, besides.members];
        all.extend(besides.into_iter().flatten().map(str::to_owned));
        all.sort_by_key(|name| name.to_ascii_lowercase());
        all.dedup_by(|one, other| one.eq_ignore_ascii_case(other));
        all
    }

    /// Reads an entry. One that has no id or no name is none, as in Keystone.
    pub fn read(
        &self,
        found: LdapSearchResultEntry,
        besides: Besides<'_>,
        says_enabled: impl FnOnce(Option<&str>) -> bool,
    ) -> Option<Entry> {
        let LdapSearchResultEntry { dn, attributes } = found;
        let mut ids = texts(&attributes, &self.id_attribute);
        // Of several values none is the id, unless the entry is named by it.
        let id = match ids.len() {
            0 => return None,
            1 => ids.remove(0),
            _ => named_by(&dn, &self.id_attribute).unwrap_or_else(|| ids.remove(0)),
        };
        let name = first_text(&attributes, &self.name_attribute)?;
        // Longer ones have no place in the host's tables.
        let fits = |text: &str| text.chars().count() <= LONGEST;
        if id.is_empty() || name.trim().is_empty() || !fits(&id) || !fits(&name) {
            return None;
        }
        let mut extra = Map::new();
        for (shown, attribute) in &self.shown {
            if let Some(text) = first_text(&attributes, attribute) {
                extra.entry(shown.clone()).or_insert(Value::String(text));
            }
        }
        let enabled = besides
            .enabled
            .is_none_or(|attribute| says_enabled(first_text(&attributes, attribute).as_deref()));
        let members = besides
            .members
            .map(|attribute| texts(&attributes, attribute));
        Some(Entry {
            id,
            name,
            enabled,
            extra,
            members: members.unwrap_or_default(),
            dn,
        })
    }
}

/// What names the entry within the one above, if that is this attribute.
pub fn named_by(dn: &str, attribute: &str) -> Option<String> {
    dn::leading(dn)
        .filter(|part| part.attribute.eq_ignore_ascii_case(attribute))
        .map(|part| part.value)
}

pub fn texts(attributes: &[LdapPartialAttribute], name: &str) -> Vec<String> {
    values(attributes, name)
        .filter_map(|value| text(value))
        .collect()
}

fn first_text(attributes: &[LdapPartialAttribute], name: &str) -> Option<String> {
    values(attributes, name)
        .next()
        .and_then(|value| text(value))
}

fn values<'a>(
    attributes: &'a [LdapPartialAttribute],
    name: &str,
) -> impl Iterator<Item = &'a Vec<u8>> {
    attributes
        .iter()
        .filter(move |attribute| attribute.atype.eq_ignore_ascii_case(name))
        .flat_map(|attribute| &attribute.vals)
}

/// A value as text: UTF-8, or a UUID as Active Directory stores one.
fn text(value: &[u8]) -> Option<String> {
    if let Ok(text) = std::str::from_utf8(value) {
        return Some(text.to_owned());
    }
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = <[u8; 16]>::try_from(value).ok()?;
    let (clock, node) = rest.split_at(2);
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    Some(format!(
        "{}-{}-{}-{}-{}",
        hex(&[a3, a2, a1, a0]),
        hex(&[b1, b0]),
        hex(&[c1, c0]),
        hex(clock),
        hex(node)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn entry(dn: &str, attributes: &[(&str, &[&[u8]])]) -> LdapSearchResultEntry {
        LdapSearchResultEntry {
            dn: dn.to_owned(),
            attributes: attributes
                .iter()
                .map(|(name, values)| LdapPartialAttribute {
                    atype: (*name).to_owned(),
                    vals: values.iter().map(|value| value.to_vec()).collect(),
                })
                .collect(),
        }
    }

    fn read(found: LdapSearchResultEntry) -> Option<Entry> {
        let config = Config::default();
        let besides = Besides {
            enabled: config.enabled_attribute(),
            members: None,
        };
        config
            .users()
            .unwrap()
            .read(found, besides, |value| config.says_enabled(value))
    }

    #[test]
    fn an_entry_is_read_whatever_the_case_of_its_attributes() {
        let found = entry(
            "cn=ada,ou=Users",
            &[
                ("CN", &[b"ada"]),
                ("SN", &[b"Ada"]),
                ("mail", &[b"a@x", b"b@x"]),
                ("Enabled", &[b"FALSE"]),
            ],
        );
        let ada = read(found).unwrap();
        assert_eq!(
            (ada.id.as_str(), ada.name.as_str(), ada.enabled),
            ("ada", "Ada", false)
        );
        assert_eq!(
            Value::Object(ada.extra),
            serde_json::json!({"email": "a@x"})
        );
    }

    #[test]
    fn without_id_or_name_there_is_nobody() {
        assert_eq!(read(entry("cn=a", &[("cn", &[b"a"])])), None);
        assert_eq!(
            read(entry("cn=a", &[("cn", &[b"a"]), ("sn", &[b"  "])])),
            None
        );
        assert_eq!(read(entry("cn=a", &[("sn", &[b"A"])])), None);
    }

    #[test]
    fn what_is_too_long_to_be_kept_is_passed_over() {
        let long = "é".repeat(256);
        let named = |name: &str| entry("cn=a", &[("cn", &[b"a"]), ("sn", &[name.as_bytes()])]);
        assert_eq!(read(named(&long)), None);
        assert!(read(named(&long[2..])).is_some());
    }

    #[test]
    fn of_several_ids_the_one_in_the_name_counts() {
        let found = entry(
            "CN=second,ou=Users",
            &[("cn", &[b"first", b"second"]), ("sn", &[b"x"])],
        );
        assert_eq!(read(found).unwrap().id, "second");
    }

    #[test]
    fn a_binary_id_is_read_as_a_uuid() {
        let bytes = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        assert_eq!(
            text(&bytes).unwrap(),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
        assert_eq!(text(&[0xff, 0xfe]), None);
    }
}
