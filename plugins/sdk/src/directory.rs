//! What the author of a connector to a directory implements.

use serde::de::DeserializeOwned;

pub use crate::bindings::directory_connector::archstone::plugin::directory::{
    Comparison, Condition, Entry, Failure as DirectoryFailure, Key, Listing,
    Proof as DirectoryProof,
};
use crate::{ConfigError, Description};

/// A plugin that connects a domain to the directory that holds its users and groups.
///
/// Many connectors run on it, each with a configuration of its own. Each call runs in a fresh
/// instance; connections can be kept between calls ([`crate::stream`]).
pub trait DirectoryConnector {
    /// A connector's configuration, without its secret fields.
    type Config: DeserializeOwned;

    /// What this plugin is.
    fn describe() -> Description;

    /// Whether this configuration will work. Called before it goes live. A directory that does not
    /// answer just now is no reason to refuse it.
    ///
    /// # Errors
    /// What is wrong, for the connector's owner.
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _ = config;
        Ok(())
    }

    /// # Errors
    /// Where the directory does not answer. The same goes for all that follow.
    fn find_user(config: Self::Config, key: Key) -> Result<Option<Entry>, DirectoryFailure>;

    fn find_group(config: Self::Config, key: Key) -> Result<Option<Entry>, DirectoryFailure>;

    /// At most `most` entries for which all conditions hold.
    fn list_users(
        config: Self::Config,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Listing, DirectoryFailure>;

    fn list_groups(
        config: Self::Config,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Listing, DirectoryFailure>;

    /// Nothing, where there is no such user.
    fn groups_of_user(
        config: Self::Config,
        id: String,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Option<Listing>, DirectoryFailure>;

    /// Nothing, where there is no such group.
    fn members_of_group(
        config: Self::Config,
        id: String,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Option<Listing>, DirectoryFailure>;

    /// Whether this is the user's password.
    fn verify(
        config: Self::Config,
        key: Key,
        password: &str,
    ) -> Result<DirectoryProof, DirectoryFailure>;
}
