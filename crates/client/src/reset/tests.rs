//! The steps of a reset: when it may be made, what is compared, and what a crash leaves.

mod crash;
mod guard;
mod recovered;
mod schema;
mod transcript;
