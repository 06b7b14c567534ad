//! Recovery, rule by rule, then against models.

mod property;
mod rules;
mod world;
