//! Plugins as they are built, in the runtime as it is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attestation;
mod authenticator;
mod corpus;
mod directory;
mod every_export;
mod guests;
mod hot_swap;
mod identity_provider;
mod jwt;
mod languages;
mod loading;
mod network;
mod oidc;
mod sandbox;
mod security_key;
mod sequence;
mod signatures;
mod totp;
