//! An instruction against one that reaches deeper: what becomes of the inner one.
//!
//! Spec: merge, section 5.

use bailiwick_protocol::changeset::{Kind, TypeCode};

use super::error::MergeFault;
use super::list;
use super::op::{Op, Step, down, up};

/// Carries `inner` past `outer`, which is at a lower level.
#[inline]
pub(super) fn merge(outer: &mut Op, inner: &mut Op) -> Result<(), MergeFault> {
    match outer.kind {
        Kind::EraseTable => {
            if outer.class == inner.class {
                inner.discard();
            }
        }
        Kind::EraseObject => {
            if outer.object == inner.object {
                inner.discard();
            }
        }
        Kind::Update => {
            if outer.next_step(inner).is_some_and(|next| !survives_update(outer.value, next)) {
                inner.discard();
            }
        }
        Kind::AddInteger | Kind::Clear => {
            if outer.next_step(inner).is_some() {
                inner.discard();
            }
        }
        Kind::ArrayInsert => {
            if let Some(index) = outer.sibling(inner)?
                && index >= outer.index()?
            {
                outer.set_sibling(inner, up(index)?);
            }
        }
        Kind::ArrayErase => {
            if let Some(index) = outer.sibling(inner)? {
                let erased = outer.index()?;
                if index == erased {
                    inner.discard();
                } else if index > erased {
                    outer.set_sibling(inner, down(index)?);
                }
            }
        }
        Kind::ArrayMove => {
            // An oddity that all devices share: not the inner path follows the move, but the move's source
            // is treated as if the inner element had moved.
            if let Some(index) = outer.sibling(inner)? {
                let source = list::moved(outer.index()?, index, outer.to)?;
                outer.set_index(source);
            }
        }
        Kind::AddTable
        | Kind::CreateObject
        | Kind::AddColumn
        | Kind::EraseColumn
        | Kind::SetInsert
        | Kind::SetErase => (),
    }
    Ok(())
}

/// Whether what lies below an updated place is still there when it now holds a value of type `value`.
///
/// Time does not count: whoever replaces a collection or an embedded object takes its content away.
fn survives_update(value: TypeCode, next: Step) -> bool {
    match (value, next) {
        (TypeCode::List, Step::Index(_)) | (TypeCode::Dictionary, Step::Key(_)) => true,
        (value, _) => value == TypeCode::ObjectValue,
    }
}
