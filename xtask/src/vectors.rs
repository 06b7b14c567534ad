//! `cargo xtask vectors SUITE FILE...`: checks files in the format of the shared test vectors.
