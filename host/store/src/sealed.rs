//! All that is sealed with the credential keys, for when the keys change.

use archstone_model::secret::{Sealed, SealedThing};
use sea_query::{Expr, ExprTrait, Query};

use crate::{Result, Store, write};

/// Where it is: the table, and its columns of the id and of the sealed text.
fn place(thing: SealedThing) -> (&'static str, &'static str, &'static str) {
    match thing {
        SealedThing::Credential => ("credential", "id", "encrypted_blob"),
        SealedThing::ConnectorSecrets => ("archstone_connector", "id", "sealed_secrets"),
        SealedThing::PluginSettings => ("archstone_plugin", "name", "sealed_settings"),
    }
}

impl Store {
    /// Everything that was sealed with another key than the one whose hash is given.
    pub async fn sealed_otherwise(
        &self,
        key_hash: &str,
    ) -> Result<Vec<(SealedThing, String, Sealed)>> {
        let mut session = self.db.session().await?;
        let mut found = Vec::new();
        for thing in [
            SealedThing::Credential,
            SealedThing::ConnectorSecrets,
            SealedThing::PluginSettings,
        ] {
            let (table, id, text) = place(thing);
            let query = Query::select()
                .columns([id, text, "key_hash"])
                .from(table)
                .and_where(Expr::col("key_hash").ne(key_hash))
                .to_owned();
            for row in session.fetch_all(&query).await? {
                let sealed = Sealed {
                    text: row.text(text)?,
                    key_hash: row.text("key_hash")?,
                };
                found.push((thing, row.text(id)?, sealed));
            }
        }
        Ok(found)
    }

    /// Puts the same thing, sealed anew, in place of what was there, unless that has changed.
    pub async fn seal_anew(
        &self,
        thing: SealedThing,
        id: &str,
        was: &Sealed,
        sealed: &Sealed,
    ) -> Result<()> {
        let (table, id_column, text) = place(thing);
        write!(self, tx => {
            let update = Query::update()
                .table(table)
                .value(text, sealed.text.as_str())
                .value("key_hash", sealed.key_hash.as_str())
                .and_where(Expr::col(id_column).eq(id))
                .and_where(Expr::col(text).eq(was.text.as_str()))
                .to_owned();
            tx.execute(&update).await?;
        })
    }
}
