//! What structs become, and what is written of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bailiwick_protocol::changeset::Instruction;
use proptest::prelude::*;

use super::*;
use crate::local::LocalFile;
use crate::object;
use crate::realm::Realm;
use crate::schema::{PropertyFault, SchemaError};
use crate::value::{Binary, Decimal, ObjectId, Timestamp, Uuid};
use crate::write::{Problem, WriteError};

object! {
    /// One field of each type.
    #[derive(Clone, Debug, PartialEq)]
    struct Everything {
        #[primary_key]
        /// Documentation may stand on both sides.
        _id: ObjectId,
        small: i8,
        medium: u32,
        large: i64,
        flag: bool,
        text: String,
        binary: Binary,
        timestamp: Timestamp,
        float: f32,
        double: f64,
        decimal: Decimal,
        uuid: Uuid,
        mixed: Value,
        maybe: Option<i64>,
        link: Option<Link<Everything>>,
        place as "thePlace": Option<Place>,
        texts: Vec<String>,
        maybes: Vec<Option<Timestamp>>,
        links: Vec<Link<Everything>>,
        places: Vec<Place>,
        r#mixed_list: Vec<Value>,
        set: Set<Option<i64>>,
        link_set: Set<Link<Everything>>,
        dictionary: BTreeMap<String, f64>,
        link_dictionary: HashMap<String, Option<Link<Everything>>>,
        place_dictionary: BTreeMap<String, Option<Place>>,
        mood: Mood,
    }

    #[embedded]
    #[derive(Clone, Debug, PartialEq, Default)]
    struct Place {
        name: String,
        tags: Set<String>,
        inner: Option<Inner>,
    }

    #[embedded]
    #[derive(Clone, Debug, PartialEq, Default)]
    struct Inner as "InnerPlace" {
        r#type: i64,
    }

    #[asymmetric]
    #[derive(Clone, Debug, PartialEq)]
    struct Measured {
        #[primary_key]
        _id: String,
        value: f64,
    }
}

/// A type of the application's own.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Mood {
    Calm,
    Lively,
}

impl Element for Mood {
    fn property_type() -> crate::schema::PropertyType {
        crate::schema::PropertyType::String
    }
}

fn schema() -> Schema {
    Schema::new().with::<Everything>().with::<Place>().with::<Inner>().with::<Measured>()
}

fn realm() -> Realm {
    Realm::open(Arc::new(LocalFile::in_memory()), schema()).unwrap()
}

fn id(byte: u8) -> ObjectId {
    ObjectId([byte; 12])
}

fn everything() -> Everything {
    Everything {
        _id: id(1),
        small: -1,
        medium: u32::MAX,
        large: i64::MIN,
        flag: true,
        text: "\u{e9}".into(),
        binary: Binary(vec![0, 255]),
        timestamp: Timestamp::new(-1, -5).unwrap(),
        float: 0.1,
        double: f64::MIN_POSITIVE,
        decimal: "-1.50".parse().unwrap(),
        uuid: Uuid([7; 16]),
        mixed: Value::List(vec![
            Value::Int(1),
            Value::Dictionary(BTreeMap::from([("a".into(), Value::Null)])),
        ]),
        maybe: None,
        link: Some(Link::new(id(1))),
        place: Some(Place { inner: Some(Inner { r#type: 3 }), ..Place::default() }),
        texts: vec!["a".into(), "b".into()],
        maybes: vec![None, Some(Timestamp::from_millis(5))],
        links: vec![Link::new(id(1)); 2],
        places: vec![Place::default(), Place { name: "x".into(), ..Place::default() }],
        mixed_list: vec![
            Value::Null,
            Value::ObjectId(id(9)),
            Value::Link(crate::value::Link::new("Everything", id(1))),
        ],
        set: [None, Some(1)].into_iter().collect(),
        link_set: [Link::new(id(1))].into_iter().collect(),
        dictionary: BTreeMap::from([("a".into(), 1.0)]),
        link_dictionary: HashMap::from([("a".into(), Some(Link::new(id(1)))), ("b".into(), None)]),
        place_dictionary: BTreeMap::from([
            ("a".into(), Some(Place::default())),
            ("b".into(), None),
        ]),
        mood: Mood::Lively,
    }
}

#[test]
fn structs_are_classes() {
    let schema = schema();
    assert_eq!(schema.validate(), Ok(()));
    let class = schema.find("Everything").unwrap();
    let described: Vec<_> = class
        .properties
        .iter()
        .map(|p| format!("{} {:?} {:?} {}", p.name, p.value_type, p.collection, p.is_nullable()))
        .collect();
    assert_eq!(
        described,
        [
            "_id ObjectId Single false",
            "small Int Single false",
            "medium Int Single false",
            "large Int Single false",
            "flag Bool Single false",
            "text String Single false",
            "binary Binary Single false",
            "timestamp Timestamp Single false",
            "float Float Single false",
            "double Double Single false",
            "decimal Decimal Single false",
            "uuid Uuid Single false",
            "mixed Mixed Single true",
            "maybe Int Single true",
            "link Link(\"Everything\") Single true",
            "thePlace Embedded(\"Place\") Single true",
            "texts String List false",
            "maybes Timestamp List true",
            "links Link(\"Everything\") List false",
            "places Embedded(\"Place\") List false",
            "mixed_list Mixed List true",
            "set Int Set true",
            "link_set Link(\"Everything\") Set false",
            "dictionary Double Dictionary false",
            "link_dictionary Link(\"Everything\") Dictionary true",
            "place_dictionary Embedded(\"Place\") Dictionary true",
            "mood String Single false",
        ]
    );
    assert_eq!((class.key_name(), Inner::CLASS), (Some("_id"), "InnerPlace"));
    assert!(Inner::class().find("type").is_some());
    assert_eq!(Measured::class().kind, ClassKind::Asymmetric { primary_key: "_id".into() });
    let alone = Schema::new().with::<Everything>().validate();
    let Err(SchemaError::Property { fault, .. }) = alone else { panic!("{alone:?}") };
    assert_eq!(fault, PropertyFault::UnknownTarget("Place".into()));
}

#[test]
fn every_type_is_stored_and_read_back() {
    let (realm, object) = (realm(), everything());
    realm.write(|tx| tx.insert(&object)).unwrap();
    assert_eq!(realm.view().unwrap().get::<Everything>(id(1)).unwrap(), Some(object.clone()));
    realm
        .write(|tx| {
            assert_eq!(tx.get::<Everything>(id(1))?, Some(object.clone()));
            assert_eq!(tx.get::<Everything>(id(2))?, None);
            Ok::<_, WriteError>(())
        })
        .unwrap();
}

#[test]
fn json_is_for_people() {
    let json = serde_json::to_value(everything()).unwrap();
    for (field, expected) in [
        ("_id", "\"010101010101010101010101\""),
        ("binary", "\"AP8=\""),
        ("timestamp", "\"1969-12-31T23:59:58.999999995Z\""),
        ("decimal", "\"-1.50\""),
        ("uuid", "\"07070707-0707-0707-0707-070707070707\""),
        ("mixed", "[1,{\"a\":null}]"),
        ("link", "{\"$id\":\"010101010101010101010101\",\"$ref\":\"Everything\"}"),
        ("set", "[null,1]"),
        ("mood", "\"Lively\""),
    ] {
        assert_eq!(json[field].to_string(), expected, "{field}");
    }
}

#[test]
fn a_key_is_inserted_once() {
    let (realm, object) = (realm(), everything());
    realm.write(|tx| tx.insert(&object)).unwrap();
    let again = realm.write(|tx| tx.insert(&object)).unwrap_err();
    assert_eq!(again.problem(), Some(&Problem::Exists));
    let absent = Everything { _id: id(2), ..object.clone() };
    assert!(realm.write(|tx| tx.update(&absent)).is_err());
    realm.write(|tx| tx.upsert(&absent)).unwrap();
    let changed = Everything { text: "new".into(), ..absent };
    realm.write(|tx| tx.upsert(&changed)).unwrap();
    assert_eq!(realm.view().unwrap().get(id(2)).unwrap(), Some(changed));
}

#[test]
fn a_struct_that_no_property_holds_is_refused() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Odd {
        number: i64,
        inner: Vec<Choice>,
    }

    #[derive(serde::Serialize, serde::Deserialize)]
    enum Choice {
        One(i64),
    }

    impl Declared for Odd {
        const CLASS: &'static str = "Odd";

        fn class() -> Class {
            Class::new("Odd").key_field::<i64>("number")
        }
    }

    impl Object for Odd {
        fn key(&self) -> PrimaryKey {
            self.number.into()
        }
    }

    let error = to_fields(&Odd { number: 1, inner: vec![Choice::One(1)] }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field inner.0: no property holds a variant with data, as enum Choice has"
    );
    let error = realm().write(|tx| tx.insert(&Odd { number: 1, inner: vec![] })).unwrap_err();
    assert!(matches!(error.problem(), Some(Problem::NoClass { .. })), "{error}");
}

fn check_json<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
}

/// What a mixed field can hold.
fn any_mixed() -> impl Strategy<Value = Value> {
    any_value(false)
}

fn any_value(with_all: bool) -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
        ".{0,3}".prop_map(Value::String),
        any::<Vec<u8>>().prop_map(Value::Binary),
        any::<i64>().prop_map(|ms| Value::Timestamp(Timestamp::from_millis(ms))),
        any::<u32>().prop_map(|bits| Value::Float(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
        (any::<i64>(), -100..100)
            .prop_map(|(c, e)| Value::Decimal(Decimal::new(c.into(), e).unwrap())),
        any::<[u8; 12]>().prop_map(|id| Value::ObjectId(ObjectId(id))),
        any::<[u8; 16]>().prop_map(|id| Value::Uuid(Uuid(id))),
        Just(Value::Link(crate::value::Link::new("Everything", id(1)))),
    ];
    scalar.prop_recursive(3, 20, 4, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4);
        let entries = proptest::collection::btree_map("[a-c]", inner, 0..4);
        let variants = if with_all { 0..4 } else { 0..2 };
        (variants, list, entries).prop_map(|(variant, list, entries)| match variant {
            0 => Value::List(list),
            1 => Value::Dictionary(entries),
            2 => Value::Set(list),
            _ => Value::Object(entries),
        })
    })
}

/// The instructions of one update, by their kinds, and whether the object is then what it should be.
#[track_caller]
fn check_update(old: &Everything, new: &Everything, expected: &[&str]) {
    let realm = realm();
    realm.write(|tx| tx.insert(old)).unwrap();
    let instructions = realm
        .write(|tx| {
            tx.update(new)?;
            let changeset = tx.changeset();
            let written = changeset.instructions.iter().map(|instruction: &Instruction| {
                let kind = format!("{:?}", instruction.kind());
                let path = changeset.describe(instruction);
                let (_, path) = path.split_once("].").unwrap();
                format!("{kind} {path}")
            });
            Ok::<_, WriteError>(written.collect::<Vec<_>>())
        })
        .unwrap();
    assert_eq!(instructions, expected);
    assert_eq!(realm.view().unwrap().get::<Everything>(new._id).unwrap().as_ref(), Some(new));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever a mixed field holds is stored and read back, and one value becomes any other.
    #[test]
    fn any_value_is_stored_and_read_back(old in any_mixed(), new in any_mixed()) {
        let realm = realm();
        let mut object = Everything { mixed: old, mixed_list: vec![new.clone()], ..everything() };
        realm.write(|tx| tx.insert(&object)).unwrap();
        prop_assert_eq!(realm.view().unwrap().get::<Everything>(id(1)).unwrap(), Some(object.clone()));
        object.mixed = new;
        realm.write(|tx| tx.update(&object)).unwrap();
        prop_assert_eq!(realm.view().unwrap().get::<Everything>(id(1)).unwrap(), Some(object));
    }

    /// Without a realm in between, sets and embedded objects included.
    #[test]
    fn any_value_goes_through_serde(value in any_value(true)) {
        let written = value.serialize(serialize::ToValue).unwrap();
        prop_assert_eq!(&written, &value);
        let read = <Value as serde::Deserialize>::deserialize(deserialize::FromValue(written));
        prop_assert_eq!(read, Ok(value.clone()));
        // JSON does not tell types, but it never fails.
        let json = serde_json::to_string(&value).unwrap();
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
    }

    #[test]
    fn scalars_go_through_json(
        id: [u8; 12],
        uuid: [u8; 16],
        milliseconds: i64,
        coefficient: i64,
        exponent in -6176..6000_i32,
        bytes: Vec<u8>,
    ) {
        check_json(&ObjectId(id));
        check_json(&Uuid(uuid));
        check_json(&Timestamp::from_millis(milliseconds));
        check_json(&Decimal::new(coefficient.into(), exponent).unwrap());
        check_json(&Binary(bytes));
        check_json(&[Some(1_i64), None].into_iter().collect::<Set<_>>());
        check_json(&Link::<Everything>::new("key"));
    }

    /// Whatever lists there are, one becomes the other.
    #[test]
    fn any_list_becomes_any_other(
        old in proptest::collection::vec("[abc]", 0..8),
        new in proptest::collection::vec("[abc]", 0..8),
    ) {
        let realm = realm();
        let mut object = Everything { texts: old, ..everything() };
        realm.write(|tx| tx.insert(&object)).unwrap();
        object.texts = new;
        realm.write(|tx| tx.update(&object)).unwrap();
        prop_assert_eq!(realm.view().unwrap().get::<Everything>(id(1)).unwrap(), Some(object));
    }
}

#[test]
fn an_update_writes_only_what_differs() {
    let old = everything();
    check_update(&old, &old, &[]);
    let mut new = old.clone();
    new.text = "new".into();
    new.double = -0.0;
    new.place.as_mut().unwrap().inner.as_mut().unwrap().r#type = 4;
    new.places[1].tags.insert("t".into());
    new.texts.insert(1, "between".into());
    new.links.pop();
    new.set.remove(&None);
    new.set.insert(Some(5));
    new.dictionary.insert("b".into(), 2.0);
    new.place_dictionary.insert("b".into(), Some(Place::default()));
    new.link_dictionary.remove("b");
    new.mixed = Value::List(vec![
        Value::Int(1),
        Value::Dictionary(BTreeMap::from([("a".into(), Value::Int(2))])),
    ]);
    let expected = [
        "Update dictionary.b",
        "Update double",
        "Update link_dictionary.b",
        "ArrayErase links[1]",
        "Update mixed[1].a",
        "Update place_dictionary.b",
        "Update place_dictionary.b.inner",
        "Update place_dictionary.b.name",
        "SetInsert places[1].tags",
        "SetErase set",
        "SetInsert set",
        "Update text",
        "ArrayInsert texts[1]",
        "Update thePlace.inner.type",
    ];
    check_update(&old, &new, &expected);
}
