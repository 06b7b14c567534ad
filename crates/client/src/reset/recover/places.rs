//! Where an instruction of the device leads in the fresh copy.
//!
//! Spec: client, section 7.5; applying, section 6.

use std::collections::BTreeMap;

use bailiwick_core::apply::Fault;
use bailiwick_core::schema::{Class, ClassId, Column, Schema, ValueType};
use bailiwick_core::state::{Object, PrimaryKey, Value};
use bailiwick_protocol::changeset::{Changeset, CollectionKind, Path, PathElement, Target};

use super::runs::Known;
use super::tracker::{Element, Tracker};

/// An object of the fresh copy.
pub(super) type ObjectId = (ClassId, PrimaryKey);

/// The lists that the replay has come by.
#[derive(Debug, Default)]
pub(super) struct Places {
    objects: BTreeMap<ObjectId, Place>,
}

/// An object, or a value in it, with what is known of the lists there.
#[derive(Debug, Default)]
struct Place {
    list: Option<List>,
    /// By field or dictionary key.
    keys: BTreeMap<Box<str>, Place>,
    /// By element.
    elements: BTreeMap<Known, Place>,
}

/// A list.
#[derive(Debug)]
enum List {
    /// Positions are translated.
    Tracked(Tracker),
    /// It becomes what the device has in the end, and no instruction about it counts.
    Copied,
}

/// One step of the way from an object to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<'c> {
    /// To a field or a dictionary entry.
    Key(&'c str),
    /// To a list element.
    Element(Known),
}

/// The way from an object to a list that is copied: fields and dictionary keys.
pub(super) type CopyPath = Vec<Box<str>>;

/// Where an instruction leads.
#[derive(Debug)]
pub(super) enum Way<'c> {
    /// To this place.
    Here(Spot<'c>),
    /// Nowhere: what lay there is gone.
    Nowhere,
    /// Into a list that is copied.
    Copied,
    /// Into a list at a position that is not known; it is to be copied from now on.
    Lost(Vec<Step<'c>>),
}

/// A place in the fresh copy.
#[derive(Debug)]
pub(super) struct Spot<'c> {
    /// As instructions have it, in the strings of the device's changeset; without the position if `end` is a list
    /// element.
    pub(super) path: Path,
    pub(super) way: Vec<Step<'c>>,
    pub(super) end: End,
}

/// What a path ends with.
#[derive(Debug)]
pub(super) enum End {
    /// A field.
    Field { value: Value },
    /// A dictionary entry, present or not.
    Entry { value: Option<Value> },
    /// A list element; the way leads to the list.
    Element {
        /// The position on the device.
        index: u32,
        /// What is there in the fresh copy, if it is known which element it is.
        value: Option<Value>,
    },
}

impl Places {
    /// Follows the path of an instruction in an object of the fresh copy.
    ///
    /// # Errors
    ///
    /// The path contradicts the schema.
    pub(super) fn walk<'c>(
        &mut self,
        schema: &Schema,
        (id, object): (&ObjectId, &Object),
        local: &'c Changeset,
        target: &Target,
    ) -> Result<Way<'c>, Fault> {
        let field = local.text(target.field);
        let class = schema.class_by_id(id.0).ok_or(Fault::NoObject)?;
        if class.is_primary_key(field) {
            return Err(Fault::PrimaryKey);
        }
        let mut slot = Slot::Field(*column(class, field)?);
        let mut value = slot.value(object);
        let (mut way, mut path) = (vec![Step::Key(field)], Path::new());
        let mut rest = target.path.iter();
        while let Some(&element) = rest.next() {
            value = match (value, element) {
                (Value::List(list), PathElement::Index(index)) => {
                    let tracker = match self.list(id, &way, list.len()) {
                        List::Tracked(tracker) => tracker,
                        List::Copied => return Ok(Way::Copied),
                    };
                    let found = tracker.get(index);
                    if rest.as_slice().is_empty() {
                        let value =
                            found.fresh().and_then(|index| list.get(index as usize)).cloned();
                        let end = End::Element { index, value };
                        return Ok(Way::Here(Spot { path, way, end }));
                    }
                    let (known, index) = match found {
                        Element::Known { known, index } => (known, index),
                        Element::Missing => return Ok(Way::Nowhere),
                        Element::Unknown => return Ok(Way::Lost(way)),
                    };
                    way.push(Step::Element(known));
                    path.push(PathElement::Index(index));
                    slot = Slot::Element(slot.value_type());
                    list.get(index as usize).cloned().unwrap_or_default()
                }
                (Value::Dictionary(dictionary), PathElement::Key(key)) => {
                    let key = local.text(key);
                    way.push(Step::Key(key));
                    path.push(element);
                    slot = Slot::Element(slot.value_type());
                    let value = dictionary.get(key).cloned();
                    if rest.as_slice().is_empty() {
                        return Ok(Way::Here(Spot { path, way, end: End::Entry { value } }));
                    }
                    let Some(value) = value else { return Ok(Way::Nowhere) };
                    value
                }
                (Value::Object(object), PathElement::Key(field)) => {
                    let class =
                        slot.value_type().target().and_then(|class| schema.class_by_id(class));
                    let field = local.text(field);
                    way.push(Step::Key(field));
                    path.push(element);
                    slot = Slot::Field(*column(class.ok_or(Fault::Through)?, field)?);
                    slot.value(&object)
                }
                (value, _) => return slot.is_gone(&value),
            };
        }
        match slot {
            Slot::Field(_) => Ok(Way::Here(Spot { path, way, end: End::Field { value } })),
            Slot::Element(_) => Err(Fault::PathElement),
        }
    }

    /// What is known of a list, whose length in the fresh copy is given.
    fn list(&mut self, object: &ObjectId, way: &[Step<'_>], len: usize) -> &mut List {
        let place = self.place(object, way);
        place.list.get_or_insert_with(|| List::Tracked(Tracker::new(len)))
    }

    /// The tracker of a list that was walked to, unless it is copied.
    pub(super) fn tracker(&mut self, object: &ObjectId, way: &[Step<'_>]) -> Option<&mut Tracker> {
        match &mut self.place(object, way).list {
            Some(List::Tracked(tracker)) => Some(tracker),
            _ => None,
        }
    }

    /// Forgets what is known of the lists at a place and below: it holds something else now.
    pub(super) fn forget(&mut self, object: &ObjectId, way: &[Step<'_>]) {
        if let Some((last, way)) = way.split_last()
            && let Some(place) = self.find(object, way)
        {
            match last {
                Step::Key(key) => drop(place.keys.remove(*key)),
                Step::Element(known) => drop(place.elements.remove(known)),
            }
        }
    }

    /// Forgets what is known of the lists of an object.
    pub(super) fn forget_object(&mut self, object: &ObjectId) {
        self.objects.remove(object);
    }

    /// The collection at a place was cleared. If it is a list, all that comes into it is known from now on.
    pub(super) fn clear(&mut self, object: &ObjectId, way: &[Step<'_>]) {
        let place = self.place(object, way);
        let mut tracker = Tracker::new(0);
        tracker.clear();
        *place = Place { list: Some(List::Tracked(tracker)), ..Place::default() };
    }

    /// A list is copied from now on; if it lies in an element of another list, that one is. Answers which one.
    pub(super) fn copy(&mut self, object: &ObjectId, way: &[Step<'_>]) -> CopyPath {
        let keys = way.iter().map_while(|step| match step {
            Step::Key(key) => Some(Box::from(*key)),
            Step::Element(_) => None,
        });
        let path: CopyPath = keys.collect();
        let place = self.place(object, &way[..path.len()]);
        *place = Place { list: Some(List::Copied), ..Place::default() };
        path
    }

    /// Whether a list is still to be copied.
    pub(super) fn is_copied(&self, object: &ObjectId, path: &[Box<str>]) -> bool {
        let place = self.objects.get(object);
        let place = path.iter().try_fold(place, |place, key| Some(place?.keys.get(&**key)));
        let place = place.flatten();
        matches!(place, Some(Place { list: Some(List::Copied), .. }))
    }

    /// An element has left a list of the fresh copy, by itself. Keys are texts in `strings`.
    pub(super) fn lose(&mut self, object: &ObjectId, strings: &Changeset, target: &Target) {
        let Some((PathElement::Index(index), path)) = target.path.split_last() else { return };
        let Some(mut place) = self.objects.get_mut(object) else { return };
        let first = PathElement::Key(target.field);
        for element in std::iter::once(&first).chain(path) {
            let next = match element {
                PathElement::Key(key) => place.keys.get_mut(strings.text(*key)),
                PathElement::Index(index) => match &place.list {
                    Some(List::Tracked(tracker)) => {
                        tracker.known_at(*index).and_then(|known| place.elements.get_mut(&known))
                    }
                    _ => None,
                },
            };
            let Some(next) = next else { return };
            place = next;
        }
        if let Some(List::Tracked(tracker)) = &mut place.list {
            if let Some(known) = tracker.known_at(*index) {
                place.elements.remove(&known);
            }
            tracker.lose(*index);
        }
    }

    fn place(&mut self, object: &ObjectId, way: &[Step<'_>]) -> &mut Place {
        let mut place = self.objects.entry(object.clone()).or_default();
        for step in way {
            place = match step {
                Step::Key(key) => {
                    if !place.keys.contains_key(*key) {
                        place.keys.insert((*key).into(), Place::default());
                    }
                    place.keys.get_mut(*key).expect("it was there or was put there")
                }
                Step::Element(known) => place.elements.entry(*known).or_default(),
            };
        }
        place
    }

    fn find(&mut self, object: &ObjectId, way: &[Step<'_>]) -> Option<&mut Place> {
        let place = self.objects.get_mut(object)?;
        way.iter().try_fold(place, |place, step| match step {
            Step::Key(key) => place.keys.get_mut(*key),
            Step::Element(known) => place.elements.get_mut(known),
        })
    }
}

/// What the value at hand is in.
#[derive(Clone, Copy)]
enum Slot {
    /// A field, which may be a collection as a whole.
    Field(Column),
    /// An element or entry of a collection of values of this type.
    Element(ValueType),
}

impl Slot {
    fn value_type(self) -> ValueType {
        match self {
            Self::Field(column) => column.value_type,
            Self::Element(value_type) => value_type,
        }
    }

    /// The value of a field.
    fn value(self, object: &Object) -> Value {
        match self {
            Self::Field(column) => {
                object.get(column.id).cloned().unwrap_or_else(|| column.default_value())
            }
            Self::Element(_) => Value::Null,
        }
    }

    /// Where a path leads that goes on below a value which has no such element.
    fn is_gone<'c>(self, value: &Value) -> Result<Way<'c>, Fault> {
        match (self, self.value_type()) {
            (Self::Field(column), _) if column.collection != CollectionKind::Single => {
                Err(Fault::PathElement)
            }
            (_, ValueType::Mixed) => Ok(Way::Nowhere),
            (_, ValueType::Embedded(_)) if value.is_null() => Ok(Way::Nowhere),
            (_, ValueType::Embedded(_)) => Err(Fault::PathElement),
            (_, ValueType::Link(_) | ValueType::AnyLink) => Err(Fault::ThroughLink),
            _ => Err(Fault::Through),
        }
    }
}

fn column<'a>(class: &'a Class, field: &str) -> Result<&'a Column, Fault> {
    class.column(field).ok_or_else(|| Fault::NoField(field.to_owned()))
}
