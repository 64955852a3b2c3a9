//! Groups and their members. Whoever leaves a group loses the tokens that its roles gave.

use archstone_model::{
    Extra,
    directory::EntryKind,
    entity::Entity,
    id::{DomainId, GroupId, UserId},
    listing::{Change, Listing},
    policy::Target,
    revocation::RevocationEvent,
    role::{Actor, AssignmentFilter},
    user::{Group, GroupFilter, GroupKind, GroupPatch, User, UserFilter},
};

use crate::{Caller, Error, Identity, Result, directories::Place, new_id, users::with_group};

/// What a client gives to create a group.
#[derive(Debug, Clone)]
pub struct GroupCreation {
    pub name: String,
    pub domain_id: Option<DomainId>,
    pub description: Option<String>,
    pub extra: Extra,
}

/// What a client gives to change a group.
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    pub name: Change<String>,
    /// Given only to be compared: it cannot change.
    pub domain_id: Change<Option<DomainId>>,
    pub description: Change<Option<String>>,
    pub extra: Extra,
}

impl Identity {
    pub async fn group(&self, caller: &Caller, id: &GroupId) -> Result<Group> {
        let found = self.find_group(id).await;
        self.enforce(
            caller,
            "identity:get_group",
            group_target(id, found.as_ref().ok()),
        )
        .await?;
        found
    }

    /// Lists groups; a caller with a domain-scoped token sees that domain only.
    pub async fn groups(&self, caller: &Caller, mut filter: GroupFilter) -> Result<Listing<Group>> {
        let own_domain = caller.scope_domain_id();
        let mut target = Target::new();
        if let Some(domain_id) = own_domain {
            target.set("target.group.domain_id", domain_id.as_str());
        }
        self.enforce(caller, "identity:list_groups", target).await?;
        if filter.domain_id.is_none() {
            filter.domain_id = self.listed_domain(caller)?;
        }
        if let Some(marker) = &filter.page.marker {
            let marker = GroupId::from(marker.as_str());
            let found = self.find_group(&marker).await;
            found.map_err(Error::into_missing_marker)?;
        }
        let directory = match &filter.domain_id {
            Some(domain_id) => self.directory_of(domain_id).await?,
            None => None,
        };
        let mut groups = match directory {
            Some(directory) => self.groups_of_directory(&directory, &filter).await?,
            None => {
                filter.page = self.page_of(filter.page, None);
                let found = self.store.groups(&filter).await?;
                Listing::within(&filter.page, found)
            }
        };
        if let Some(domain_id) = own_domain {
            groups.entries.retain(|group| group.domain_id == *domain_id);
        }
        Ok(groups)
    }

    pub async fn create_group(&self, caller: &Caller, creation: GroupCreation) -> Result<Group> {
        let mut target = Target::new();
        target.set_opt(
            "target.group.domain_id",
            creation.domain_id.as_ref().map(DomainId::as_str),
        );
        self.enforce(caller, "identity:create_group", target)
            .await?;
        let domain_id = creation
            .domain_id
            .unwrap_or_else(|| self.home_domain(caller));
        self.require_domain(&domain_id).await?;
        self.require_database(&domain_id).await?;
        let group = Group {
            id: GroupId::new(new_id()),
            domain_id,
            name: creation.name.trim().to_owned(),
            kind: GroupKind::Local,
            description: creation.description,
            extra: creation.extra,
        };
        self.store.create_group(&group).await?;
        self.audit_write(caller, "create", Entity::Group, group.id.as_str());
        Ok(group)
    }

    pub async fn update_group(
        &self,
        caller: &Caller,
        id: &GroupId,
        change: GroupChange,
    ) -> Result<Group> {
        let found = self.find_group(id).await;
        self.enforce(
            caller,
            "identity:update_group",
            group_target(id, found.as_ref().ok()),
        )
        .await?;
        let group = found?;
        if let Some(new) = change.domain_id.as_set()
            && new.as_ref() != Some(&group.domain_id)
        {
            return Err(Error::invalid("Cannot change Domain ID"));
        }
        self.require_database(&group.domain_id).await?;
        let mut extra = group.extra;
        extra.extend(change.extra);
        let patch = GroupPatch {
            name: change.name,
            description: change.description,
            extra: Change::Set(extra),
        };
        let updated = self.store.update_group(id, &patch).await?;
        self.audit_write(caller, "update", Entity::Group, id.as_str());
        Ok(updated)
    }

    /// Deletes a group. If it has roles, its members lose the tokens they hold, which may carry
    /// them, unless `[archstone] keep_tokens_of_former_members` has tokens go on with what is left.
    pub async fn delete_group(&self, caller: &Caller, id: &GroupId) -> Result<()> {
        let group = self.find_group(id).await?;
        self.enforce(
            caller,
            "identity:delete_group",
            group_target(id, Some(&group)),
        )
        .await?;
        self.require_database(&group.domain_id).await?;
        let losers = self.who_lose_roles_with(id).await?;
        self.store.delete_group(id).await?;
        for user_id in losers {
            self.revoke(RevocationEvent::for_user(user_id, self.now()))
                .await?;
        }
        self.audit_write(caller, "delete", Entity::Group, id.as_str());
        Ok(())
    }

    /// The members of a group that has roles, whose tokens end with it.
    pub(crate) async fn who_lose_roles_with(&self, id: &GroupId) -> Result<Vec<UserId>> {
        if self.options.departures.keep_tokens_of_former_members {
            return Ok(Vec::new());
        }
        let filter = AssignmentFilter {
            actors: vec![Actor::Group(id.clone())],
            ..AssignmentFilter::default()
        };
        if self.store.assignments(&filter).await?.is_empty() {
            return Ok(Vec::new());
        }
        let members = self
            .store
            .users_of_group(id, &UserFilter::default())
            .await?;
        Ok(members.into_iter().map(|member| member.id).collect())
    }

    pub async fn group_members(
        &self,
        caller: &Caller,
        id: &GroupId,
        mut filter: UserFilter,
    ) -> Result<Listing<User>> {
        let found = self.find_group(id).await;
        self.enforce(
            caller,
            "identity:list_users_in_group",
            group_target(id, found.as_ref().ok()),
        )
        .await?;
        found?;
        let mut members = match self.place_of_id(id.as_str(), EntryKind::Group).await? {
            Place::Directory {
                directory,
                local_id,
            } => {
                self.members_in_directory(&directory, &local_id, id, &filter)
                    .await?
            }
            Place::Database => {
                let page = self.page_of(filter.page, None);
                filter.page = page.and_one();
                let found = self.store.users_of_group(id, &filter).await?;
                Listing::of(&page, found)
            }
        };
        if let Some(domain_id) = caller.scope_domain_id() {
            members.entries.retain(|user| user.domain_id == *domain_id);
        }
        Ok(members.map(|user| self.shown(user)))
    }

    pub async fn add_member(&self, caller: &Caller, group: &GroupId, user: &UserId) -> Result<()> {
        self.enforce_membership(caller, "identity:add_user_to_group", group, user)
            .await?;
        self.require_pair_in_database(group, user).await?;
        self.store.add_user_to_group(user, group).await?;
        self.audit_write(caller, "add_member", Entity::Group, group.as_str());
        Ok(())
    }

    /// # Errors
    /// `NotFound` where the user is not a member.
    pub async fn check_member(
        &self,
        caller: &Caller,
        group: &GroupId,
        user: &UserId,
    ) -> Result<()> {
        self.enforce_membership(caller, "identity:check_user_in_group", group, user)
            .await?;
        let is_member = match self.pair_in_directory(group, user).await? {
            Some(pair) => pair.is_membership().await?,
            None => self.store.is_member(user, group).await?,
        };
        if is_member {
            Ok(())
        } else {
            Err(Error::Missing(format!(
                "User '{user}' not found in group '{group}'"
            )))
        }
    }

    pub async fn remove_member(
        &self,
        caller: &Caller,
        group: &GroupId,
        user: &UserId,
    ) -> Result<()> {
        self.enforce_membership(caller, "identity:remove_user_from_group", group, user)
            .await?;
        self.require_pair_in_database(group, user).await?;
        if !self.store.is_member(user, group).await? {
            return Err(Error::Missing(format!(
                "User '{user}' not found in group '{group}'"
            )));
        }
        self.store.remove_user_from_group(user, group).await?;
        // A token's roles are looked up whenever it is validated, so none outlives the membership.
        if !self.options.departures.keep_tokens_of_former_members {
            self.revoke(RevocationEvent::for_user(user.clone(), self.now()))
                .await?;
        }
        self.audit_write(caller, "remove_member", Entity::Group, group.as_str());
        Ok(())
    }

    async fn enforce_membership(
        &self,
        caller: &Caller,
        action: &'static str,
        group_id: &GroupId,
        user_id: &UserId,
    ) -> Result<()> {
        let user = self.find_user(user_id).await;
        let group = self.find_group(group_id).await;
        let target = self.user_target(user_id, user.as_ref().ok());
        self.enforce(
            caller,
            action,
            with_group(target, group_id, group.as_ref().ok()),
        )
        .await?;
        group?;
        user?;
        Ok(())
    }
}

fn group_target(id: &GroupId, group: Option<&Group>) -> Target {
    with_group(Target::new(), id, group)
}
