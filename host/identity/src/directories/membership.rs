//! Who is in which group, where one of the two lives in a directory.

use std::sync::Arc;

use archstone_model::{
    directory::EntryKind,
    id::{GroupId, UserId},
};

use super::{Directory, Place};
use crate::{Error, Identity, Result};

/// A group and a user of the same directory, by its own names for them.
pub(crate) struct Pair {
    directory: Arc<Directory>,
    group: String,
    user: String,
}

impl Identity {
    /// The directory that a group and a user live in; nothing where both are in the database.
    ///
    /// # Errors
    /// `Refused` where they live apart: nobody can be a member of a group elsewhere.
    pub(crate) async fn pair_in_directory(
        &self,
        group_id: &GroupId,
        user_id: &UserId,
    ) -> Result<Option<Pair>> {
        let group = self
            .place_of_id(group_id.as_str(), EntryKind::Group)
            .await?;
        let user = self.place_of_id(user_id.as_str(), EntryKind::User).await?;
        match (group, user) {
            (Place::Database, Place::Database) => Ok(None),
            (
                Place::Directory {
                    directory,
                    local_id: group,
                },
                Place::Directory {
                    directory: other,
                    local_id: user,
                },
            ) if directory.domain_id == other.domain_id => Ok(Some(Pair {
                directory,
                group,
                user,
            })),
            _ => Err(Error::refused(format!(
                "Group membership across backend boundaries is not allowed. Group in question is \
                 {group_id}, user is {user_id}."
            ))),
        }
    }

    /// Refuses to change who is in which group where a directory says that.
    ///
    /// # Errors
    /// `Forbidden`, as in Keystone; as for [`Self::pair_in_directory`].
    pub(crate) async fn require_pair_in_database(
        &self,
        group_id: &GroupId,
        user_id: &UserId,
    ) -> Result<()> {
        match self.pair_in_directory(group_id, user_id).await? {
            Some(_) => Err(Error::forbidden("the directory says who is in which group")),
            None => Ok(()),
        }
    }
}

impl Pair {
    /// Whether the user is in the group.
    pub async fn is_membership(&self) -> Result<bool> {
        let groups = self.directory.groups_of(&self.user).await?;
        let mut groups = groups.into_iter().flat_map(|groups| groups.entries);
        Ok(groups.any(|group| group.id == self.group))
    }
}
