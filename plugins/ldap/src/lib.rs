//! LDAP as a domain's identity backend, with the options of Keystone's `[ldap]` section.
//!
//! `config`, `filter`, `dn`, `entry`, `session` and `people` need no host and are tested natively;
//! `connector` is what the host calls.

mod config;
mod connector;
mod dn;
mod entry;
mod filter;
mod people;
mod session;
