//! `cargo xtask sim`: everything in one process, from one seed.

mod app;
mod choices;
