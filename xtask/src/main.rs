//! What maintainers run: `cargo xtask --help` lists it.

#[allow(dead_code)]
mod vectors;

fn main() {}
