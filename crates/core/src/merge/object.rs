//! Objects that come and go; an EraseObject against what is inside of it is a nested rule.
//!
//! Creating an object twice is no conflict: both creations stay.
//!
//! Spec: merge, section 6.3.

use super::op::Op;
use super::pair::discard_earlier;

/// Erasing wins at any time.
pub(super) fn erase_create(erase: &mut Op, create: &mut Op) {
    if erase.object == create.object {
        create.discard();
    }
}

/// One erasure stays, so that what its author did to the object afterwards still follows it.
pub(super) fn erase_erase(a: &mut Op, b: &mut Op) {
    if a.object == b.object {
        discard_earlier(a, b);
    }
}
