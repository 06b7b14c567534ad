//! The scenarios once more, with the Rust client in the place of one SDK device, in both roles.

mod bulk;
mod cases;
mod classes;
mod conflicts;
mod counters;
mod crash;
mod device;
mod dump;
mod edits;
mod instructions;
mod live;
mod partitions;
mod random_edits;
mod schemas;
mod types;

const STORE: &str = r#""store42""#;
