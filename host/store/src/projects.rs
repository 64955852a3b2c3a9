//! Projects and domains, which share the `project` table; their tags and options.

use std::collections::HashMap;

use archstone_model::{
    entity::Entity,
    id::{DomainId, ProjectId},
    project::{
        Domain, Project, ProjectFilter, ProjectPatch, ROOT_DOMAIN_ROW, ResourceOptions, TagFilter,
    },
};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{
    BATCH, Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    extra::{json, read_resource_option, resource_option_rows},
    federation::delete_providers_of_domain,
    filter::{by_name, by_page},
    row::Row,
    trusts::delete_trusts_of,
    users::delete_where,
    write,
};

impl Store {
    /// A project, or a domain seen as one.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn project(&self, id: &ProjectId) -> Result<Project> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id, Entity::Project).await
    }

    /// The project (never a domain) with this name in this domain.
    pub async fn project_by_name(&self, name: &str, domain_id: &DomainId) -> Result<Project> {
        let mut session = self.db.session().await?;
        by_domain_and_name(&mut session, domain_id.as_str(), name)
            .await?
            .filter(|project| self.is_named(&project.name, name))
            .ok_or_else(|| Error::not_found(Entity::Project, name))
    }

    /// Projects in id order; domains among them where the filter says so.
    pub async fn projects(&self, filter: &ProjectFilter) -> Result<Vec<Project>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        narrow(&mut query, filter);
        let mut projects = load(&mut session, &query).await?;
        self.keep_exact(&mut projects, &filter.names, |project| &project.name);
        Ok(projects)
    }

    /// The projects with these ids, in id order.
    pub async fn projects_by_id(&self, ids: &[ProjectId]) -> Result<Vec<Project>> {
        let mut session = self.db.session().await?;
        let mut projects = Vec::new();
        for batch in ids.chunks(BATCH) {
            let mut query = select();
            query.and_where(Expr::col("id").is_in(batch.iter().map(ProjectId::as_str)));
            by_page(&mut query, ("project", "id"), &Default::default());
            projects.extend(load(&mut session, &query).await?);
        }
        Ok(projects)
    }

    /// # Errors
    /// `Conflict` where the name is taken in the domain (or, for a domain, among domains).
    pub async fn create_project(&self, project: &Project) -> Result<()> {
        write!(self, Touches::Nothing, tx => { insert(tx, project).await? })
    }

    /// # Errors
    /// `NotFound`; `Conflict` where the new name is taken.
    pub async fn update_project(&self, id: &ProjectId, patch: &ProjectPatch) -> Result<Project> {
        write!(self, tx => {
            let mut project = load_one(tx, id, Entity::Project).await?;
            if let Some(name) = patch.name.as_set() {
                project.name.clone_from(name);
            }
            if let Some(enabled) = patch.enabled.as_set() {
                project.enabled = *enabled;
            }
            if let Some(description) = patch.description.as_set() {
                project.description.clone_from(description);
            }
            if let Some(extra) = patch.extra.as_set() {
                project.extra.clone_from(extra);
            }
            let update = Query::update()
                .table("project")
                .value("name", project.name.as_str())
                .value("enabled", project.enabled)
                .value("description", project.description.as_deref())
                .value("extra", json(&project.extra))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            let entity = kind(&project);
            tx.execute(&update).await.on_duplicate(entity, || duplicate(&project, &project.name))?;
            if let Some(tags) = patch.tags.as_set() {
                set_tags(tx, id, tags).await?;
                project.tags.clone_from(tags);
            }
            if let Some(options) = patch.options.as_set() {
                set_options(tx, id, options).await?;
                project.options.clone_from(options);
            }
            project
        })
    }

    /// Deletes a project with what hangs on it: assignments, credentials, application credentials,
    /// trusts, endpoint associations and limits. Users whose default project it was have none then.
    ///
    /// # Errors
    /// `NotFound`; `InUse` where projects are below it.
    pub async fn delete_project(&self, id: &ProjectId) -> Result<()> {
        write!(self, tx => {
            for (table, column) in [
                ("assignment", "target_id"),
                ("credential", "project_id"),
                ("application_credential", "project_id"),
                ("project_endpoint", "project_id"),
                ("project_endpoint_group", "project_id"),
                ("limit", "project_id"),
                ("project_tag", "project_id"),
                ("project_option", "project_id"),
            ] {
                delete_where(tx, table, column, id.as_str()).await?;
            }
            let unset = Query::update()
                .table("user")
                .value("default_project_id", sea_query::Value::String(None))
                .and_where(Expr::col("default_project_id").eq(id.as_str()))
                .to_owned();
            tx.execute(&unset).await?;
            delete_trusts_of(tx, Expr::col("project_id").eq(id.as_str())).await?;
            let deleted = delete_where(tx, "project", "id", id.as_str()).await.map_err(|error| {
                if error.is_reference_violation() {
                    Error::InUse(format!(
                        "Cannot delete project {id} since it is not a leaf in the hierarchy."
                    ))
                } else {
                    error
                }
            })?;
            if deleted == 0 {
                return Err(Error::not_found(Entity::Project, id.as_str()));
            }
        })
    }

    /// The projects directly below this one.
    pub async fn children(&self, id: &ProjectId) -> Result<Vec<Project>> {
        self.projects(&ProjectFilter {
            parent_id: Some(id.clone()),
            is_domain: Some(false),
            ..ProjectFilter::default()
        })
        .await
    }

    /// The projects above this one, nearest first; the domain is the last.
    pub async fn ancestors(&self, id: &ProjectId) -> Result<Vec<Project>> {
        let mut session = self.db.session().await?;
        let mut ancestors: Vec<Project> = Vec::new();
        let mut next = load_one(&mut session, id, Entity::Project).await?.parent_id;
        while let Some(parent_id) = next {
            if ancestors.iter().any(|known| known.id == parent_id) {
                break;
            }
            let parent = load_one(&mut session, &parent_id, Entity::Project).await?;
            next = parent.parent_id.clone();
            ancestors.push(parent);
        }
        Ok(ancestors)
    }

    /// # Errors
    /// `NotFound`, also for a project that is no domain.
    pub async fn domain(&self, id: &DomainId) -> Result<Domain> {
        let mut session = self.db.session().await?;
        let project = load_one(&mut session, &id.as_project(), Entity::Domain).await?;
        if project.is_domain {
            Ok(project.into())
        } else {
            Err(Error::not_found(Entity::Domain, id.as_str()))
        }
    }

    /// # Errors
    /// `NotFound`, with the name as its id.
    pub async fn domain_by_name(&self, name: &str) -> Result<Domain> {
        let mut session = self.db.session().await?;
        by_domain_and_name(&mut session, ROOT_DOMAIN_ROW, name)
            .await?
            .filter(|domain| self.is_named(&domain.name, name))
            .map(Domain::from)
            .ok_or_else(|| Error::not_found(Entity::Domain, name))
    }

    /// Domains in id order.
    pub async fn domains(&self, filter: &ProjectFilter) -> Result<Vec<Domain>> {
        let filter = ProjectFilter {
            is_domain: Some(true),
            domain_id: None,
            ..filter.clone()
        };
        Ok(self
            .projects(&filter)
            .await?
            .into_iter()
            .map(Domain::from)
            .collect())
    }

    /// Deletes a disabled domain with everything in it but its roles, in one transaction.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_domain_with_contents(&self, id: &DomainId) -> Result<()> {
        let in_domain = |table: &'static str| {
            Query::select()
                .column("id")
                .from(table)
                .and_where(Expr::col("domain_id").eq(id.as_str()))
                .to_owned()
        };
        write!(self, tx => {
            delete_providers_of_domain(tx, id).await?;
            for (column, owner) in [
                ("trustor_user_id", "user"),
                ("trustee_user_id", "user"),
                ("project_id", "project"),
            ] {
                delete_trusts_of(tx, Expr::col(column).in_subquery(in_domain(owner))).await?;
            }
            for (table, column, owner) in [
                ("user_group_membership", "user_id", "user"),
                ("user_group_membership", "group_id", "group"),
                ("expiring_user_group_membership", "user_id", "user"),
                ("expiring_user_group_membership", "group_id", "group"),
                ("assignment", "actor_id", "user"),
                ("assignment", "actor_id", "group"),
                ("system_assignment", "actor_id", "user"),
                ("system_assignment", "actor_id", "group"),
                ("assignment", "target_id", "project"),
                ("credential", "user_id", "user"),
                ("credential", "project_id", "project"),
                ("application_credential", "user_id", "user"),
                ("application_credential", "project_id", "project"),
                ("access_rule", "user_id", "user"),
                ("federated_user", "user_id", "user"),
                ("nonlocal_user", "user_id", "user"),
                ("local_user", "user_id", "user"),
                ("user_option", "user_id", "user"),
                ("project_tag", "project_id", "project"),
                ("project_option", "project_id", "project"),
                ("project_endpoint", "project_id", "project"),
                ("project_endpoint_group", "project_id", "project"),
                ("limit", "project_id", "project"),
            ] {
                let delete = Query::delete()
                    .from_table(table)
                    .and_where(Expr::col(column).in_subquery(in_domain(owner)))
                    .to_owned();
                tx.execute(&delete).await?;
            }
            delete_where(tx, "assignment", "target_id", id.as_str()).await?;
            let unset = Query::update()
                .table("user")
                .value("default_project_id", sea_query::Value::String(None))
                .and_where(Expr::col("default_project_id").in_subquery(in_domain("project")))
                .to_owned();
            tx.execute(&unset).await?;
            for table in ["user", "group", "whitelisted_config", "sensitive_config", "id_mapping"] {
                delete_where(tx, table, "domain_id", id.as_str()).await?;
            }
            delete_project_tree(tx, id).await?;
            for table in ["project_tag", "project_option"] {
                delete_where(tx, table, "project_id", id.as_str()).await?;
            }
            if delete_where(tx, "project", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Domain, id.as_str()));
            }
        })
    }
}

/// Adds a project or a domain to the running transaction.
pub(crate) async fn insert(tx: &mut Session, project: &Project) -> Result<()> {
    let insert = Query::insert()
        .into_table("project")
        .columns([
            "id",
            "name",
            "extra",
            "description",
            "enabled",
            "domain_id",
            "parent_id",
            "is_domain",
        ])
        .values_panic([
            project.id.as_str().into(),
            project.name.as_str().into(),
            json(&project.extra).into(),
            project.description.as_deref().into(),
            project.enabled.into(),
            project
                .domain_id
                .as_ref()
                .map_or(ROOT_DOMAIN_ROW, |id| id.as_str())
                .into(),
            project.parent_id.as_ref().map(|id| id.as_str()).into(),
            project.is_domain.into(),
        ])
        .to_owned();
    let entity = kind(project);
    tx.execute(&insert)
        .await
        .on_duplicate(entity, || duplicate(project, &project.name))?;
    set_tags(tx, &project.id, &project.tags).await?;
    set_options(tx, &project.id, &project.options).await
}

/// Deletes a domain's projects, leaves first.
async fn delete_project_tree(tx: &mut Session, id: &DomainId) -> Result<()> {
    let query = Query::select()
        .columns(["id", "parent_id"])
        .from("project")
        .and_where(Expr::col("domain_id").eq(id.as_str()))
        .to_owned();
    let mut remaining = Vec::new();
    for row in tx.fetch_all(&query).await? {
        remaining.push((row.text("id")?, row.opt_text("parent_id")?));
    }
    while !remaining.is_empty() {
        let parents: std::collections::HashSet<String> = remaining
            .iter()
            .filter_map(|(_, parent)| parent.clone())
            .collect();
        let (inner, leaves): (Vec<_>, Vec<_>) = remaining
            .into_iter()
            .partition(|(id, _)| parents.contains(id));
        if leaves.is_empty() {
            return Err(Error::Corrupt {
                column: "parent_id".to_owned(),
                reason: "projects are each other's parents".to_owned(),
            });
        }
        for (leaf, _) in leaves {
            delete_where(tx, "project", "id", &leaf).await?;
        }
        remaining = inner;
    }
    Ok(())
}

fn kind(project: &Project) -> Entity {
    if project.is_domain {
        Entity::Domain
    } else {
        Entity::Project
    }
}

fn duplicate(project: &Project, name: &str) -> String {
    match &project.domain_id {
        Some(domain_id) => {
            format!("Duplicate entry found with name {name} at domain ID {domain_id}")
        }
        None => format!("Duplicate entry found with name {name}"),
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "name",
            "extra",
            "description",
            "enabled",
            "domain_id",
            "parent_id",
            "is_domain",
        ])
        .from("project")
        .and_where(Expr::col("id").ne(ROOT_DOMAIN_ROW))
        .to_owned()
}

fn narrow(query: &mut SelectStatement, filter: &ProjectFilter) {
    if let Some(domain_id) = &filter.domain_id {
        query.and_where(Expr::col("domain_id").eq(domain_id.as_str()));
    }
    if let Some(parent_id) = &filter.parent_id {
        query.and_where(Expr::col("parent_id").eq(parent_id.as_str()));
    }
    if let Some(is_domain) = filter.is_domain {
        query.and_where(Expr::col("is_domain").eq(is_domain));
    }
    if let Some(enabled) = filter.enabled {
        query.and_where(Expr::col("enabled").eq(enabled));
    }
    by_name(query, ("project", "name"), &filter.names);
    by_tags(query, &filter.tags);
    by_page(query, ("project", "id"), &filter.page);
}

fn by_tags(query: &mut SelectStatement, tags: &TagFilter) {
    let tagged = |names: &[String]| {
        Query::select()
            .column("project_id")
            .from("project_tag")
            .and_where(Expr::col("name").is_in(names.iter().map(String::as_str)))
            .to_owned()
    };
    let id = || Expr::col(("project", "id"));
    let has_all = |names: &[String]| {
        names
            .iter()
            .map(|name| id().in_subquery(tagged(std::slice::from_ref(name))))
            .reduce(|all, one| all.and(one))
    };
    if let Some(all) = has_all(&tags.all) {
        query.and_where(all);
    }
    if !tags.any.is_empty() {
        query.and_where(id().in_subquery(tagged(&tags.any)));
    }
    if let Some(all) = has_all(&tags.not_all) {
        query.and_where(all.not());
    }
    if !tags.not_any.is_empty() {
        query.and_where(id().not_in_subquery(tagged(&tags.not_any)));
    }
}

async fn by_domain_and_name(
    session: &mut Session,
    domain_id: &str,
    name: &str,
) -> Result<Option<Project>> {
    let mut query = select();
    query
        .and_where(Expr::col("domain_id").eq(domain_id))
        .and_where(Expr::col("name").eq(name));
    Ok(load(session, &query).await?.into_iter().next())
}

async fn load_one(session: &mut Session, id: &ProjectId, entity: Entity) -> Result<Project> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    let found = load(session, &query).await?.into_iter().next();
    found.ok_or_else(|| Error::not_found(entity, id.as_str()))
}

async fn load(session: &mut Session, query: &SelectStatement) -> Result<Vec<Project>> {
    let mut projects = Vec::new();
    for row in session.fetch_all(query).await? {
        projects.push(read(&row)?);
    }
    let places: HashMap<String, usize> = projects
        .iter()
        .enumerate()
        .map(|(place, project)| (project.id.to_string(), place))
        .collect();
    let ids: Vec<String> = projects
        .iter()
        .map(|project| project.id.to_string())
        .collect();
    for batch in ids.chunks(BATCH) {
        let is_in_batch = || Expr::col("project_id").is_in(batch.iter().map(String::as_str));
        let tags = Query::select()
            .columns(["project_id", "name"])
            .from("project_tag")
            .and_where(is_in_batch())
            .order_by("name", sea_query::Order::Asc)
            .to_owned();
        for row in session.fetch_all(&tags).await? {
            if let Some(place) = places.get(&row.text("project_id")?) {
                projects[*place].tags.push(row.text("name")?);
            }
        }
        let options = Query::select()
            .columns(["project_id", "option_id", "option_value"])
            .from("project_option")
            .and_where(is_in_batch())
            .to_owned();
        for row in session.fetch_all(&options).await? {
            if let Some(place) = places.get(&row.text("project_id")?) {
                let value = row.opt_text("option_value")?;
                let options = &mut projects[*place].options;
                read_resource_option(options, &row.text("option_id")?, value.as_deref());
            }
        }
    }
    Ok(projects)
}

fn read(row: &Row) -> Result<Project> {
    let domain_id = row.text("domain_id")?;
    Ok(Project {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        domain_id: (domain_id != ROOT_DOMAIN_ROW).then(|| domain_id.into()),
        parent_id: row.opt_text("parent_id")?.map(Into::into),
        is_domain: row.bool("is_domain")?,
        enabled: row.opt_bool("enabled")?.unwrap_or(true),
        description: row.opt_text("description")?,
        tags: Vec::new(),
        options: ResourceOptions::default(),
        extra: row.extra()?,
    })
}

async fn set_tags(tx: &mut Session, id: &ProjectId, tags: &[String]) -> Result<()> {
    delete_where(tx, "project_tag", "project_id", id.as_str()).await?;
    for tag in tags {
        let insert = Query::insert()
            .into_table("project_tag")
            .columns(["project_id", "name"])
            .values_panic([id.as_str().into(), tag.as_str().into()])
            .to_owned();
        tx.execute(&insert).await?;
    }
    Ok(())
}

async fn set_options(tx: &mut Session, id: &ProjectId, options: &ResourceOptions) -> Result<()> {
    delete_where(tx, "project_option", "project_id", id.as_str()).await?;
    for (option, value) in resource_option_rows(options) {
        let insert = Query::insert()
            .into_table("project_option")
            .columns(["project_id", "option_id", "option_value"])
            .values_panic([id.as_str().into(), option.into(), value.into()])
            .to_owned();
        tx.execute(&insert).await?;
    }
    Ok(())
}
