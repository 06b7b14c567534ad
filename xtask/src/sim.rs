//! `cargo xtask sim`: everything in one process, from one seed.

pub(crate) mod app;
pub(crate) mod choices;
