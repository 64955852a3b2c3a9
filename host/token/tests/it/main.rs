//! The token crate from outside, against tokens that Keystone 30 made.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod credentials;
mod golden;
mod jws;
mod mutations;
mod payloads;
mod receipts;
mod repository;
mod tampering;
