//! What real SDKs write for the same edits: `vectors/changesets/sdk.jsonl`.
//!
//! Left out are the classes without a primary key, which an application of ours cannot declare, and the removal of a
//! field or class, which SDKs do not offer either (the vector comes from below them).

use bailiwick_core::apply::Transaction;
use bailiwick_protocol::changeset::{
    Changeset, CollectionKind, Decimal, Instruction, ObjectKey, Payload, StringTable, Timestamp,
};

use super::{Class, Link, LocalFile, PropertyType, Schema, Value, WriteError, WriteTransaction};
use crate::local::Batch;
use crate::schema::Property;
use crate::value::{ObjectId, PrimaryKey, Uuid};

const TASK: ObjectId =
    ObjectId([0x5f, 0x3c, 0x1a, 0x2b, 0x4d, 0x5e, 0x6f, 0x70, 0x81, 0x92, 0x0a, 0x0b]);
const LOG: ObjectId =
    ObjectId([0x64, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44]);
const UUID: Uuid = Uuid([
    0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0,
]);
const UUID_4: Uuid = Uuid([
    0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x42, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0,
]);
const NAN: u128 = 0x7c00 << 112;
const TWELVE_AND_A_HALF: u128 = 0x303c << 112 | 0x4e2;

type Edit = fn(&mut WriteTransaction<'_>) -> Result<(), WriteError>;

/// The cases that can be written, by name.
const EDITS: &[(&str, Edit)] = &[
    ("create class with objectId key, string field", |tx| tx.declare(&task([]))),
    ("create class with nullable string key", |tx| {
        let key = ("_id".to_owned(), Property::new("_id", PropertyType::String).nullable());
        tx.declare(&Schema::new().class(with_key("Doc", key)))
    }),
    ("create class with int key", |tx| {
        tx.declare(&Schema::new().class(Class::new("Num").primary_key("_id", PropertyType::Int)))
    }),
    ("create class with uuid key", |tx| {
        tx.declare(&Schema::new().class(Class::new("U").primary_key("_id", PropertyType::Uuid)))
    }),
    ("create embedded class", |tx| tx.declare(&Schema::new().class(address()))),
    ("create asymmetric class", |tx| {
        let log = Class::asymmetric("Log").primary_key("_id", PropertyType::ObjectId);
        tx.declare(&Schema::new().class(log.property("msg", PropertyType::String)))
    }),
    ("add columns of every scalar type", |tx| {
        use PropertyType as T;
        tx.declare(&task([
            Property::new("i", T::Int),
            Property::new("b", T::Bool),
            Property::new("bin", T::Binary),
            Property::new("ts", T::Timestamp),
            Property::new("f", T::Float),
            Property::new("d", T::Double),
            Property::new("dec", T::Decimal),
            Property::new("oid", T::ObjectId),
            Property::new("uuid", T::Uuid),
            Property::new("any", T::Mixed),
            Property::new("inull", T::Int).nullable(),
        ]))
    }),
    ("add list, set and dictionary columns", |tx| {
        use CollectionKind::{Dictionary, List, Set};
        use PropertyType as T;
        tx.declare(&task([
            Property::new("tags", T::String).collection(List),
            Property::new("ints", T::Int).nullable().collection(List),
            Property::new("anys", T::Mixed).collection(List),
            Property::new("iset", T::Int).collection(Set),
            Property::new("aset", T::Mixed).collection(Set),
            Property::new("idict", T::Int).collection(Dictionary),
            Property::new("adict", T::Mixed).collection(Dictionary),
        ]))
    }),
    ("add link columns", |tx| {
        use CollectionKind::{Dictionary, List, Set};
        let num = PropertyType::Link("Num".into());
        let doc = PropertyType::Link("Doc".into());
        let addr = PropertyType::Embedded("Addr".into());
        let key = ("_id".to_owned(), Property::new("_id", PropertyType::String).nullable());
        let schema = task([
            Property::new("num", num.clone()),
            Property::new("nums", num).collection(List),
            Property::new("docs", doc.clone()).collection(Set),
            Property::new("docmap", doc).collection(Dictionary),
            Property::new("addr", addr.clone()),
            Property::new("addrs", addr.clone()).collection(List),
            Property::new("addrmap", addr).collection(Dictionary),
        ]);
        let num = Class::new("Num").primary_key("_id", PropertyType::Int);
        tx.declare(&schema.class(num).class(with_key("Doc", key)).class(address()))
    }),
    ("create object", |tx| tx.create("Task", TASK).map(drop)),
    ("create objects with other keys", |tx| {
        tx.create("Doc", "d1")?;
        tx.create("Doc", PrimaryKey::Null)?;
        tx.create("Num", 5)?;
        tx.create("Num", -70)?;
        tx.create("U", UUID).map(drop)
    }),
    ("set every scalar", |tx| {
        let at = Timestamp { seconds: 1_600_000_000, nanoseconds: 5 };
        tx.object("Task", TASK)?
            .set("name", "hello")?
            .set("i", 300)?
            .set("b", true)?
            .set("bin", Value::Binary(vec![1, 2]))?
            .set("ts", Value::Timestamp(at.into()))?
            .set("f", 1.5_f32)?
            .set("d", 2.25_f64)?
            .set("dec", Value::Decimal(Decimal(TWELVE_AND_A_HALF).into()))?
            .set("oid", TASK)?
            .set("uuid", UUID)?
            .set("inull", Value::Null)?
            .set("inull", -1)
            .map(drop)
    }),
    ("set with default flag", |tx| tx.object("Task", TASK)?.set_default("i", 3).map(drop)),
    ("add_int", |tx| tx.object("Task", TASK)?.add("i", -7).map(drop)),
    ("mixed field: every kind of value", |tx| {
        let before = Timestamp { seconds: -1, nanoseconds: -1 };
        tx.object("Task", TASK)?
            .set("any", 1)?
            .set("any", "s")?
            .set("any", Value::Decimal(Decimal(NAN).into()))?
            .set("any", Value::Timestamp(before.into()))?
            .set("any", Value::Binary(vec![b'z']))?
            .set("any", Link::new("Num", 5))?
            .set("any", Value::Null)
            .map(drop)
    }),
    ("list: insert, set, move, erase", |tx| {
        tx.object("Task", TASK)?
            .list("tags")?
            .push("a")?
            .push("b")?
            .insert(1, "c")?
            .set(0, "A")?
            .move_to(0, 2)?
            .remove(1)
            .map(drop)
    }),
    ("list: null elements", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.list("ints")?.push(Value::Null)?.push(5)?.set(1, Value::Null).map(drop)
    }),
    ("list: clear", |tx| tx.object("Task", TASK)?.list("tags")?.clear().map(drop)),
    ("set: insert, erase, clear", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut set = task.set_of("iset")?;
        assert!(set.insert(1)? && set.insert(-5)? && !set.insert(-5)?);
        assert!(set.remove(1)? && !set.remove(1)?);
        set.clear().map(drop)
    }),
    ("set of mixed", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut set = task.set_of("aset")?;
        assert!(set.insert(1)? && set.insert("x")? && set.insert(Value::Null)?);
        assert!(set.remove("x")? && !set.insert(1.0_f64)?);
        Ok(())
    }),
    ("dictionary: insert, overwrite, erase, clear", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut dictionary = task.dictionary("idict")?;
        dictionary.insert("k1", 1)?.insert("k1", 2)?.insert("", 3)?;
        assert!(dictionary.remove("k1")? && !dictionary.remove("k1")?);
        dictionary.clear().map(drop)
    }),
    ("links", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.set("num", Link::new("Num", 5))?;
        task.list("nums")?.push(Link::new("Num", 5))?.push(Link::new("Num", -70))?;
        task.set_of("docs")?.insert(Link::new("Doc", "d1"))?;
        task.dictionary("docmap")?.insert("main", Link::new("Doc", "d1"))?;
        task.set("num", Value::Null).map(drop)
    }),
    ("link to an object with null key", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.dictionary("docmap")?.insert("nil", Link::new("Doc", PrimaryKey::Null)).map(drop)
    }),
    ("erase the target of links", |tx| tx.delete("Num", -70)),
    ("embedded object in a field", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.embed("addr")?.set("city", "Oslo")?.list("zips")?.push(150).map(drop)
    }),
    ("embedded objects in a list", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut list = task.list("addrs")?;
        list.push(city("A"))?.push(object([("zips", Value::List(vec![1.into()]))]))?;
        list.set(0, city("B"))?.remove(1).map(drop)
    }),
    ("embedded objects in a dictionary", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut dictionary = task.dictionary("addrmap")?;
        dictionary.insert("home", city("H"))?;
        dictionary.embedded("home")?.list("zips")?.push(9)?;
        assert!(dictionary.remove("home")?);
        Ok(())
    }),
    ("remove embedded object", |tx| tx.object("Task", TASK)?.embedded("addr")?.delete()),
    ("mixed field holding a dictionary and a list", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.set("any", Value::Dictionary([].into()))?;
        let mut any = task.dictionary("any")?;
        any.insert("n", 1)?.insert("l", Value::List(vec![]))?;
        let deep = Value::Dictionary([("deep".to_owned(), "v".into())].into());
        any.list("l")?.push(1)?.push(deep)?.push(Value::List(vec![true.into()])).map(drop)
    }),
    ("nested collections: clear", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut any = task.dictionary("any")?;
        let mut list = any.list("l")?;
        list.dictionary(1)?.clear()?;
        list.list(2)?.clear()?;
        list.clear()?;
        any.clear().map(drop)
    }),
    ("mixed field from dictionary to list to value", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.set("any", Value::List(vec![4.into()]))?.set("any", "plain").map(drop)
    }),
    ("collections inside a list of mixed and a dictionary of mixed", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut list = task.list("anys")?;
        list.push(Value::Dictionary([].into()))?.push(2)?.set(1, Value::List(vec![5.into()]))?;
        let nested = Value::Dictionary([("c".to_owned(), Value::Null)].into());
        let mut dictionary = task.dictionary("adict")?;
        dictionary.insert("a", Value::List(vec![7.into()]))?.insert("b", nested).map(drop)
    }),
    ("insert into asymmetric class", |tx| tx.create("Log", LOG)?.set("msg", "event").map(drop)),
    ("erase objects", |tx| {
        tx.delete("U", UUID)?;
        tx.delete("Doc", "d1")?;
        tx.delete("NoKey", PrimaryKey::GlobalKey { hi: 2, lo: 0 })
    }),
    ("string keys and values with other scripts", |tx| {
        for key in ["日本語", "", "Doc"] {
            tx.create("Doc", key)?;
        }
        Ok(())
    }),
    ("realm-js 12.0.0-browser.2: schema", |tx| {
        use PropertyType as T;
        let link = T::Link("Num".into());
        let addr = T::Embedded("Addr".into());
        let task = Class::new("Task")
            .primary_key("_id", T::ObjectId)
            .property("name", T::String)
            .property("done", T::Bool)
            .list("tags", T::String)
            .optional("n", T::Int)
            .property("any", T::Mixed)
            .set("st", T::Int)
            .dictionary("d", T::Mixed)
            .optional("dec", T::Decimal)
            .optional("at", T::Timestamp)
            .optional("u", T::Uuid)
            .optional("bin", T::Binary)
            .property("f", T::Float)
            .property("db", T::Double)
            .property("addr", addr.clone())
            .list("addrs", addr)
            .property("num", link.clone())
            .list("nums", link);
        let num = Class::new("Num").primary_key("_id", T::Int).property("v", T::Int);
        let addr = Class::embedded("Addr").optional("city", T::String);
        tx.declare(&Schema::new().class(task).class(num).class(addr))
    }),
    ("realm-js 12.0.0-browser.2: objects with every type", |tx| {
        tx.create("Num", 5)?.set("v", 1)?;
        let at = Timestamp { seconds: 1_600_000_000, nanoseconds: 123_000_000 };
        let d = [("k".to_owned(), 1.0_f64.into()), ("z".to_owned(), Value::Null)];
        tx.create("Task", TASK)?
            .set("name", "hello")?
            .set("done", true)?
            .set("tags", Value::List(vec!["a".into(), "b".into()]))?
            .set("n", 5)?
            .set("any", "x")?
            .set("st", Value::Set(vec![1.into(), 2.into()]))?
            .set("d", Value::Dictionary(d.into()))?
            .set("dec", Value::Decimal(Decimal(TWELVE_AND_A_HALF).into()))?
            .set("at", Value::Timestamp(at.into()))?
            .set("u", UUID_4)?
            .set("bin", Value::Binary(vec![1, 2, 3]))?
            .set("f", 1.5_f32)?
            .set("db", 2.25_f64)?
            .set("addr", city("Oslo"))?
            .set("addrs", Value::List(vec![city("A")]))?
            .set("num", Link::new("Num", 5))?
            .set("nums", Value::List(vec![Link::new("Num", 5).into()]))
            .map(drop)
    }),
    ("realm-js 12.0.0-browser.2: list, set and dictionary edits", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.list("tags")?.push("c")?.set(0, "A")?.remove(1)?;
        assert!(task.set_of("st")?.insert(9)? && task.set_of("st")?.remove(1)?);
        assert!(task.dictionary("d")?.insert("k", "s")?.remove("z")?);
        Ok(())
    }),
    ("realm-js 12.0.0-browser.2: assign empty list, clear set", |tx| {
        let mut task = tx.object("Task", TASK)?;
        task.set("tags", Value::List(vec![]))?.set_of("st")?.clear()?;
        task.dictionary("d")?.insert("q", 1.0_f64).map(drop)
    }),
    ("realm-js 12.0.0-browser.2: embedded objects replaced, links nulled", |tx| {
        let mut task = tx.object("Task", TASK)?;
        let mut d = task.dictionary("d")?;
        assert!(d.remove("k")? && d.remove("q")?);
        task.set("addrs", Value::List(vec![city("B"), city("C")]))?
            .set("num", Value::Null)?
            .set("num", Value::Null)?
            .set("any", Value::Decimal(Decimal(NAN).into()))
            .map(drop)
    }),
    ("realm-js 12.0.0-browser.2: delete object", |tx| tx.delete("Task", TASK)),
];

/// What an application cannot do here, nor with an SDK.
const LEFT_OUT: &[&str] = &["create class without key", "remove a column", "remove a class"];

#[test]
fn edits_become_the_instructions_that_sdks_write() {
    let lines = include_str!("../../../../../vectors/changesets/sdk.jsonl").lines();
    let (mut edits, mut left_out) = (EDITS.iter(), 0);
    let mut file = LocalFile::in_memory();
    for line in lines {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        if name == "realm-js 12.0.0-browser.2: schema" {
            file = LocalFile::in_memory();
        }
        let expected = hex::decode(case["hex"].as_str().unwrap()).unwrap();
        let expected = Changeset::decode(&expected).unwrap();
        if LEFT_OUT.contains(&name) {
            left_out += 1;
        } else {
            let (next, edit) = edits.next().unwrap();
            assert_eq!(*next, name);
            check(name, &file, *edit, &expected);
        }
        // The next case starts from what the SDK has left.
        let snapshot = file.snapshot().unwrap();
        let mut transaction = Transaction::new(snapshot.schema(), &snapshot);
        let _ = transaction.apply(&expected).unwrap();
        let batch = Batch { changes: transaction.finish(), ..Batch::default() };
        file.write().commit(&batch).unwrap();
    }
    assert_eq!((edits.next().map(|(name, _)| name), left_out), (None, LEFT_OUT.len()));
}

fn check(name: &str, file: &LocalFile, edit: Edit, expected: &Changeset) {
    let snapshot = file.snapshot().unwrap();
    let mut transaction = WriteTransaction::new(&snapshot);
    edit(&mut transaction).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = transaction.finish().changeset;
    let decoded = Changeset::decode(&written.encode()).unwrap();
    decoded.check().unwrap();
    let mut names = StringTable::default();
    let mut written = renamed(&decoded, &mut names);
    without_cautious_clears(&mut written);
    let mut expected = renamed(expected, &mut names);
    // Objects without a primary key are not created here.
    expected.retain(|instruction| {
        !matches!(
            instruction,
            Instruction::CreateObject { object: ObjectKey::GlobalKey { .. }, .. }
        )
    });
    for (expected, written) in expected.iter_mut().zip(&written) {
        // The older SDK does not say what it clears.
        if let (Instruction::Clear { collection, .. }, Instruction::Clear { collection: own, .. }) =
            (expected, written)
            && *collection == CollectionKind::Single
        {
            *collection = *own;
        }
    }
    assert_eq!(written, expected, "{name}: {names:?}");
}

/// Takes away what is written behind a new collection in a mixed value, in case that others make one there: SDKs write
/// it when a whole value is assigned, but the collections of the vectors were made step by step.
fn without_cautious_clears(written: &mut Vec<Instruction>) {
    let mut before = None;
    written.retain(|instruction| {
        let follows = match (&before, instruction) {
            (
                Some(Instruction::Update {
                    target,
                    value: Payload::List | Payload::Dictionary,
                    ..
                }),
                Instruction::Clear { target: cleared, .. },
            ) => target == cleared,
            _ => false,
        };
        before = Some(instruction.clone());
        !follows
    });
}

/// The instructions, with the symbols of a table that two changesets can share.
fn renamed(changeset: &Changeset, names: &mut StringTable) -> Vec<Instruction> {
    let mut instructions = changeset.instructions.clone();
    for instruction in &mut instructions {
        // The reference interns the text of an absent key, too; it means nothing.
        instruction.for_each_symbol_mut(|symbol| *symbol = names.intern(changeset.text(*symbol)));
    }
    instructions
}

fn task<const N: usize>(fields: [Property; N]) -> Schema {
    let task = Class::new("Task").primary_key("_id", PropertyType::ObjectId);
    let task = task.property("name", PropertyType::String);
    Schema::new().class(fields.into_iter().fold(task, Class::with))
}

fn address() -> Class {
    Class::embedded("Addr").optional("city", PropertyType::String).list("zips", PropertyType::Int)
}

fn with_key(name: &str, (field, key): (String, Property)) -> Class {
    let mut class = Class::new(name).with(key);
    class.kind = crate::schema::ClassKind::TopLevel { primary_key: field };
    class
}

fn city(name: &str) -> Value {
    object([("city", name.into())])
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.map(|(field, value)| (field.to_owned(), value)).into())
}
