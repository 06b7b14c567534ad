//! The machine against recorded connections, tables of failures, scenarios and random inputs.

mod model;
mod rig;
mod transcripts;
