//! Whole files: what they keep, and how they fail.

mod batches;
#[path = "../../tests/shared/choices.rs"]
mod choices;
mod contents;
mod crash;
mod damage;
mod files;
mod model;

use super::{EncryptionKey, OpenOptions, Owner};

fn owner() -> Owner {
    Owner {
        app_id: "shop-abcde".into(),
        user_id: "65a000000000000000000001".into(),
        partition: "\"store 42\"".into(),
    }
}

fn plain() -> OpenOptions {
    OpenOptions::new(owner()).cache_len(1 << 20)
}

fn encrypted() -> OpenOptions {
    plain().encryption_key(EncryptionKey::new(std::array::from_fn(|i| u8::try_from(i).unwrap())))
}
