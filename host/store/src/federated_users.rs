//! Users who are known through an identity provider, and the groups that its word keeps them in.

use archstone_model::{
    entity::Entity,
    federation::{FederatedLogin, Membership, Shadowed, attributes, membership_lifetime},
    id::{GroupId, UserId},
    user::FederatedAccount,
};
use chrono::{DateTime, TimeDelta, Utc};
use sea_query::{Expr, ExprTrait, JoinType, Query};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    extra::{json, time},
    groups,
    user_queries::load_one,
    users::add_federated,
    write,
};

impl Store {
    /// Writes a federated login down: its user, made where the account is new, with the name, the
    /// address and exactly the groups that the provider says now.
    ///
    /// # Errors
    /// `Conflict` where another user has the new one's id.
    pub async fn shadow(&self, login: &FederatedLogin) -> Result<Shadowed> {
        let mut touches = Touches::Nothing;
        write!(self, touches, tx => {
            let known = owner(tx, &login.account).await?;
            let user_id = match &known {
                Some((user_id, name)) => {
                    let is_news = refresh(tx, user_id, login).await?;
                    if is_news || *name != login.account.display_name {
                        touches = Touches::Tokens;
                    }
                    user_id.clone()
                }
                None => {
                    create(tx, login).await?;
                    login.new_id.clone()
                }
            };
            let update = Query::update()
                .table("user")
                .value("last_active_at", login.now.date_naive())
                .and_where(Expr::col("id").eq(user_id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            let changed = set_memberships(tx, &user_id, login).await?;
            if changed && known.is_some() {
                touches = Touches::Tokens;
            }
            Shadowed { user_id, lost_or_gained_groups: changed && known.is_some() }
        })
    }

    /// The groups that federated logins of a user keep them in now.
    pub async fn expiring_memberships(
        &self,
        user_id: &UserId,
        default_lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Vec<Membership>> {
        let mut session = self.db.session().await?;
        let mut query = groups::select();
        query
            .column("last_verified")
            .column("authorization_ttl")
            .join(
                JoinType::InnerJoin,
                "expiring_user_group_membership",
                Expr::col(("expiring_user_group_membership", "group_id")).equals(("group", "id")),
            )
            .join(
                JoinType::InnerJoin,
                "identity_provider",
                Expr::col(("expiring_user_group_membership", "idp_id"))
                    .equals(("identity_provider", "id")),
            )
            .and_where(
                Expr::col(("expiring_user_group_membership", "user_id")).eq(user_id.as_str()),
            );
        let mut memberships = Vec::new();
        for row in session.fetch_all(&query).await? {
            let lifetime = membership_lifetime(row.opt_int("authorization_ttl")?, default_lifetime);
            let verified = row.opt_time("last_verified")?.unwrap_or_default();
            let expires_at = verified
                .checked_add_signed(lifetime)
                .unwrap_or(DateTime::<Utc>::MAX_UTC);
            if expires_at > now {
                memberships.push(Membership {
                    group: groups::read(&row)?,
                    expires_at: Some(expires_at),
                });
            }
        }
        Ok(memberships)
    }
}

/// The user whose account this is, and the name that it goes by.
async fn owner(
    tx: &mut Session,
    account: &FederatedAccount,
) -> Result<Option<(UserId, Option<String>)>> {
    let query = Query::select()
        .columns(["user_id", "display_name"])
        .from("federated_user")
        .and_where(Expr::col("idp_id").eq(account.idp_id.as_str()))
        .and_where(Expr::col("protocol_id").eq(account.protocol_id.as_str()))
        .and_where(Expr::col("unique_id").eq(account.unique_id.as_str()))
        .to_owned();
    let row = tx.fetch_optional(&query).await?;
    row.map(|row| Ok((row.text("user_id")?.into(), row.opt_text("display_name")?)))
        .transpose()
}

async fn create(tx: &mut Session, login: &FederatedLogin) -> Result<()> {
    let insert = Query::insert()
        .into_table("user")
        .columns(["id", "extra", "enabled", "created_at", "domain_id"])
        .values_panic([
            login.new_id.as_str().into(),
            json(&attributes(login.email.as_deref())).into(),
            true.into(),
            time(tx.dialect(), login.now).into(),
            login.domain_id.as_str().into(),
        ])
        .to_owned();
    tx.execute(&insert)
        .await
        .map_err(|error| {
            if error.is_reference_violation() {
                Error::not_found(Entity::Domain, login.domain_id.as_str())
            } else {
                error
            }
        })
        .on_duplicate(Entity::FederatedUser, || {
            format!("Duplicate entry found with ID {}", login.new_id)
        })?;
    add_federated(
        tx,
        &login.new_id,
        std::slice::from_ref(&login.account),
        None,
    )
    .await
}

/// Takes up the name and the address that the provider says now; says whether the address is news.
async fn refresh(tx: &mut Session, user_id: &UserId, login: &FederatedLogin) -> Result<bool> {
    let FederatedAccount {
        idp_id,
        protocol_id,
        unique_id,
        display_name,
    } = &login.account;
    let update = Query::update()
        .table("federated_user")
        .value("display_name", display_name.as_deref())
        .and_where(Expr::col("idp_id").eq(idp_id.as_str()))
        .and_where(Expr::col("protocol_id").eq(protocol_id.as_str()))
        .and_where(Expr::col("unique_id").eq(unique_id.as_str()))
        .to_owned();
    tx.execute(&update).await?;
    if let Some(email) = &login.email {
        let before = load_one(tx, user_id).await?.extra;
        let mut extra = before.clone();
        extra.extend(attributes(Some(email)));
        if extra == before {
            return Ok(false);
        }
        let update = Query::update()
            .table("user")
            .value("extra", json(&extra))
            .and_where(Expr::col("id").eq(user_id.as_str()))
            .to_owned();
        tx.execute(&update).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Keeps the user in exactly these groups by this provider's word; says whether that is news.
async fn set_memberships(
    tx: &mut Session,
    user_id: &UserId,
    login: &FederatedLogin,
) -> Result<bool> {
    let idp_id = login.account.idp_id.as_str();
    let query = Query::select()
        .column("group_id")
        .from("expiring_user_group_membership")
        .and_where(Expr::col("user_id").eq(user_id.as_str()))
        .and_where(Expr::col("idp_id").eq(idp_id))
        .to_owned();
    let mut before: Vec<GroupId> = Vec::new();
    for row in tx.fetch_all(&query).await? {
        before.push(row.text("group_id")?.into());
    }
    let of_group = |group_id: &GroupId| {
        Expr::col("user_id")
            .eq(user_id.as_str())
            .and(Expr::col("idp_id").eq(idp_id))
            .and(Expr::col("group_id").eq(group_id.as_str()))
    };
    let mut changed = false;
    for group_id in before.iter().filter(|id| !login.groups.contains(id)) {
        let delete = Query::delete()
            .from_table("expiring_user_group_membership")
            .and_where(of_group(group_id))
            .to_owned();
        tx.execute(&delete).await?;
        changed = true;
    }
    for group_id in &login.groups {
        if before.contains(group_id) {
            let update = Query::update()
                .table("expiring_user_group_membership")
                .value("last_verified", time(tx.dialect(), login.now))
                .and_where(of_group(group_id))
                .to_owned();
            tx.execute(&update).await?;
        } else {
            let insert = Query::insert()
                .into_table("expiring_user_group_membership")
                .columns(["user_id", "group_id", "idp_id", "last_verified"])
                .values_panic([
                    user_id.as_str().into(),
                    group_id.as_str().into(),
                    idp_id.into(),
                    time(tx.dialect(), login.now).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
            changed = true;
        }
    }
    Ok(changed)
}
