//! What becomes of a local instruction about a place inside an object.
//!
//! Spec: client, section 7.5, the table of rules.

use bailiwick_core::apply::Fault;
use bailiwick_core::state::Value;
use bailiwick_protocol::changeset::{
    Changeset, CollectionKind, Instruction, Path, PathElement, Payload, Target, UpdateKind,
};

use super::places::{End, ObjectId, Spot, Step, Way};
use super::replay::{Problem, Replay};
use super::tracker::{Element, Move};

impl Replay<'_> {
    /// Replays an instruction that changes a place inside an object.
    pub(super) fn edit(
        &mut self,
        local: &Changeset,
        instruction: &Instruction,
    ) -> Result<(), Problem> {
        let Some(target) = instruction.target() else { return Ok(()) };
        let id = self.object(local, target.table, target.object)?;
        let way = match self.transaction.object_and_schema(id.0, &id.1)? {
            (Some(object), schema) => self.places.walk(schema, (&id, object), local, target)?,
            // The object is gone on the server.
            (None, _) => return Ok(()),
        };
        match way {
            Way::Here(spot) => Edit { replay: self, local, target, id: &id }.at(spot, instruction),
            Way::Lost(way) => {
                self.copy(&id, &way);
                Ok(())
            }
            Way::Nowhere | Way::Copied => Ok(()),
        }
    }

    /// A list is to be copied.
    fn copy(&mut self, id: &ObjectId, way: &[Step<'_>]) {
        let path = self.places.copy(id, way);
        self.copies.insert((id.clone(), path));
    }
}

/// One instruction.
struct Edit<'r, 'a, 'c> {
    replay: &'r mut Replay<'a>,
    local: &'c Changeset,
    target: &'c Target,
    id: &'r ObjectId,
}

impl Edit<'_, '_, '_> {
    fn at(mut self, spot: Spot<'_>, instruction: &Instruction) -> Result<(), Problem> {
        match instruction {
            Instruction::Update { value, kind, .. } => self.update(spot, value, *kind),
            Instruction::AddInteger { value, .. } => self.add_integer(spot, *value),
            Instruction::ArrayInsert { value, .. } => self.array_insert(spot, value),
            Instruction::ArrayMove { to, .. } => self.array_move(spot, *to),
            Instruction::ArrayErase { .. } => self.array_erase(spot),
            Instruction::Clear { collection, .. } => self.clear(spot, *collection),
            Instruction::SetInsert { value, .. } => {
                if self.replay.is_dangling(self.local, value)? {
                    return Ok(());
                }
                let value = value.clone();
                self.emit(spot.path, |target| Instruction::SetInsert { target, value })
            }
            Instruction::SetErase { value, .. } => {
                let value = value.clone();
                self.emit(spot.path, |target| Instruction::SetErase { target, value })
            }
            _ => Ok(()),
        }
    }

    /// The device wins. What it links to may be gone: then it is null, or it is nothing at all in a list.
    fn update(&mut self, spot: Spot<'_>, value: &Payload, kind: UpdateKind) -> Result<(), Problem> {
        let is_dangling = self.replay.is_dangling(self.local, value)?;
        let keeps = keeps_content(&spot.end, value);
        let value = if is_dangling { Payload::Null } else { value.clone() };
        let Spot { mut path, mut way, end } = spot;
        let kind = match end {
            End::Entry { value: None } if matches!(value, Payload::Erased) => return Ok(()),
            End::Field { .. } | End::Entry { .. } => match kind {
                UpdateKind::Value { .. } => kind,
                UpdateKind::Element { .. } => return Err(Fault::PathElement.into()),
            },
            End::Element { index, .. } => {
                let Some((known, index, len)) = self.known(&way, index) else { return Ok(()) };
                if is_dangling {
                    return Ok(());
                }
                path.push(PathElement::Index(index));
                way.push(known);
                UpdateKind::Element { prior_size: len }
            }
        };
        self.emit(path, |target| Instruction::Update { target, value, kind })?;
        if !keeps {
            self.replay.places.forget(self.id, &way);
        }
        Ok(())
    }

    fn add_integer(&mut self, spot: Spot<'_>, value: i64) -> Result<(), Problem> {
        match spot.end {
            End::Field { value: Value::Int(_) } => {
                self.emit(spot.path, |target| Instruction::AddInteger { target, value })
            }
            // The server has something else there, to which nothing can be added.
            End::Field { .. } => Ok(()),
            End::Entry { .. } | End::Element { .. } => Err(Fault::NotAField.into()),
        }
    }

    fn array_insert(&mut self, spot: Spot<'_>, value: &Payload) -> Result<(), Problem> {
        let (Spot { mut path, way, .. }, index) = list_element(spot)?;
        let is_dangling = self.replay.is_dangling(self.local, value)?;
        let Some(tracker) = self.replay.places.tracker(self.id, &way) else { return Ok(()) };
        if is_dangling {
            tracker.insert_missing(index);
            return Ok(());
        }
        let prior_size = tracker.len();
        path.push(PathElement::Index(tracker.insert(index)));
        let value = value.clone();
        self.emit(path, |target| Instruction::ArrayInsert { target, value, prior_size })
    }

    fn array_move(&mut self, spot: Spot<'_>, to: u32) -> Result<(), Problem> {
        let (Spot { mut path, way, .. }, from) = list_element(spot)?;
        let Some(tracker) = self.replay.places.tracker(self.id, &way) else { return Ok(()) };
        let prior_size = tracker.len();
        match tracker.move_element(from, to) {
            Move::Known { from, to } => {
                path.push(PathElement::Index(from));
                self.emit(path, |target| Instruction::ArrayMove { target, to, prior_size })
            }
            Move::Missing => Ok(()),
            Move::Unknown => {
                self.replay.copy(self.id, &way);
                Ok(())
            }
        }
    }

    fn array_erase(&mut self, spot: Spot<'_>) -> Result<(), Problem> {
        let (Spot { mut path, mut way, .. }, index) = list_element(spot)?;
        let Some(tracker) = self.replay.places.tracker(self.id, &way) else { return Ok(()) };
        let prior_size = tracker.len();
        match tracker.erase(index) {
            Element::Known { known, index } => {
                way.push(Step::Element(known));
                self.replay.places.forget(self.id, &way);
                path.push(PathElement::Index(index));
                self.emit(path, |target| Instruction::ArrayErase { target, prior_size })
            }
            Element::Missing => Ok(()),
            Element::Unknown => {
                self.replay.copy(self.id, &way);
                Ok(())
            }
        }
    }

    fn clear(&mut self, spot: Spot<'_>, collection: CollectionKind) -> Result<(), Problem> {
        let Spot { mut path, mut way, end } = spot;
        match end {
            End::Field { .. } | End::Entry { value: Some(_) } => (),
            End::Entry { value: None } => {
                let value = match collection {
                    CollectionKind::List => Payload::List,
                    CollectionKind::Dictionary => Payload::Dictionary,
                    kind => return Err(Fault::CollectionKind(kind).into()),
                };
                let kind = UpdateKind::Value { is_default: false };
                self.emit(path.clone(), |target| Instruction::Update { target, value, kind })?;
            }
            End::Element { index, .. } => {
                let Some((known, index, _)) = self.known(&way, index) else { return Ok(()) };
                path.push(PathElement::Index(index));
                way.push(known);
            }
        }
        self.replay.places.clear(self.id, &way);
        self.emit(path, |target| Instruction::Clear { target, collection })
    }

    /// A list element at a position on the device: its step, its position in the fresh copy and the length of the list
    /// there. If it is not known, what has to be done is done.
    fn known(&mut self, way: &[Step<'_>], index: u32) -> Option<(Step<'static>, u32, u32)> {
        let tracker = self.replay.places.tracker(self.id, way)?;
        match tracker.get(index) {
            Element::Known { known, index } => Some((Step::Element(known), index, tracker.len())),
            Element::Missing => None,
            Element::Unknown => {
                self.replay.copy(self.id, way);
                None
            }
        }
    }

    /// Does an instruction at a path in the strings of the device's changeset.
    fn emit(
        &mut self,
        path: Path,
        instruction: impl FnOnce(Target) -> Instruction,
    ) -> Result<(), Problem> {
        let Target { table, object, field, .. } = *self.target;
        let target = Target { table, object, field, path };
        Ok(self.replay.emit(self.local, instruction(target))?)
    }
}

/// Whether an update leaves what is at a place there.
fn keeps_content(end: &End, value: &Payload) -> bool {
    let before = match end {
        End::Field { value } => Some(value),
        End::Entry { value } | End::Element { value, .. } => value.as_ref(),
    };
    match (value, before) {
        // A new object makes way for another only in a dictionary.
        (Payload::ObjectValue, Some(Value::Object(_))) => !matches!(end, End::Entry { .. }),
        (Payload::List, Some(Value::List(_)))
        | (Payload::Dictionary, Some(Value::Dictionary(_))) => true,
        _ => false,
    }
}

fn list_element(spot: Spot<'_>) -> Result<(Spot<'_>, u32), Fault> {
    match spot.end {
        End::Element { index, .. } => Ok((spot, index)),
        _ => Err(Fault::NotAnElement),
    }
}
