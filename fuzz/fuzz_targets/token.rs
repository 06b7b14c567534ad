//! See [`bailiwick_fuzz::token`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bailiwick_fuzz::token::run(input));
