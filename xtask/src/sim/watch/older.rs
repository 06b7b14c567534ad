//! What devices of older protocol versions are sent instead of a changeset.

use bailiwick_protocol::changeset::{Changeset, Instruction, Payload};

/// Whether `sent` is what is `known`, but for writes of dictionary entries right before their removal.
pub(super) fn is_same(known: &[u8], sent: &[u8]) -> bool {
    if known == sent {
        return true;
    }
    let (Ok(known), Ok(sent)) = (Changeset::decode(known), Changeset::decode(sent)) else {
        return false;
    };
    let mut rest = sent.instructions.iter();
    let is_next = |instruction: &Instruction| match rest.next() {
        Some(write) if is_write_before(write, instruction) => rest.next() == Some(instruction),
        next => next == Some(instruction),
    };
    known.strings == sent.strings && known.instructions.iter().all(is_next) && rest.next().is_none()
}

fn is_write_before(write: &Instruction, removal: &Instruction) -> bool {
    match (write, removal) {
        (
            Instruction::Update { target: written, value, .. },
            Instruction::Update { target, value: Payload::Erased, .. },
        ) => written == target && *value != Payload::Erased,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_protocol::changeset::{ObjectKey, PathElement, Target, UpdateKind};

    use super::*;

    /// Updates of the entry `key` of a dictionary.
    fn changeset(updates: &[(&str, Payload)]) -> Vec<u8> {
        let mut changeset = Changeset::default();
        for (key, value) in updates {
            let table = changeset.strings.intern("Class");
            let field = changeset.strings.intern("field");
            let path = [PathElement::Key(changeset.strings.intern(key))].into_iter().collect();
            let target = Target { table, object: ObjectKey::Int(1), field, path };
            let kind = UpdateKind::Value { is_default: false };
            let value = value.clone();
            changeset.instructions.push(Instruction::Update { target, value, kind });
        }
        changeset.encode()
    }

    #[test]
    fn only_a_write_of_the_entry_may_come_before_its_removal() {
        let removal = [("a", Payload::Erased), ("b", Payload::Int(1))];
        let check = |sent: &[(&str, Payload)], expected| {
            assert_eq!(is_same(&changeset(&removal), &changeset(sent)), expected, "{sent:?}");
        };
        let [erased, other] = removal.clone();
        check(&removal, true);
        check(&[("a", Payload::Null), erased.clone(), other.clone()], true);
        check(&[("b", Payload::Null), erased.clone(), other.clone()], false);
        check(&[erased.clone(), erased.clone(), other.clone()], false);
        check(&[erased.clone(), ("b", Payload::Null), other.clone()], false);
        check(&[("a", Payload::Null), ("a", Payload::Null), erased.clone(), other.clone()], false);
        check(&[("a", Payload::Null), erased.clone(), ("b", Payload::Int(2))], false);
        check(&[("a", Payload::Null), erased], false);
    }
}
