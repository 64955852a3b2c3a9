//! Credentials. Their blobs arrive sealed and leave sealed.

use archstone_model::{
    credential::{CredentialFilter, SealedCredential},
    entity::Entity,
    id::CredentialId,
};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{
    Error, Result, Store, changes::Touches, database::Session, error::OnDuplicate, extra::json,
    filter::by_page, row::Row, users::delete_where, write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn credential(&self, id: &CredentialId) -> Result<SealedCredential> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id).await
    }

    /// Credentials in id order.
    pub async fn credentials(&self, filter: &CredentialFilter) -> Result<Vec<SealedCredential>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        if let Some(user_id) = &filter.user_id {
            query.and_where(Expr::col("user_id").eq(user_id.as_str()));
        }
        if let Some(kind) = &filter.kind {
            query.and_where(Expr::col("type").eq(kind.as_str()));
        }
        by_page(&mut query, ("credential", "id"), &filter.page);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// # Errors
    /// `Conflict` where the id (for EC2, the hashed access key) is taken.
    pub async fn create_credential(&self, credential: &SealedCredential) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("credential")
                .columns(["id", "user_id", "project_id", "type", "extra", "key_hash", "encrypted_blob"])
                .values_panic([
                    credential.id.as_str().into(),
                    credential.user_id.as_str().into(),
                    credential.project_id.as_ref().map(|id| id.as_str()).into(),
                    credential.kind.as_str().into(),
                    json(&credential.extra).into(),
                    credential.key_hash.as_str().into(),
                    credential.encrypted_blob.as_str().into(),
                ])
                .to_owned();
            tx.execute(&insert).await.on_duplicate(Entity::Credential, || {
                format!("Duplicate entry found with ID {}", credential.id)
            })?;
        })
    }

    /// Stores a credential in place of the one with its id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replace_credential(&self, credential: &SealedCredential) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            load_one(tx, &credential.id).await?;
            let update = Query::update()
                .table("credential")
                .value("user_id", credential.user_id.as_str())
                .value("project_id", credential.project_id.as_ref().map(|id| id.as_str()))
                .value("type", credential.kind.as_str())
                .value("extra", json(&credential.extra))
                .value("key_hash", credential.key_hash.as_str())
                .value("encrypted_blob", credential.encrypted_blob.as_str())
                .and_where(Expr::col("id").eq(credential.id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
        })
    }

    /// Stores a credential in place of `old`, and says whether it did: not where another writer
    /// came first.
    pub async fn exchange_credential(
        &self,
        old: &SealedCredential,
        new: &SealedCredential,
    ) -> Result<bool> {
        write!(self, Touches::Nothing, tx => {
            let update = Query::update()
                .table("credential")
                .value("extra", json(&new.extra))
                .value("key_hash", new.key_hash.as_str())
                .value("encrypted_blob", new.encrypted_blob.as_str())
                .and_where(Expr::col("id").eq(old.id.as_str()))
                .and_where(Expr::col("encrypted_blob").eq(old.encrypted_blob.as_str()))
                .to_owned();
            tx.execute(&update).await? == 1
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_credential(&self, id: &CredentialId) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            if delete_where(tx, "credential", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Credential, id.as_str()));
            }
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "user_id",
            "project_id",
            "type",
            "extra",
            "key_hash",
            "encrypted_blob",
        ])
        .from("credential")
        .to_owned()
}

fn read(row: &Row) -> Result<SealedCredential> {
    Ok(SealedCredential {
        id: row.text("id")?.into(),
        user_id: row.text("user_id")?.into(),
        project_id: row.opt_text("project_id")?.map(Into::into),
        kind: row.text("type")?,
        encrypted_blob: row.text("encrypted_blob")?,
        key_hash: row.text("key_hash")?,
        extra: row.extra()?,
    })
}

async fn load_one(session: &mut Session, id: &CredentialId) -> Result<SealedCredential> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read(&row),
        None => Err(Error::not_found(Entity::Credential, id.as_str())),
    }
}
