//! Users and groups by id, by name and in lists, wherever they live.

use std::collections::HashMap;

use archstone_model::{
    Extra,
    directory::EntryKind,
    entity::Entity,
    federation::Membership,
    id::{DomainId, GroupId, ProjectId, UserId},
    listing::{Comparison, Listing, NameFilter, Page},
    user::{Group, GroupFilter, GroupKind, User, UserFilter, UserKind, UserOptions},
};
use archstone_plugins::{Condition, Entries, Entry, Part};

use super::{Directory, Place, public_id};
use crate::{Error, Identity, Result};

/// What an entry of a directory cannot say of itself.
const HOSTS_ATTRIBUTES: [&str; 9] = [
    "domain_id",
    "enabled",
    "federated",
    "id",
    "links",
    "name",
    "options",
    "password",
    "password_expires_at",
];

impl Identity {
    /// # Errors
    /// `NotFound`; `Unavailable` where the user's directory does not answer.
    pub(crate) async fn find_user(&self, id: &UserId) -> Result<User> {
        self.find_user_in(id).await.map(|(user, _)| user)
    }

    /// The same, with where the user lives.
    pub(crate) async fn find_user_in(&self, id: &UserId) -> Result<(User, Place)> {
        let place = self.place_of_id(id.as_str(), EntryKind::User).await?;
        let found = match &place {
            Place::Database => self.store.user(id).await?,
            Place::Directory {
                directory,
                local_id,
            } => {
                let found = directory.by_id(EntryKind::User, local_id).await?;
                let entry = found.ok_or_else(|| Error::not_found(Entity::User, id.as_str()))?;
                user(&directory.domain_id, id.as_str(), entry)
            }
        };
        Ok((found, place))
    }

    /// # Errors
    /// As for [`Self::find_user`].
    pub(crate) async fn find_user_by_name(&self, name: &str, domain_id: &DomainId) -> Result<User> {
        let Some(directory) = self.directory_of(domain_id).await? else {
            return Ok(self.store.user_by_name(name, domain_id).await?);
        };
        let found = directory.by_name(EntryKind::User, name).await?;
        let entry = found.ok_or_else(|| Error::not_found(Entity::User, name))?;
        self.adopt_user(&directory, entry).await
    }

    /// # Errors
    /// As for [`Self::find_user`].
    pub(crate) async fn find_group(&self, id: &GroupId) -> Result<Group> {
        match self.place_of_id(id.as_str(), EntryKind::Group).await? {
            Place::Database => Ok(self.store.group(id).await?),
            Place::Directory {
                directory,
                local_id,
            } => {
                let found = directory.by_id(EntryKind::Group, &local_id).await?;
                let entry = found.ok_or_else(|| Error::not_found(Entity::Group, id.as_str()))?;
                Ok(group(&directory.domain_id, id.as_str(), entry))
            }
        }
    }

    /// # Errors
    /// As for [`Self::find_user`].
    pub(crate) async fn find_group_by_name(
        &self,
        name: &str,
        domain_id: &DomainId,
    ) -> Result<Group> {
        let Some(directory) = self.directory_of(domain_id).await? else {
            return Ok(self.store.group_by_name(name, domain_id).await?);
        };
        let found = directory.by_name(EntryKind::Group, name).await?;
        let entry = found.ok_or_else(|| Error::not_found(Entity::Group, name))?;
        let entries = Entries {
            entries: vec![entry],
            more: false,
        };
        let mut groups = self.adopt_groups(&directory, entries).await?;
        groups
            .pop()
            .ok_or_else(|| Error::not_found(Entity::Group, name))
    }

    /// The users of a directory's domain that pass a filter.
    pub(crate) async fn users_of_directory(
        &self,
        directory: &Directory,
        filter: &UserFilter,
    ) -> Result<Listing<User>> {
        // A directory's passwords expire without telling.
        if !filter.password_expires.is_empty() {
            return Ok(Vec::new().into());
        }
        let wish = Wish::for_users(self, directory, filter);
        let found = directory
            .list(EntryKind::User, &wish.conditions, wish.most)
            .await?;
        self.fulfil_users(wish, directory, found, filter).await
    }

    async fn fulfil_users(
        &self,
        wish: Wish,
        directory: &Directory,
        found: Entries,
        filter: &UserFilter,
    ) -> Result<Listing<User>> {
        let more = found.more;
        let users = self.adopt_users(directory, found).await?;
        Ok(wish.fulfil(users, more, |user| {
            filter.enabled.is_none_or(|enabled| user.enabled == enabled)
                && filter.names.iter().all(|name| passes(name, &user.name))
        }))
    }

    /// The groups of a directory's domain that pass a filter.
    pub(crate) async fn groups_of_directory(
        &self,
        directory: &Directory,
        filter: &GroupFilter,
    ) -> Result<Listing<Group>> {
        let wish = Wish::new(self, directory, &filter.names, &filter.page, false);
        let found = directory
            .list(EntryKind::Group, &wish.conditions, wish.most)
            .await?;
        let more = found.more;
        let groups = self.adopt_groups(directory, found).await?;
        Ok(wish.fulfil(groups, more, |group| {
            filter.names.iter().all(|name| passes(name, &group.name))
        }))
    }

    /// The members of a directory's group that pass a filter.
    ///
    /// # Errors
    /// `NotFound` of the group.
    pub(crate) async fn members_in_directory(
        &self,
        directory: &Directory,
        local_id: &str,
        group_id: &GroupId,
        filter: &UserFilter,
    ) -> Result<Listing<User>> {
        let wish = Wish::for_users(self, directory, filter);
        let found = directory
            .members_of(local_id, &wish.conditions, wish.most)
            .await?;
        let found = found.ok_or_else(|| Error::not_found(Entity::Group, group_id.as_str()))?;
        self.fulfil_users(wish, directory, found, filter).await
    }

    /// The groups that a directory has its user in.
    ///
    /// # Errors
    /// `NotFound` of the user.
    pub(crate) async fn groups_by_directory(
        &self,
        directory: &Directory,
        local_id: &str,
        user_id: &UserId,
    ) -> Result<Vec<Membership>> {
        let found = directory.groups_of(local_id).await?;
        let found = found.ok_or_else(|| Error::not_found(Entity::User, user_id.as_str()))?;
        let groups = self.adopt_groups(directory, found).await?;
        let lasting = groups.into_iter().map(|group| Membership {
            group,
            expires_at: None,
        });
        Ok(lasting.collect())
    }

    /// The ids of everybody in each of these groups. A directory that does not answer has nobody in its
    /// groups meanwhile: the members of other domains' groups are not to wait for it.
    pub(crate) async fn everybody_in(
        &self,
        ids: impl IntoIterator<Item = GroupId>,
    ) -> Result<HashMap<GroupId, Vec<UserId>>> {
        let mut here = Vec::new();
        let mut elsewhere = Vec::new();
        for id in ids {
            let members = match self.place_of_id(id.as_str(), EntryKind::Group).await {
                Ok(Place::Database) => {
                    here.push(id);
                    continue;
                }
                Ok(Place::Directory {
                    directory,
                    local_id,
                }) => match directory.members_of(&local_id, &[], None).await {
                    Ok(Some(found)) => self.adopt_users(&directory, found).await?,
                    Ok(None) => Vec::new(),
                    Err(Error::Unavailable { reason }) => left_out(&id, &reason),
                    Err(error) => return Err(error),
                },
                Err(Error::Unavailable { reason }) => left_out(&id, &reason),
                Err(error) => return Err(error),
            };
            elsewhere.push((id, members.into_iter().map(|member| member.id).collect()));
        }
        let mut members = self.store.members_of_groups(&here).await?;
        members.extend(elsewhere);
        Ok(members)
    }

    /// Refuses to write users or groups of a domain whose directory has them.
    ///
    /// # Errors
    /// `Forbidden`, as in Keystone.
    pub(crate) async fn require_database(&self, domain_id: &DomainId) -> Result<()> {
        match self.directory_of(domain_id).await? {
            Some(_) => Err(Error::forbidden("the domain's directory is not written to")),
            None => Ok(()),
        }
    }

    pub(super) async fn adopt_user(&self, directory: &Directory, entry: Entry) -> Result<User> {
        let missing = Error::not_found(Entity::User, entry.name.as_str());
        let entries = Entries {
            entries: vec![entry],
            more: false,
        };
        let mut users = self.adopt_users(directory, entries).await?;
        users.pop().ok_or(missing)
    }

    async fn adopt_users(&self, directory: &Directory, found: Entries) -> Result<Vec<User>> {
        let ids = self
            .ids_of(directory, EntryKind::User, &found.entries)
            .await?;
        let users = found.entries.into_iter().filter_map(|entry| {
            let id = ids.get(&entry.id)?;
            Some(user(&directory.domain_id, id, entry))
        });
        Ok(users.collect())
    }

    async fn adopt_groups(&self, directory: &Directory, found: Entries) -> Result<Vec<Group>> {
        let ids = self
            .ids_of(directory, EntryKind::Group, &found.entries)
            .await?;
        let groups = found.entries.into_iter().filter_map(|entry| {
            let id = ids.get(&entry.id)?;
            Some(group(&directory.domain_id, id, entry))
        });
        Ok(groups.collect())
    }

    /// The public ids of entries, made where they are seen for the first time.
    async fn ids_of(
        &self,
        directory: &Directory,
        kind: EntryKind,
        entries: &[Entry],
    ) -> Result<HashMap<String, String>> {
        let local: Vec<String> = entries.iter().map(|entry| entry.id.clone()).collect();
        let domain_id = &directory.domain_id;
        let made = |local_id: &str| public_id(domain_id, kind, local_id);
        Ok(self.store.public_ids(domain_id, kind, &local, made).await?)
    }
}

/// A list, as far as the directory can make it.
struct Wish {
    conditions: Vec<Condition>,
    most: Option<u32>,
    page: Page,
    /// The client turns pages, which come in the order of ids.
    pages: bool,
}

impl Wish {
    fn for_users(identity: &Identity, directory: &Directory, filter: &UserFilter) -> Self {
        let UserFilter { names, page, .. } = filter;
        Self::new(identity, directory, names, page, filter.enabled.is_some())
    }

    fn new(
        identity: &Identity,
        directory: &Directory,
        names: &[NameFilter],
        asked: &Page,
        filtered_here: bool,
    ) -> Self {
        let pages = asked.limit.is_some() || asked.marker.is_some();
        let page = identity.page_of(asked.clone(), directory.list_limit);
        let filtered_here =
            filtered_here || names.iter().any(|name| name.comparison.is_exact_part());
        let most = page.limit.filter(|_| !pages && !filtered_here);
        Self {
            conditions: names.iter().map(condition).collect(),
            most: most.and_then(|most| u32::try_from(most).ok()),
            page,
            pages,
        }
    }

    fn fulfil<T: HasId>(
        self,
        mut entries: Vec<T>,
        more: bool,
        passes: impl Fn(&T) -> bool,
    ) -> Listing<T> {
        entries.retain(passes);
        if self.pages {
            entries.sort_by(|one, other| one.id().cmp(other.id()));
            if let Some(marker) = &self.page.marker {
                entries.retain(|entry| entry.id() > marker.as_str());
            }
        }
        let mut listing = Listing::of(&self.page, entries);
        if more && listing.cut_at.is_none() {
            listing.cut_at = self.page.limit;
        }
        listing
    }
}

trait HasId {
    fn id(&self) -> &str;
}

impl HasId for User {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl HasId for Group {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

fn condition(name: &NameFilter) -> Condition {
    Condition {
        part: match name.comparison {
            Comparison::Equals | Comparison::EqualsIgnoringCase => Part::Whole,
            Comparison::Contains | Comparison::ContainsIgnoringCase => Part::Any,
            Comparison::StartsWith | Comparison::StartsWithIgnoringCase => Part::Beginning,
            Comparison::EndsWith | Comparison::EndsWithIgnoringCase => Part::End,
        },
        name: name.value.clone(),
    }
}

/// Whether a name passes what the directory could not look at. Whole names are as it compares them.
fn passes(filter: &NameFilter, name: &str) -> bool {
    !filter.comparison.is_exact_part() || filter.accepts(name)
}

fn left_out(id: &GroupId, reason: &str) -> Vec<User> {
    tracing::warn!(group = %id, reason, "the members of a group are left out of a list");
    Vec::new()
}

fn user(domain_id: &DomainId, id: &str, entry: Entry) -> User {
    let mut extra = entry.extra;
    let project = extra.shift_remove("default_project_id");
    let project = project.as_ref().and_then(|project| project.as_str());
    User {
        id: UserId::from(id),
        domain_id: domain_id.clone(),
        name: entry.name,
        kind: UserKind::NonLocal,
        enabled: entry.enabled,
        default_project_id: project.map(ProjectId::from),
        created_at: None,
        last_active_at: None,
        password_expires_at: None,
        options: UserOptions::default(),
        federated: Vec::new(),
        extra: shown(extra),
    }
}

fn group(domain_id: &DomainId, id: &str, entry: Entry) -> Group {
    let mut extra = entry.extra;
    let description = extra.shift_remove("description");
    Group {
        id: GroupId::from(id),
        domain_id: domain_id.clone(),
        name: entry.name,
        kind: GroupKind::NonLocal,
        description: description.and_then(|text| text.as_str().map(str::to_owned)),
        extra: shown(extra),
    }
}

fn shown(mut extra: Extra) -> Extra {
    extra.retain(|name, _| !HOSTS_ATTRIBUTES.contains(&name.as_str()));
    extra
}
