//! The classes of an application, in all of its versions, and how their fields are used.

use bailiwick_client::schema::{Class, ClassKind, CollectionKind, Property, PropertyType, Schema};
use bailiwick_client::value::PrimaryKey;

use super::{Clocks, Memory, NESTED_COLLECTIONS, RICH_TYPES, Style, VERSIONS, mark, value};
use crate::sim::choices::Choices;

/// All classes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) style: Style,
    /// The classes of top-level objects.
    pub(super) classes: Vec<ClassPlan>,
    /// The classes of embedded objects, in which those that come later are embedded.
    pub(super) embedded: Vec<ClassPlan>,
}

/// A class.
#[derive(Debug)]
pub(super) struct ClassPlan {
    pub(super) name: String,
    /// The version of the application from which on it is there.
    pub(super) since: usize,
    key: Option<Property>,
    /// What objects are called: few, so that devices meet.
    pub(super) keys: Vec<PrimaryKey>,
    pub(super) fields: Vec<Field>,
}

/// A field that is not the key.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) property: Property,
    pub(super) since: usize,
    pub(super) mixed: MixedUse,
}

/// What is put into a field of mixed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MixedUse {
    /// No collections.
    Flat,
    /// One value, which is null or a list for ever.
    List,
    /// One value, which is null or a dictionary for ever.
    Dictionary,
    /// Everything.
    Any,
}

const KEY: &str = "_id";

impl Plan {
    /// There are only links to the first object of a class, and that is not deleted: it would change all that have one.
    pub(super) fn are_links_kept(&self) -> bool {
        self.style.memory == Memory::UpToBackup
    }

    pub(super) fn new(choices: &mut Choices, style: Style) -> Self {
        let mut plan = Self { style, classes: Vec::new(), embedded: Vec::new() };
        for number in 0..=choices.below(4) {
            let since = if number == 0 { 0 } else { since(choices) };
            let key = key_property(choices, style);
            let keys = value::keys(choices, &key);
            let (name, fields) = (format!("Class{number}"), Vec::new());
            plan.classes.push(ClassPlan { name, since, key: Some(key), keys, fields });
        }
        for number in 0..choices.below(4) {
            let (name, since) = (format!("Embedded{number}"), since(choices));
            let (keys, fields) = (Vec::new(), Vec::new());
            plan.embedded.push(ClassPlan { name, since, key: None, keys, fields });
        }
        for class in 0..plan.classes.len() {
            for _ in 0..4 + choices.below(12) {
                let field = plan.field(choices, &plan.classes[class], &plan.embedded, false);
                plan.classes[class].fields.push(field);
            }
        }
        for class in 0..plan.embedded.len() {
            for _ in 0..=choices.below(6) {
                let (class_plan, deeper) = (&plan.embedded[class], &plan.embedded[class + 1..]);
                let field = plan.field(choices, class_plan, deeper, true);
                plan.embedded[class].fields.push(field);
            }
        }
        plan
    }

    /// What a version of the application declares.
    pub(super) fn schema(&self, version: usize) -> Schema {
        let classes = self.classes.iter().chain(&self.embedded);
        let classes = classes.filter(|class| class.since <= version);
        classes
            .map(|class| class.declare(version))
            .fold(Schema::new().class(mark::class()), Schema::class)
    }

    /// The class of this name.
    pub(super) fn class(&self, name: &str) -> &ClassPlan {
        let mut classes = self.classes.iter().chain(&self.embedded);
        classes.find(|class| class.name == name).expect("fields lead to classes of the plan")
    }

    fn field(
        &self,
        choices: &mut Choices,
        class: &ClassPlan,
        embedded: &[ClassPlan],
        is_inside: bool,
    ) -> Field {
        let number = class.fields.len();
        let since = class.since.max(since(choices));
        let is_rich = self.style.lowest >= RICH_TYPES;
        let value_type = match choices.below(16) {
            0..=3 => PropertyType::Int,
            4..=5 => PropertyType::String,
            6..=8 if is_rich => PropertyType::Mixed,
            9..=10 => PropertyType::Link(choices.pick(&self.classes).name.clone()),
            11..=13 if !embedded.is_empty() => {
                PropertyType::Embedded(choices.pick(embedded).name.clone())
            }
            _ => scalar_type(choices, is_rich),
        };
        let collection = match choices.below(10) {
            3..=5 => CollectionKind::List,
            6..=7 if is_rich && !matches!(value_type, PropertyType::Embedded(_)) => {
                CollectionKind::Set
            }
            8..=9 if is_rich => CollectionKind::Dictionary,
            _ => CollectionKind::Single,
        };
        let since = since.max(value_type.target().map_or(0, |target| self.class(target).since));
        let mixed = if value_type == PropertyType::Mixed && !is_inside {
            self.mixed_use(choices, collection)
        } else {
            // What is inside of a collection in an embedded object might be cleared inside of a list.
            MixedUse::Flat
        };
        let mut property = Property::new(format!("field{number}"), value_type);
        property = property.collection(collection);
        if property.value_type.target().is_none() && choices.yes() {
            property = property.nullable();
        }
        Field { property, since, mixed }
    }

    fn mixed_use(&self, choices: &mut Choices, collection: CollectionKind) -> MixedUse {
        let Style { lowest, clocks, .. } = self.style;
        let changes_kind = clocks == Clocks::Steady;
        match (collection, choices.below(3)) {
            _ if lowest < NESTED_COLLECTIONS => MixedUse::Flat,
            (CollectionKind::Single, 0) => MixedUse::List,
            (CollectionKind::Single, 1) => MixedUse::Dictionary,
            (CollectionKind::Single, _) | (CollectionKind::Dictionary, 1..) if changes_kind => {
                MixedUse::Any
            }
            (CollectionKind::List, 1..) => MixedUse::Any,
            _ => MixedUse::Flat,
        }
    }
}

impl ClassPlan {
    fn declare(&self, version: usize) -> Class {
        let mut class = Class::embedded(&self.name);
        if let Some(key) = &self.key {
            class.kind = ClassKind::TopLevel { primary_key: key.name.clone() };
            class = class.with(key.clone());
        }
        let fields = self.fields.iter().filter(|field| field.since <= version);
        fields.map(|field| field.property.clone()).fold(class, Class::with)
    }
}

/// The first version that has something; most is there from the beginning.
fn since(choices: &mut Choices) -> usize {
    if choices.one_in(4) { choices.below(VERSIONS) } else { 0 }
}

fn key_property(choices: &mut Choices, style: Style) -> Property {
    let value_type = match choices.below(6) {
        0..=1 => PropertyType::String,
        2 => PropertyType::ObjectId,
        3 if style.lowest >= RICH_TYPES => PropertyType::Uuid,
        _ => PropertyType::Int,
    };
    let key = Property::new(KEY, value_type);
    if choices.one_in(3) { key.nullable() } else { key }
}

fn scalar_type(choices: &mut Choices, is_rich: bool) -> PropertyType {
    let types = [
        PropertyType::Bool,
        PropertyType::Binary,
        PropertyType::Timestamp,
        PropertyType::Float,
        PropertyType::Double,
        PropertyType::Decimal,
        PropertyType::ObjectId,
        PropertyType::Uuid,
    ];
    let count = if is_rich { types.len() } else { types.len() - 1 };
    choices.pick(&types[..count]).clone()
}
