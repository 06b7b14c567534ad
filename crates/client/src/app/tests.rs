//! Against recorded exchanges: what is sent, byte by byte of its meaning, and what becomes of each answer.

mod calls;
mod exchange;
mod failures;
mod location;
mod refresh;
mod users;
