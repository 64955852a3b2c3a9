//! The subcommands, one file each.

pub(crate) mod bootstrap;
pub(crate) mod connector;
pub(crate) mod db;
pub(crate) mod keys;
pub(crate) mod plugin;
pub(crate) mod routes;
pub(crate) mod saml;
pub(crate) mod serve;
pub(crate) mod token;

use std::io::Write;

/// Prints a line for the user.
pub(crate) fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").map_err(Into::into)
}
