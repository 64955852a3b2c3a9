//! How an assertion names groups: each with its domain, as JSON.

use std::io;

use archstone_model::id::UserId;
use serde::Serialize;
use serde_json::{Serializer, json, ser::Formatter};

use crate::{Error, Identity, Result};

impl Identity {
    /// The groups that a user is in now, as mapping rules of the other side read them.
    pub(super) async fn spelt_out_groups(&self, user_id: &UserId) -> Result<Vec<String>> {
        let mut spelt_out = Vec::new();
        for membership in self.memberships(user_id).await? {
            let domain = self.store.domain(&membership.group.domain_id).await?;
            spelt_out.push(spell_out(&membership.group.name, &domain.name)?);
        }
        Ok(spelt_out)
    }
}

fn spell_out(group: &str, domain: &str) -> Result<String> {
    let mut text = b"JSON:".to_vec();
    json!({ "name": group, "domain": { "name": domain } })
        .serialize(&mut Serializer::with_formatter(&mut text, AsPython))
        .map_err(Error::internal)?;
    String::from_utf8(text).map_err(Error::internal)
}

/// JSON as Python writes it. Rules of service providers may compare the whole text.
struct AsPython;

impl Formatter for AsPython {
    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            if character.is_ascii() && character != '\x7f' {
                write!(writer, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_spelt_out_as_python_would() -> Result<()> {
        assert_eq!(
            spell_out("gr\u{fc}n \u{1f600}", "Def\"ault")?,
            r#"JSON:{"name": "gr\u00fcn \ud83d\ude00", "domain": {"name": "Def\"ault"}}"#
        );
        Ok(())
    }
}
