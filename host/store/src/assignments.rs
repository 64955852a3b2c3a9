//! Role assignments: `assignment` for projects and domains, `system_assignment` for the system.

use archstone_model::{
    entity::Entity,
    role::{Actor, Assignment, AssignmentFilter, Target},
};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{Error, Result, Store, database::Session, id_mapping::nothing_new, row::Row, write};

impl Store {
    /// Stored assignments; nothing is expanded here.
    pub async fn assignments(&self, filter: &AssignmentFilter) -> Result<Vec<Assignment>> {
        let mut session = self.db.session().await?;
        let mut found = Vec::new();
        for table in [Table::Resource, Table::System] {
            if !table.can_hold(filter) {
                continue;
            }
            let query = table.select(filter, &session);
            for row in session.fetch_all(&query).await? {
                let assignment = read(&row)?;
                // A domain and the project that stands for it share an id.
                if filter.targets.is_empty() || filter.targets.contains(&assignment.target) {
                    found.push(assignment);
                }
            }
        }
        Ok(found)
    }

    /// Adds an assignment; adding one again changes nothing.
    pub async fn grant(&self, assignment: &Assignment) -> Result<()> {
        write!(self, tx => {
            let table = Table::of(assignment);
            if tx.fetch_optional(&table.find(assignment, tx)).await?.is_none() {
                let insert = Query::insert()
                    .into_table(table.name())
                    .columns(["type", "actor_id", "target_id", "role_id", "inherited"])
                    .values_panic([
                        table.kind(assignment),
                        assignment.actor.id().into(),
                        assignment.target.id().into(),
                        assignment.role_id.as_str().into(),
                        assignment.inherited.into(),
                    ])
                    // Somebody else may be granting the same now.
                    .on_conflict(nothing_new(tx.dialect(), "role_id"))
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// # Errors
    /// `NotFound` where there is no such assignment.
    pub async fn revoke_grant(&self, assignment: &Assignment) -> Result<()> {
        write!(self, tx => {
            let table = Table::of(assignment);
            let delete = Query::delete()
                .from_table(table.name())
                .and_where(Expr::col("type").eq(table.kind(assignment)))
                .and_where(Expr::col("actor_id").eq(assignment.actor.id()))
                .and_where(Expr::col("target_id").eq(assignment.target.id()))
                .and_where(Expr::col("role_id").eq(assignment.role_id.as_str()))
                .and_where(Expr::col("inherited").eq(assignment.inherited))
                .to_owned();
            if tx.execute(&delete).await? == 0 {
                return Err(Error::not_found(Entity::RoleAssignment, assignment.role_id.as_str()));
            }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Resource,
    System,
}

impl Table {
    fn of(assignment: &Assignment) -> Self {
        match assignment.target {
            Target::System => Self::System,
            Target::Project(_) | Target::Domain(_) => Self::Resource,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Resource => "assignment",
            Self::System => "system_assignment",
        }
    }

    /// The `type` column; on PostgreSQL an enum of its own in one of the tables.
    fn kind(self, assignment: &Assignment) -> Expr {
        let kind = match (&assignment.actor, &assignment.target) {
            (Actor::User(_), Target::Project(_)) => "UserProject",
            (Actor::Group(_), Target::Project(_)) => "GroupProject",
            (Actor::User(_), Target::Domain(_)) => "UserDomain",
            (Actor::Group(_), Target::Domain(_)) => "GroupDomain",
            (Actor::User(_), Target::System) => "UserSystem",
            (Actor::Group(_), Target::System) => "GroupSystem",
        };
        match self {
            Self::Resource => Expr::val(kind).as_enum("type"),
            Self::System => Expr::val(kind),
        }
    }

    /// Whether an assignment in this table can satisfy the filter.
    fn can_hold(self, filter: &AssignmentFilter) -> bool {
        filter.targets.is_empty()
            || filter
                .targets
                .iter()
                .any(|target| (*target == Target::System) == (self == Self::System))
    }

    fn select(self, filter: &AssignmentFilter, session: &Session) -> SelectStatement {
        let mut query = self.select_all(session);
        if !filter.actors.is_empty() {
            query.and_where(Expr::col("actor_id").is_in(filter.actors.iter().map(Actor::id)));
        }
        let targets: Vec<&str> = filter
            .targets
            .iter()
            .filter(|target| (**target == Target::System) == (self == Self::System))
            .map(Target::id)
            .collect();
        if !targets.is_empty() {
            query.and_where(Expr::col("target_id").is_in(targets));
        }
        if let Some(role_id) = &filter.role_id {
            query.and_where(Expr::col("role_id").eq(role_id.as_str()));
        }
        if let Some(inherited) = filter.inherited {
            query.and_where(Expr::col("inherited").eq(inherited));
        }
        query
    }

    fn select_all(self, session: &Session) -> SelectStatement {
        let mut query = Query::select();
        query
            .columns(["actor_id", "target_id", "role_id", "inherited"])
            .from(self.name());
        match session.dialect() {
            crate::Dialect::Postgres => query.expr_as(Expr::col("type").cast_as("text"), "kind"),
            _ => query.expr_as(Expr::col("type"), "kind"),
        };
        query
    }

    fn find(self, assignment: &Assignment, session: &Session) -> SelectStatement {
        let mut query = self.select_all(session);
        query
            .and_where(Expr::col("type").eq(self.kind(assignment)))
            .and_where(Expr::col("actor_id").eq(assignment.actor.id()))
            .and_where(Expr::col("target_id").eq(assignment.target.id()))
            .and_where(Expr::col("role_id").eq(assignment.role_id.as_str()))
            .and_where(Expr::col("inherited").eq(assignment.inherited));
        query
    }
}

fn read(row: &Row) -> Result<Assignment> {
    let kind = row.text("kind")?;
    let actor = row.text("actor_id")?;
    let target = row.text("target_id")?;
    let (actor, target) = match kind.as_str() {
        "UserProject" => (Actor::User(actor.into()), Target::Project(target.into())),
        "GroupProject" => (Actor::Group(actor.into()), Target::Project(target.into())),
        "UserDomain" => (Actor::User(actor.into()), Target::Domain(target.into())),
        "GroupDomain" => (Actor::Group(actor.into()), Target::Domain(target.into())),
        "UserSystem" => (Actor::User(actor.into()), Target::System),
        "GroupSystem" => (Actor::Group(actor.into()), Target::System),
        other => {
            return Err(Error::Corrupt {
                column: "type".to_owned(),
                reason: format!("{other} is no kind of assignment"),
            });
        }
    };
    Ok(Assignment {
        actor,
        target,
        role_id: row.text("role_id")?.into(),
        inherited: row.bool("inherited")?,
    })
}
