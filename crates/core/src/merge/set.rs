//! Sets: an element is named by its value.
//!
//! Spec: merge, section 6.7.

use bailiwick_protocol::changeset::{Changeset, ObjectKey, Payload};

use super::op::{Op, Sides};
use super::pair::discard_earlier;

/// The later of two decides whether the element is there.
///
/// `a` is the local one of two that are of the same kind, else the SetErase.
pub(super) fn same_element(a: &mut Op, b: &mut Op, sides: &Sides<'_>) {
    if a.is_same_path(b) && is_same_value(a, b, sides) {
        discard_earlier(a, b);
    }
}

/// Clearing wins at any time.
pub(super) fn clear_element(clear: &mut Op, element: &mut Op) {
    if clear.is_same_path(element) {
        element.discard();
    }
}

fn is_same_value(a: &Op, b: &Op, sides: &Sides<'_>) -> bool {
    match (sides.instruction(a).value(), sides.instruction(b).value()) {
        (Some(ours), Some(theirs)) => {
            is_same_payload(ours, sides.changeset(a), theirs, sides.changeset(b))
        }
        _ => false,
    }
}

/// Equality by content: a link by the names that it holds, a floating point number numerically.
///
/// Two SetErases are compared likewise. The reference compares the positions of texts in its buffers there,
/// which makes it keep one of two equal erasures, or lose one of two different ones.
fn is_same_payload(
    ours: &Payload,
    our_names: &Changeset,
    theirs: &Payload,
    their_names: &Changeset,
) -> bool {
    #[expect(
        clippy::float_cmp,
        reason = "the reference compares numbers, so that NaN never is equal"
    )]
    match (ours, theirs) {
        (Payload::Float(ours), Payload::Float(theirs)) => ours == theirs,
        (Payload::Double(ours), Payload::Double(theirs)) => ours == theirs,
        (Payload::Link(ours), Payload::Link(theirs)) => {
            our_names.text(ours.table) == their_names.text(theirs.table)
                && match (ours.object, theirs.object) {
                    (ObjectKey::String(ours), ObjectKey::String(theirs)) => {
                        our_names.text(ours) == their_names.text(theirs)
                    }
                    (ours, theirs) => ours == theirs,
                }
        }
        _ => ours == theirs,
    }
}
