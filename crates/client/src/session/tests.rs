//! The machine against recorded connections, tables of failures, scenarios and random inputs.

mod failures;
mod flow;
mod model;
mod random;
mod referee;
mod resets;
mod rig;
mod server;
mod transcripts;
mod waits;
