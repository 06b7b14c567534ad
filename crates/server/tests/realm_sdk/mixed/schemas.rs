//! The object models of `schemas.mjs`.

use bailiwick_client::schema::{Class, Property, PropertyType, Schema};
use bailiwick_protocol::changeset::CollectionKind;

pub(super) fn entry() -> Schema {
    Schema::new().class(entry_class())
}

pub(super) fn journal() -> Schema {
    let journal = Class::new("Journal").primary_key("_id", PropertyType::String);
    entry().class(journal.list("lines", PropertyType::String))
}

/// Everything that two devices can change at the same time.
pub(super) fn thing() -> Schema {
    use PropertyType::{Embedded, Int, Link, Mixed, String};
    let link = || Link("Thing".into());
    let part = || Embedded("Part".into());
    let thing = Class::new("Thing")
        .primary_key("_id", Int)
        .optional("a", String)
        .optional("b", String)
        .optional("count", Int)
        .property("any", Mixed)
        .list("list", String)
        .list("numbers", Int)
        .set("set", String)
        .dictionary("map", String)
        .dictionary("anyMap", Mixed)
        .property("part", part())
        .list("parts", part())
        .dictionary("partMap", part())
        .property("link", link())
        .list("links", link())
        .set("linkSet", link())
        .dictionary("linkMap", link())
        .list("anyList", Mixed);
    with_parts(Schema::new().class(thing))
}

/// A property of every type, optional and not, alone and in each kind of collection.
pub(super) fn everything() -> Schema {
    use PropertyType::{
        Binary, Bool, Decimal, Double, Embedded, Float, Int, Link, Mixed, ObjectId, String,
        Timestamp, Uuid,
    };
    let scalars = [
        ("int", Int),
        ("bool", Bool),
        ("string", String),
        ("data", Binary),
        ("date", Timestamp),
        ("float", Float),
        ("double", Double),
        ("decimal128", Decimal),
        ("objectId", ObjectId),
        ("uuid", Uuid),
    ];
    let kinds = [
        ("", CollectionKind::Single),
        ("List", CollectionKind::List),
        ("Set", CollectionKind::Set),
        ("Map", CollectionKind::Dictionary),
    ];
    let mut class = Class::new("Everything").primary_key("_id", Int);
    for (kind_name, kind) in kinds {
        for (name, value_type) in &scalars {
            let property = Property::new(format!("{name}{kind_name}"), value_type.clone());
            class = class.with(property.collection(kind));
            let optional = Property::new(format!("{name}Opt{kind_name}"), value_type.clone());
            class = class.with(optional.collection(kind).nullable());
        }
        let others = [
            ("mixed", Mixed),
            ("link", Link("Everything".into())),
            ("part", Embedded("Part".into())),
        ];
        for (name, value_type) in others {
            // The SDK has no sets of embedded objects.
            if (name, kind) != ("part", CollectionKind::Set) {
                let property = Property::new(format!("{name}{kind_name}"), value_type);
                class = class.with(property.collection(kind));
            }
        }
    }
    with_parts(Schema::new().class(class))
        .class(keyed("ByString", Property::new("_id", String)))
        .class(keyed("ByObjectId", Property::new("_id", ObjectId)))
        .class(keyed("ByUuid", Property::new("_id", Uuid)))
        .class(keyed("ByOptionalInt", Property::new("_id", Int).nullable()))
        .class(keyed("ByOptionalString", Property::new("_id", String).nullable()))
}

fn entry_class() -> Class {
    Class::new("Entry")
        .primary_key("_id", PropertyType::String)
        .property("author", PropertyType::String)
        .property("n", PropertyType::Int)
}

fn with_parts(schema: Schema) -> Schema {
    let inner = Class::embedded("Inner")
        .optional("z", PropertyType::Int)
        .list("marks", PropertyType::String);
    let part = Class::embedded("Part")
        .optional("x", PropertyType::Int)
        .optional("y", PropertyType::Int)
        .optional("label", PropertyType::String)
        .property("inner", PropertyType::Embedded("Inner".into()));
    schema.class(part).class(inner)
}

fn keyed(name: &str, key: Property) -> Class {
    let mut class = Class::new(name).primary_key("_id", key.value_type.clone());
    class.properties = vec![key];
    class.optional("value", PropertyType::String)
}
