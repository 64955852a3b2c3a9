//! Logging in with a password that a directory knows.

use std::sync::Arc;

use archstone_model::{directory::EntryKind, id::UserId, secret::Secret, user::User};
use archstone_plugins::EntryKey;

use super::{Directory, Place};
use crate::{
    Error, Identity, Result,
    authentication::{DomainReference, UserReference},
};

impl Identity {
    /// The directory that knows the password of whom a login names, with the name it is asked by.
    ///
    /// # Errors
    /// `Unauthenticated` where the named domain is not there or disabled.
    pub(crate) async fn directory_of_login(
        &self,
        reference: &UserReference,
    ) -> Result<Option<(Arc<Directory>, EntryKey)>> {
        Ok(match reference {
            UserReference::Id(id) => match self.place_of_id(id.as_str(), EntryKind::User).await? {
                Place::Directory {
                    directory,
                    local_id,
                } => {
                    let id = directory.domain_id.clone();
                    self.login_domain(&DomainReference::Id(id)).await?;
                    Some((directory, EntryKey::Id(local_id)))
                }
                Place::Database => None,
            },
            UserReference::Name { name, domain } => {
                let domain = self.login_domain(domain).await?;
                let directory = self.directory_of(&domain.id).await?;
                directory.map(|directory| (directory, EntryKey::Name(name.clone())))
            }
        })
    }

    /// The enabled user whose password the directory says this is. They are kept from then on, so
    /// that what they are given here has something to hang on.
    pub(crate) async fn proven_by_directory(
        &self,
        directory: &Directory,
        key: EntryKey,
        password: &Secret,
    ) -> Result<User> {
        let entry = directory.verify(key, password).await?;
        let user = self.adopt_user(directory, entry).await?;
        if !user.enabled {
            let id = &user.id;
            return Err(Error::unauthenticated(format!("user {id} is disabled")));
        }
        self.store.keep_nonlocal_user(&user, self.now()).await?;
        Ok(user)
    }

    /// Proves the old password of a directory's user who wants a new one, which they cannot have
    /// here. Nothing, where the user is not a directory's.
    ///
    /// # Errors
    /// `Unauthenticated` where the password is wrong.
    pub(crate) async fn prove_to_directory(
        &self,
        id: &UserId,
        password: &Secret,
    ) -> Result<Option<User>> {
        let reference = UserReference::Id(id.clone());
        match self.directory_of_login(&reference).await? {
            Some((directory, key)) => {
                let proven = self.proven_by_directory(&directory, key, password).await?;
                Ok(Some(proven))
            }
            None => Ok(None),
        }
    }
}
