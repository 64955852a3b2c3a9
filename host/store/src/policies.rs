//! Policy documents and what they are for.

use archstone_model::{
    endpoint_policy::{PolicyDocument, PolicyDocumentFilter, PolicyDocumentPatch, PolicySubject},
    entity::Entity,
    id::PolicyId,
};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    extra::json,
    filter::{by_name, by_page, equals_or_null},
    row::Row,
    users::delete_where,
    write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn policy_document(&self, id: &PolicyId) -> Result<PolicyDocument> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id).await
    }

    /// Policy documents in id order.
    pub async fn policy_documents(
        &self,
        filter: &PolicyDocumentFilter,
    ) -> Result<Vec<PolicyDocument>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        by_name(&mut query, ("policy", "type"), &filter.kinds);
        by_page(&mut query, ("policy", "id"), &filter.page);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    pub async fn create_policy_document(&self, policy: &PolicyDocument) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("policy")
                .columns(["id", "type", "blob", "extra"])
                .values_panic([
                    policy.id.as_str().into(),
                    policy.kind.as_str().into(),
                    policy.blob.to_string().into(),
                    json(&policy.extra).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn update_policy_document(
        &self,
        id: &PolicyId,
        patch: &PolicyDocumentPatch,
    ) -> Result<PolicyDocument> {
        write!(self, Touches::Nothing, tx => {
            let mut policy = load_one(tx, id).await?;
            if let Some(kind) = patch.kind.as_set() {
                policy.kind.clone_from(kind);
            }
            if let Some(blob) = patch.blob.as_set() {
                policy.blob = blob.as_str().into();
            }
            policy.extra.extend(patch.extra.clone());
            let update = Query::update()
                .table("policy")
                .value("type", policy.kind.as_str())
                .value("blob", policy.blob.to_string())
                .value("extra", json(&policy.extra))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            policy
        })
    }

    /// Deletes a policy document and what it was associated with.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_policy_document(&self, id: &PolicyId) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            delete_where(tx, "policy_association", "policy_id", id.as_str()).await?;
            if delete_where(tx, "policy", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Policy, id.as_str()));
            }
        })
    }

    /// Makes a policy document the one for a subject, in place of any other.
    pub async fn associate_policy(&self, id: &PolicyId, subject: &PolicySubject) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let update = Query::update()
                .table("policy_association")
                .value("policy_id", id.as_str())
                .and_where(is(subject))
                .to_owned();
            let [endpoint_id, service_id, region_id] = columns(subject);
            if policy_of(tx, subject).await?.is_some() {
                tx.execute(&update).await?;
            } else {
                let insert = Query::insert()
                    .into_table("policy_association")
                    .columns(["id", "policy_id", "endpoint_id", "service_id", "region_id"])
                    .values_panic([
                        uuid::Uuid::new_v4().simple().to_string().into(),
                        id.as_str().into(),
                        endpoint_id.into(),
                        service_id.into(),
                        region_id.into(),
                    ])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// Takes a policy document from a subject; no error where it is not its.
    pub async fn dissociate_policy(&self, id: &PolicyId, subject: &PolicySubject) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let delete = Query::delete()
                .from_table("policy_association")
                .and_where(Expr::col("policy_id").eq(id.as_str()))
                .and_where(is(subject))
                .to_owned();
            tx.execute(&delete).await?;
        })
    }

    /// The policy document of exactly this subject.
    pub async fn policy_of(&self, subject: &PolicySubject) -> Result<Option<PolicyId>> {
        let mut session = self.db.session().await?;
        policy_of(&mut session, subject).await
    }

    /// What a policy document is for.
    pub async fn subjects_of_policy(&self, id: &PolicyId) -> Result<Vec<PolicySubject>> {
        let mut session = self.db.session().await?;
        let query = Query::select()
            .columns(["endpoint_id", "service_id", "region_id"])
            .from("policy_association")
            .and_where(Expr::col("policy_id").eq(id.as_str()))
            .to_owned();
        let mut subjects = Vec::new();
        for row in session.fetch_all(&query).await? {
            let endpoint_id = row.opt_text("endpoint_id")?;
            let service_id = row.opt_text("service_id")?;
            let region_id = row.opt_text("region_id")?;
            match (endpoint_id, service_id, region_id) {
                (Some(endpoint), _, _) => subjects.push(PolicySubject::Endpoint(endpoint.into())),
                (None, Some(service), None) => {
                    subjects.push(PolicySubject::Service(service.into()));
                }
                (None, Some(service), Some(region)) => subjects.push(
                    PolicySubject::ServiceInRegion(service.into(), region.into()),
                ),
                // For nothing in particular: no endpoint's.
                (None, None, _) => {}
            }
        }
        Ok(subjects)
    }
}

async fn policy_of(session: &mut Session, subject: &PolicySubject) -> Result<Option<PolicyId>> {
    let query = Query::select()
        .column("policy_id")
        .from("policy_association")
        .and_where(is(subject))
        .limit(1)
        .to_owned();
    let row = session.fetch_optional(&query).await?;
    row.map(|row| Ok(row.text("policy_id")?.into())).transpose()
}

fn is(subject: &PolicySubject) -> Expr {
    let [endpoint_id, service_id, region_id] = columns(subject);
    equals_or_null("endpoint_id", endpoint_id)
        .and(equals_or_null("service_id", service_id))
        .and(equals_or_null("region_id", region_id))
}

/// A subject as `endpoint_id`, `service_id` and `region_id`.
fn columns(subject: &PolicySubject) -> [Option<&str>; 3] {
    match subject {
        PolicySubject::Endpoint(id) => [Some(id.as_str()), None, None],
        PolicySubject::Service(id) => [None, Some(id.as_str()), None],
        PolicySubject::ServiceInRegion(service, region) => {
            [None, Some(service.as_str()), Some(region.as_str())]
        }
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["id", "type", "blob", "extra"])
        .from("policy")
        .to_owned()
}

fn read(row: &Row) -> Result<PolicyDocument> {
    Ok(PolicyDocument {
        id: row.text("id")?.into(),
        kind: row.text("type")?,
        blob: row.json("blob")?,
        extra: row.extra()?,
    })
}

async fn load_one(session: &mut Session, id: &PolicyId) -> Result<PolicyDocument> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read(&row),
        None => Err(Error::not_found(Entity::Policy, id.as_str())),
    }
}
