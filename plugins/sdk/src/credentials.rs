//! The secrets on file for the user who is being authenticated. Has to be granted, type by type.

pub use crate::bindings::archstone::plugin::credentials::{Credential, CredentialsError};
use crate::{Denial, bindings::archstone::plugin::credentials};

/// The user's credentials of this type, in a stable order.
///
/// # Errors
/// [`CredentialsError`]; `?` makes it a denial as unavailable.
pub fn of_type(name: &str) -> Result<Vec<Credential>, CredentialsError> {
    credentials::of_type(name)
}

impl From<CredentialsError> for Denial {
    fn from(error: CredentialsError) -> Self {
        Self::unavailable(match error {
            CredentialsError::NotGranted => "credentials of this type were not granted",
            CredentialsError::NoAccount => "there is no account whose credentials could be read",
        })
    }
}
