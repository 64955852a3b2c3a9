//! Application credentials with their roles, and the access rules they share.

use archstone_model::{
    credential::{
        AccessRule, ApplicationCredential, ApplicationCredentialFilter, NewApplicationCredential,
        SecretHash,
    },
    entity::Entity,
    id::{AccessRuleId, ApplicationCredentialId, ProjectId, UserId},
};
use sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};

use crate::{
    Error, Result, Store, changes::Touches, database::Session, error::OnDuplicate, filter::by_page,
    row::Row, users::delete_where, write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn application_credential(
        &self,
        id: &ApplicationCredentialId,
    ) -> Result<ApplicationCredential> {
        let mut session = self.db.session().await?;
        let row = find(&mut session, id).await?;
        complete(&mut session, &row).await
    }

    /// What an application credential's secret is checked against.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn application_credential_secret(
        &self,
        id: &ApplicationCredentialId,
    ) -> Result<SecretHash> {
        let mut session = self.db.session().await?;
        Ok(SecretHash(
            find(&mut session, id).await?.text("secret_hash")?,
        ))
    }

    /// A user's application credentials, in the order they were made.
    pub async fn application_credentials(
        &self,
        user_id: &UserId,
        filter: &ApplicationCredentialFilter,
    ) -> Result<Vec<ApplicationCredential>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query.and_where(Expr::col("user_id").eq(user_id.as_str()));
        if let Some(name) = &filter.name {
            query.and_where(Expr::col("name").eq(name.as_str()));
        }
        by_page(&mut query, ("application_credential", "id"), &filter.page);
        let rows = session.fetch_all(&query).await?;
        let mut credentials = Vec::with_capacity(rows.len());
        for row in &rows {
            credentials.push(complete(&mut session, row).await?);
        }
        Ok(credentials)
    }

    /// Creates an application credential. Access rules that the user already has are shared.
    ///
    /// # Errors
    /// `Conflict` where the user has one of this name.
    pub async fn create_application_credential(
        &self,
        new: &NewApplicationCredential,
    ) -> Result<ApplicationCredential> {
        let credential = &new.credential;
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("application_credential")
                .columns([
                    "id", "name", "secret_hash", "description", "user_id", "project_id", "expires_at",
                    "unrestricted",
                ])
                .values_panic([
                    credential.id.as_str().into(),
                    credential.name.as_str().into(),
                    new.secret_hash.0.as_str().into(),
                    credential.description.as_deref().into(),
                    credential.user_id.as_str().into(),
                    credential.project_id.as_ref().map(|id| id.as_str()).into(),
                    credential.expires_at.map(|time| time.timestamp_micros()).into(),
                    credential.unrestricted.into(),
                ])
                .to_owned();
            tx.execute(&insert).await.on_duplicate(Entity::ApplicationCredential, || {
                format!("Duplicate entry found with name {}", credential.name)
            })?;
            let row = find(tx, &credential.id).await?;
            let internal_id = row.int("internal_id")?;
            for role in &credential.roles {
                let insert = Query::insert()
                    .into_table("application_credential_role")
                    .columns(["application_credential_id", "role_id"])
                    .values_panic([internal_id.into(), role.as_str().into()])
                    .to_owned();
                tx.execute(&insert).await?;
            }
            for rule in &credential.access_rules {
                let rule_id = access_rule_row(tx, &credential.user_id, rule).await?;
                let insert = Query::insert()
                    .into_table("application_credential_access_rule")
                    .columns(["application_credential_id", "access_rule_id"])
                    .values_panic([internal_id.into(), rule_id.into()])
                    .to_owned();
                tx.execute(&insert).await?;
            }
            complete(tx, &row).await?
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_application_credential(&self, id: &ApplicationCredentialId) -> Result<()> {
        write!(self, tx => {
            if delete_where(tx, "application_credential", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::ApplicationCredential, id.as_str()));
            }
        })
    }

    /// Deletes what a user made for a project in which they no longer hold a role.
    pub async fn delete_application_credentials_in_project(
        &self,
        user_id: &UserId,
        project_id: &ProjectId,
    ) -> Result<()> {
        write!(self, tx => {
            let delete = Query::delete()
                .from_table("application_credential")
                .and_where(Expr::col("user_id").eq(user_id.as_str()))
                .and_where(Expr::col("project_id").eq(project_id.as_str()))
                .to_owned();
            tx.execute(&delete).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn access_rule(&self, user_id: &UserId, id: &AccessRuleId) -> Result<AccessRule> {
        let mut session = self.db.session().await?;
        let mut query = select_rules();
        query
            .and_where(Expr::col("external_id").eq(id.as_str()))
            .and_where(Expr::col("user_id").eq(user_id.as_str()));
        match session.fetch_optional(&query).await? {
            Some(row) => read_rule(&row),
            None => Err(Error::not_found(Entity::AccessRule, id.as_str())),
        }
    }

    /// A user's access rules, in the order they were made.
    pub async fn access_rules(&self, user_id: &UserId) -> Result<Vec<AccessRule>> {
        let mut session = self.db.session().await?;
        let mut query = select_rules();
        query
            .and_where(Expr::col("user_id").eq(user_id.as_str()))
            .order_by("id", sea_query::Order::Asc);
        session
            .fetch_all(&query)
            .await?
            .iter()
            .map(read_rule)
            .collect()
    }

    /// # Errors
    /// `NotFound`; `InUse` where an application credential has the rule.
    pub async fn delete_access_rule(&self, user_id: &UserId, id: &AccessRuleId) -> Result<()> {
        write!(self, tx => {
            let mut query = select_rules();
            query
                .and_where(Expr::col("external_id").eq(id.as_str()))
                .and_where(Expr::col("user_id").eq(user_id.as_str()));
            let Some(row) = tx.fetch_optional(&query).await? else {
                return Err(Error::not_found(Entity::AccessRule, id.as_str()));
            };
            let rule_id = row.int("id")?;
            let used = Query::select()
                .column("access_rule_id")
                .from("application_credential_access_rule")
                .and_where(Expr::col("access_rule_id").eq(rule_id))
                .limit(1)
                .to_owned();
            if tx.fetch_optional(&used).await?.is_some() {
                return Err(Error::InUse(format!(
                    "Access rule {id} is used by an application credential"
                )));
            }
            let delete = Query::delete()
                .from_table("access_rule")
                .and_where(Expr::col("id").eq(rule_id))
                .to_owned();
            tx.execute(&delete).await?;
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns([
            "internal_id",
            "id",
            "name",
            "secret_hash",
            "description",
            "user_id",
            "project_id",
            "expires_at",
            "unrestricted",
        ])
        .from("application_credential")
        .to_owned()
}

async fn find(session: &mut Session, id: &ApplicationCredentialId) -> Result<Row> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    let found = session.fetch_optional(&query).await?;
    found.ok_or_else(|| Error::not_found(Entity::ApplicationCredential, id.as_str()))
}

/// Adds roles and access rules to a row of the main table.
async fn complete(session: &mut Session, row: &Row) -> Result<ApplicationCredential> {
    let internal_id = row.int("internal_id")?;
    let roles = Query::select()
        .column("role_id")
        .from("application_credential_role")
        .and_where(Expr::col("application_credential_id").eq(internal_id))
        .to_owned();
    let roles = session
        .fetch_all(&roles)
        .await?
        .iter()
        .map(|row| Ok(row.text("role_id")?.into()))
        .collect::<Result<_>>()?;
    let mut rules = select_rules();
    rules
        .join(
            JoinType::InnerJoin,
            "application_credential_access_rule",
            Expr::col(("application_credential_access_rule", "access_rule_id"))
                .equals(("access_rule", "id")),
        )
        .and_where(
            Expr::col((
                "application_credential_access_rule",
                "application_credential_id",
            ))
            .eq(internal_id),
        );
    let access_rules = session
        .fetch_all(&rules)
        .await?
        .iter()
        .map(read_rule)
        .collect::<Result<_>>()?;
    Ok(ApplicationCredential {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        description: row.opt_text("description")?,
        user_id: row.text("user_id")?.into(),
        project_id: row.opt_text("project_id")?.map(Into::into),
        roles,
        expires_at: row.opt_micros("expires_at")?,
        unrestricted: row.opt_bool("unrestricted")?,
        access_rules,
    })
}

fn select_rules() -> SelectStatement {
    Query::select()
        .columns([
            ("access_rule", "id"),
            ("access_rule", "external_id"),
            ("access_rule", "service"),
            ("access_rule", "path"),
            ("access_rule", "method"),
        ])
        .from("access_rule")
        .to_owned()
}

fn read_rule(row: &Row) -> Result<AccessRule> {
    Ok(AccessRule {
        id: row.opt_text("external_id")?.unwrap_or_default().into(),
        service: row.opt_text("service")?,
        path: row.opt_text("path")?,
        method: row.opt_text("method")?,
    })
}

/// The row id of a user's access rule, which is made where it is not there yet.
async fn access_rule_row(tx: &mut Session, user_id: &UserId, rule: &AccessRule) -> Result<i64> {
    let same = |column: &'static str, value: &Option<String>| match value {
        Some(value) => Expr::col(column).eq(value.as_str()),
        None => Expr::col(column).is_null(),
    };
    let mut query = select_rules();
    query
        .and_where(Expr::col("user_id").eq(user_id.as_str()))
        .and_where(same("service", &rule.service))
        .and_where(same("path", &rule.path))
        .and_where(same("method", &rule.method));
    if let Some(row) = tx.fetch_optional(&query).await? {
        return row.int("id");
    }
    let insert = Query::insert()
        .into_table("access_rule")
        .columns(["external_id", "user_id", "service", "path", "method"])
        .values_panic([
            rule.id.as_str().into(),
            user_id.as_str().into(),
            rule.service.as_deref().into(),
            rule.path.as_deref().into(),
            rule.method.as_deref().into(),
        ])
        .to_owned();
    tx.execute(&insert).await?;
    tx.fetch_one(&query).await?.int("id")
}
