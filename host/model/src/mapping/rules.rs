//! Rules at work: each one whose left side fits adds what its right side says.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Assertion, Mapped, MappedDomain, MappedGroup, MappedProject, MappedUser, MappedUserKind,
    MappingError, SchemaVersion,
    requirement::{Met, Requirement},
    structure::check_projects,
    template::{Matches, fill, fill_list, fill_name},
};

/// The rules of a mapping, ready for use.
#[derive(Debug, Clone)]
pub struct Rules {
    version: SchemaVersion,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize)]
struct Rule {
    local: Vec<Local>,
    remote: Vec<Requirement>,
}

#[derive(Debug, Clone, Deserialize)]
struct Local {
    user: Option<LocalUser>,
    group: Option<LocalGroup>,
    groups: Option<String>,
    group_ids: Option<String>,
    domain: Option<MappedDomain>,
    projects: Option<Vec<LocalProject>>,
    projects_json: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct LocalUser {
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    domain: Option<MappedDomain>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct LocalGroup {
    id: Option<String>,
    name: Option<String>,
    domain: Option<MappedDomain>,
}

#[derive(Debug, Clone, Deserialize)]
struct LocalProject {
    name: String,
    domain: Option<MappedDomain>,
    roles: Vec<LocalRole>,
}

#[derive(Debug, Clone, Deserialize)]
struct LocalRole {
    name: String,
}

/// What the rules that applied so far have given.
#[derive(Debug, Default)]
struct Gathered {
    applied: bool,
    user: Option<MappedUser>,
    group_ids: Vec<String>,
    group_names: Vec<MappedGroup>,
    projects: Vec<MappedProject>,
    /// The domain beside the last entity that was named.
    last_domain: Option<MappedDomain>,
}

impl Rules {
    /// # Errors
    /// `Faulty` where these are no rules of this version.
    pub fn read(version: &str, rules: &Value) -> Result<Self, MappingError> {
        let version = SchemaVersion::parse(version).ok_or_else(|| {
            MappingError::Faulty(format!("{version} is no version of the mapping schema"))
        })?;
        let rules = Vec::deserialize(rules)
            .map_err(|error| MappingError::Faulty(format!("the rules cannot be read: {error}")))?;
        Ok(Self { version, rules })
    }

    pub fn version(&self) -> SchemaVersion {
        self.version
    }

    /// Which of the rules find what they ask for.
    pub fn fitting(&self, assertion: &Assertion) -> Vec<Result<bool, MappingError>> {
        let fits = |rule: &Rule| rule.matches(assertion).map(|matches| matches.is_some());
        self.rules.iter().map(fits).collect()
    }

    /// Who an assertion is about.
    ///
    /// # Errors
    /// `NotMapped` where no rule applies or what they give cannot be used; `Faulty` where the
    /// mapping is at fault.
    pub fn apply(&self, assertion: &Assertion) -> Result<Mapped, MappingError> {
        let mut gathered = Gathered::default();
        for rule in &self.rules {
            if let Some(matches) = rule.matches(assertion)? {
                for local in &rule.local {
                    gathered.add(local, &matches, self.version)?;
                }
            }
        }
        gathered.finish(self.version)
    }
}

impl Rule {
    /// What the left side matched, where all of it is met.
    fn matches(&self, assertion: &Assertion) -> Result<Option<Matches>, MappingError> {
        let mut matches = Matches::default();
        for requirement in &self.remote {
            let Some(value) = assertion.get(&requirement.attribute) else {
                return Ok(None);
            };
            match requirement.meet(value)? {
                Met::No => return Ok(None),
                Met::Silently => {}
                Met::With(values) => matches.push(values),
            }
        }
        Ok(Some(matches))
    }
}

impl Gathered {
    fn add(
        &mut self,
        local: &Local,
        matches: &Matches,
        version: SchemaVersion,
    ) -> Result<(), MappingError> {
        self.applied = true;
        let domain = domain(local.domain.as_ref(), matches)?;
        // The first rule to name a user wins.
        if let Some(user) = &local.user
            && self.user.is_none()
        {
            self.user = user.named(matches)?;
        }
        if let Some(group) = &local.group {
            self.add_group(group, matches)?;
        }
        if let Some(groups) = &local.groups {
            let names = fill_list(groups, matches)?;
            self.group_names
                .extend(groups_named(names, domain.as_ref())?);
        }
        if let Some(ids) = &local.group_ids {
            self.group_ids.extend(fill_list(ids, matches)?);
        }
        if local.projects.is_some() || local.projects_json.is_some() {
            // The last rule to name projects wins.
            self.projects = local.projects(matches, domain.as_ref(), version)?;
        }
        self.last_domain = domain;
        Ok(())
    }

    fn add_group(&mut self, group: &LocalGroup, matches: &Matches) -> Result<(), MappingError> {
        if let Some(id) = &group.id {
            self.group_ids.push(fill(id, matches)?);
        } else if let Some(name) = &group.name {
            self.group_names.push(MappedGroup {
                name: fill(name, matches)?,
                domain: domain(group.domain.as_ref(), matches)?.unwrap_or_default(),
            });
        }
        Ok(())
    }

    fn finish(self, version: SchemaVersion) -> Result<Mapped, MappingError> {
        if !self.applied {
            return Err(MappingError::NotMapped(
                "Could not map any federated user properties to identity values. Check debug logs \
                 or the mapping used for additional details."
                    .to_owned(),
            ));
        }
        let mut user = self.user.unwrap_or_default();
        if version >= SchemaVersion::V2 && user.domain.is_none() {
            user.domain = self.last_domain;
        }
        Ok(Mapped {
            user,
            group_ids: distinct(self.group_ids)
                .into_iter()
                .map(Into::into)
                .collect(),
            group_names: distinct(self.group_names),
            projects: self.projects,
        })
    }
}

impl LocalUser {
    /// The user with matches put in; a user without any attribute is none.
    fn named(&self, matches: &Matches) -> Result<Option<MappedUser>, MappingError> {
        let text = |template: &Option<String>| {
            template
                .as_deref()
                .map(|template| fill_name(template, matches))
                .transpose()
        };
        let kind = match text(&self.kind)?.as_deref() {
            None | Some("ephemeral") => MappedUserKind::Ephemeral,
            Some("local") => MappedUserKind::Local,
            Some(kind) => {
                return Err(MappingError::NotMapped(format!(
                    "User type {kind} not supported"
                )));
            }
        };
        let user = MappedUser {
            kind,
            id: text(&self.id)?.map(Into::into),
            name: text(&self.name)?,
            email: text(&self.email)?,
            domain: domain(self.domain.as_ref(), matches)?,
        };
        let is_empty = user == MappedUser::default() && self.kind.is_none();
        Ok((!is_empty).then_some(user))
    }
}

impl Local {
    fn projects(
        &self,
        matches: &Matches,
        default_domain: Option<&MappedDomain>,
        version: SchemaVersion,
    ) -> Result<Vec<MappedProject>, MappingError> {
        let mut projects = Vec::new();
        for project in self.projects.iter().flatten() {
            let mut roles = Vec::new();
            for role in &project.roles {
                roles.push(fill_name(&role.name, matches)?);
            }
            projects.push(MappedProject {
                name: fill_name(&project.name, matches)?,
                domain: domain(project.domain.as_ref(), matches)?,
                roles,
            });
        }
        if let Some(template) = &self.projects_json
            && version >= SchemaVersion::V3
        {
            projects.extend(projects_in_json(template, matches)?);
        }
        if version >= SchemaVersion::V2 {
            for project in &mut projects {
                if project.domain.is_none() {
                    project.domain = default_domain.cloned();
                }
            }
        }
        Ok(projects)
    }
}

/// The projects that an attribute spells out in JSON. `{2}` and `2` both mean the third match.
fn projects_in_json(template: &str, matches: &Matches) -> Result<Vec<MappedProject>, MappingError> {
    let text = template.strip_prefix('{').unwrap_or(template);
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number = text[..end].parse().map_err(|_| {
        MappingError::Faulty(format!("projects_json: {template:?} refers to no match"))
    })?;
    let invalid = |problem: String| {
        MappingError::NotMapped(format!(
            "the projects of the assertion are not usable: {problem}"
        ))
    };
    let [json] = matches.get(number)? else {
        return Err(invalid("they are several values, or none".to_owned()));
    };
    let value: Value = serde_json::from_str(json).map_err(|error| invalid(error.to_string()))?;
    check_projects(&value).map_err(invalid)?;
    let projects: Vec<LocalProject> =
        serde_json::from_value(value).map_err(|error| invalid(error.to_string()))?;
    Ok(projects
        .into_iter()
        .map(|project| MappedProject {
            name: project.name,
            domain: project
                .domain
                .filter(|domain| *domain != MappedDomain::default()),
            roles: project.roles.into_iter().map(|role| role.name).collect(),
        })
        .collect())
}

/// A domain with matches put in; one with neither id nor name is none.
fn domain(
    domain: Option<&MappedDomain>,
    matches: &Matches,
) -> Result<Option<MappedDomain>, MappingError> {
    let Some(MappedDomain { id, name }) = domain else {
        return Ok(None);
    };
    let id = id.as_ref().map(|id| fill_name(id.as_str(), matches));
    let name = name.as_ref().map(|name| fill_name(name, matches));
    let domain = MappedDomain {
        id: id.transpose()?.map(Into::into),
        name: name.transpose()?,
    };
    Ok((domain != MappedDomain::default()).then_some(domain))
}

/// Groups by name: all in the domain beside them, or each spelt out as `JSON:{...}` with its own.
fn groups_named(
    names: Vec<String>,
    domain: Option<&MappedDomain>,
) -> Result<Vec<MappedGroup>, MappingError> {
    let without_domain = || {
        MappingError::NotMapped(
            "Invalid rule. Both 'groups' and 'domain' keywords must be specified.".to_owned(),
        )
    };
    // Keystone tells the two forms apart by this word.
    if names.iter().any(|name| name.contains("name")) {
        let spelt_out = |text: String| {
            let json = text.strip_prefix("JSON:").ok_or_else(without_domain)?;
            serde_json::from_str(json).map_err(|_| without_domain())
        };
        return names.into_iter().map(spelt_out).collect();
    }
    let domain = domain.ok_or_else(without_domain)?;
    let in_domain = |name| MappedGroup {
        name,
        domain: domain.clone(),
    };
    Ok(names.into_iter().map(in_domain).collect())
}

fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}
