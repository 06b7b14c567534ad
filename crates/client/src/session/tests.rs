//! The machine against recorded connections, tables of failures, scenarios and random inputs.

mod failures;
mod flow;
mod model;
mod resets;
mod rig;
mod transcripts;
mod waits;
