//! Plugins as they are built, in the runtime as it is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod directory;
mod guests;
mod hot_swap;
mod loading;
mod network;
mod sandbox;
mod sequence;
mod totp;
