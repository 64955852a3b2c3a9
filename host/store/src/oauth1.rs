//! OAuth 1.0 consumers, request tokens and access tokens. A used request token is deleted in the
//! transaction that makes its access token, so that it is used once whatever races.

use archstone_model::{
    entity::Entity,
    id::{AccessTokenId, ConsumerId, RequestTokenId, RoleId, UserId},
    oauth1::{AccessToken, Consumer, Grant, RequestToken},
    secret::Secret,
    time::iso,
};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    extra::json,
    row::{Row, from_json},
    users::delete_where,
    write,
};

impl Store {
    pub async fn consumers(&self) -> Result<Vec<Consumer>> {
        let mut query = consumer_columns();
        query.order_by("id", Order::Asc);
        let mut session = self.db.session().await?;
        let rows = session.fetch_all(&query).await?;
        rows.iter().map(read_consumer).collect()
    }

    /// # Errors
    /// `NotFound`.
    pub async fn consumer(&self, id: &ConsumerId) -> Result<Consumer> {
        let mut session = self.db.session().await?;
        load_consumer(&mut session, id).await
    }

    pub async fn create_consumer(&self, consumer: &Consumer) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("consumer")
                .columns(["id", "description", "secret", "extra"])
                .values_panic([
                    consumer.id.as_str().into(),
                    consumer.description.as_deref().into(),
                    // Stored as Keystone stores it: the signature is checked with the secret itself.
                    consumer.secret.expose().into(),
                    json(&consumer.extra).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// Stores description and further attributes in place of those of the consumer with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replace_consumer(&self, consumer: &Consumer) -> Result<()> {
        write!(self, tx => {
            load_consumer(tx, &consumer.id).await?;
            let update = Query::update()
                .table("consumer")
                .value("description", consumer.description.as_deref())
                .value("extra", json(&consumer.extra))
                .and_where(Expr::col("id").eq(consumer.id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
        })
    }

    /// Deletes a consumer with all its tokens.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_consumer(&self, id: &ConsumerId) -> Result<()> {
        write!(self, tx => {
            delete_where(tx, "request_token", "consumer_id", id.as_str()).await?;
            delete_where(tx, "access_token", "consumer_id", id.as_str()).await?;
            if delete_where(tx, "consumer", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Consumer, id.as_str()));
            }
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn request_token(&self, id: &RequestTokenId) -> Result<RequestToken> {
        let mut session = self.db.session().await?;
        load_request_token(&mut session, id).await
    }

    pub async fn create_request_token(&self, token: &RequestToken) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("request_token")
                .columns(["id", "request_secret", "requested_project_id", "consumer_id", "expires_at"])
                .values_panic([
                    token.id.as_str().into(),
                    // The signature is checked with the secret itself.
                    token.secret.expose().into(),
                    token.project_id.as_str().into(),
                    token.consumer_id.as_str().into(),
                    token.expires_at.map(iso).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// Records what a user granted to a request token.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn grant_request_token(&self, id: &RequestTokenId, grant: &Grant) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            load_request_token(tx, id).await?;
            let update = Query::update()
                .table("request_token")
                .value("authorizing_user_id", grant.user_id.as_str())
                .value("role_ids", written_roles(&grant.roles))
                // The verifier is compared with what the consumer says.
                .value("verifier", grant.verifier.expose())
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
        })
    }

    /// Stores an access token and uses up the request token that it was granted by.
    ///
    /// # Errors
    /// `NotFound` where the request token is used already.
    pub async fn create_access_token(
        &self,
        token: &AccessToken,
        granted_by: &RequestTokenId,
    ) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            if delete_where(tx, "request_token", "id", granted_by.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::RequestToken, granted_by.as_str()));
            }
            let insert = Query::insert()
                .into_table("access_token")
                .columns([
                    "id", "access_secret", "authorizing_user_id", "project_id", "role_ids",
                    "consumer_id", "expires_at",
                ])
                .values_panic([
                    token.id.as_str().into(),
                    // The signature is checked with the secret itself.
                    token.secret.expose().into(),
                    token.user_id.as_str().into(),
                    token.project_id.as_str().into(),
                    written_roles(&token.roles).into(),
                    token.consumer_id.as_str().into(),
                    token.expires_at.map(iso).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn access_token(&self, id: &AccessTokenId) -> Result<AccessToken> {
        let mut query = access_token_columns();
        query.and_where(Expr::col("id").eq(id.as_str()));
        let mut session = self.db.session().await?;
        match session.fetch_optional(&query).await? {
            Some(row) => read_access_token(&row),
            None => Err(Error::not_found(Entity::AccessToken, id.as_str())),
        }
    }

    /// The access tokens that a user granted.
    pub async fn access_tokens(&self, user_id: &UserId) -> Result<Vec<AccessToken>> {
        let mut query = access_token_columns();
        query
            .and_where(Expr::col("authorizing_user_id").eq(user_id.as_str()))
            .order_by("id", Order::Asc);
        let mut session = self.db.session().await?;
        let rows = session.fetch_all(&query).await?;
        rows.iter().map(read_access_token).collect()
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_access_token(&self, id: &AccessTokenId) -> Result<()> {
        write!(self, tx => {
            if delete_where(tx, "access_token", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::AccessToken, id.as_str()));
            }
        })
    }
}

fn consumer_columns() -> SelectStatement {
    Query::select()
        .columns(["id", "description", "secret", "extra"])
        .from("consumer")
        .to_owned()
}

fn access_token_columns() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "access_secret",
            "authorizing_user_id",
            "project_id",
            "role_ids",
            "consumer_id",
            "expires_at",
        ])
        .from("access_token")
        .to_owned()
}

async fn load_consumer(session: &mut Session, id: &ConsumerId) -> Result<Consumer> {
    let mut query = consumer_columns();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read_consumer(&row),
        None => Err(Error::not_found(Entity::Consumer, id.as_str())),
    }
}

async fn load_request_token(session: &mut Session, id: &RequestTokenId) -> Result<RequestToken> {
    let query = Query::select()
        .columns([
            "id",
            "request_secret",
            "verifier",
            "authorizing_user_id",
            "requested_project_id",
            "role_ids",
            "consumer_id",
            "expires_at",
        ])
        .from("request_token")
        .and_where(Expr::col("id").eq(id.as_str()))
        .to_owned();
    match session.fetch_optional(&query).await? {
        Some(row) => read_request_token(&row),
        None => Err(Error::not_found(Entity::RequestToken, id.as_str())),
    }
}

fn read_consumer(row: &Row) -> Result<Consumer> {
    Ok(Consumer {
        id: row.text("id")?.into(),
        description: row.opt_text("description")?,
        secret: Secret::new(row.text("secret")?),
        extra: row.extra()?,
    })
}

fn read_request_token(row: &Row) -> Result<RequestToken> {
    let granted = (
        row.opt_text("authorizing_user_id")?,
        row.opt_text("role_ids")?,
        row.opt_text("verifier")?,
    );
    let grant = match granted {
        (Some(user_id), Some(roles), Some(verifier)) => Some(Grant {
            user_id: user_id.into(),
            roles: read_roles(&roles)?,
            verifier: Secret::new(verifier),
        }),
        _ => None,
    };
    Ok(RequestToken {
        id: row.text("id")?.into(),
        secret: Secret::new(row.text("request_secret")?),
        consumer_id: row.text("consumer_id")?.into(),
        project_id: row.text("requested_project_id")?.into(),
        grant,
        expires_at: read_time(row.opt_text("expires_at")?)?,
    })
}

fn read_access_token(row: &Row) -> Result<AccessToken> {
    Ok(AccessToken {
        id: row.text("id")?.into(),
        secret: Secret::new(row.text("access_secret")?),
        consumer_id: row.text("consumer_id")?.into(),
        user_id: row.text("authorizing_user_id")?.into(),
        project_id: row.text("project_id")?.into(),
        roles: row.json("role_ids")?,
        expires_at: read_time(row.opt_text("expires_at")?)?,
    })
}

/// Roles are kept as a JSON array of their ids.
fn written_roles(roles: &[RoleId]) -> String {
    serde_json::to_string(roles).unwrap_or_else(|_| "[]".to_owned())
}

fn read_roles(text: &str) -> Result<Vec<RoleId>> {
    from_json("role_ids", text)
}

/// Times here are kept as text, as the API writes them.
fn read_time(text: Option<String>) -> Result<Option<DateTime<Utc>>> {
    text.map(|text| {
        DateTime::parse_from_rfc3339(&text)
            .map(|time| time.with_timezone(&Utc))
            .map_err(|error| Error::Corrupt {
                column: "expires_at".to_owned(),
                reason: error.to_string(),
            })
    })
    .transpose()
}
