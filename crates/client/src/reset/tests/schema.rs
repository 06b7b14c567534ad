//! Classes and fields that are gone or have changed.

use bailiwick_core::apply::Changes;
use bailiwick_core::schema::Schema as Stored;
use bailiwick_protocol::ident::{FileIdent, Salt};

use crate::local::{Batch, LocalFile};
use crate::reset::{ResetFailure, discard_local};
use crate::schema::{Class, PropertyType, Schema};
use crate::write::WriteTransaction;

fn file(schema: &Schema) -> LocalFile {
    let file = LocalFile::in_memory();
    let writer = file.write();
    let snapshot = writer.snapshot().unwrap();
    let mut transaction = WriteTransaction::new(&snapshot);
    transaction.declare(schema).unwrap();
    let changes: Changes = transaction.finish().changes;
    let mut state = snapshot.state().clone();
    state.version.0 += 1;
    state.client_file = Some((FileIdent(2), Salt(2)));
    writer.commit(&Batch { changes, state, ..Batch::default() }).unwrap();
    drop(writer);
    file
}

fn class(value_type: PropertyType) -> Class {
    Class::new("Task").primary_key("_id", PropertyType::Int).property("field", value_type)
}

fn discard(main: &Schema, fresh: &Schema) -> Result<Option<Stored>, ResetFailure> {
    let (main, fresh) = (file(main), file(fresh));
    let batch = discard_local(&main.snapshot().unwrap(), &fresh.snapshot().unwrap())?;
    Ok(batch.changes.schema)
}

#[test]
fn what_the_application_counts_on_must_be_there() {
    let int = || Schema::new().class(class(PropertyType::Int));
    let failure = |fresh: Schema| discard(&int(), &fresh).unwrap_err().to_string();
    assert_eq!(failure(Schema::new()), "the server does not know class \"Task\" any more");
    let without = Class::new("Task").primary_key("_id", PropertyType::Int);
    assert_eq!(
        failure(Schema::new().class(without)),
        "the server does not know field \"field\" of class \"Task\" any more"
    );
    let optional = Class::new("Task")
        .primary_key("_id", PropertyType::Int)
        .optional("field", PropertyType::Int);
    for other in [class(PropertyType::String), optional] {
        assert_eq!(
            failure(Schema::new().class(other)),
            "field \"field\" of class \"Task\" has another type on the server"
        );
    }
    let key = Class::new("Task").primary_key("_id", PropertyType::String);
    let key = key.property("field", PropertyType::Int);
    let embedded = Class::embedded("Task").property("field", PropertyType::Int);
    for other in [key, embedded] {
        assert_eq!(
            failure(Schema::new().class(other)),
            "class \"Task\" has another kind or primary key on the server"
        );
    }
}

#[test]
fn links_to_another_class_are_another_type() {
    let schema = |target: &str| {
        let person = Class::new("Person").primary_key("_id", PropertyType::Int);
        let task = Class::new("Task")
            .primary_key("_id", PropertyType::Int)
            .optional("link", PropertyType::Link(target.into()));
        Schema::new().class(person).class(task)
    };
    assert!(matches!(
        discard(&schema("Task"), &schema("Person")),
        Err(ResetFailure::FieldDiffers { .. })
    ));
    assert_eq!(discard(&schema("Task"), &schema("Task")).unwrap(), None);
}

#[test]
fn what_only_the_server_knows_is_added() {
    let int = || Schema::new().class(class(PropertyType::Int));
    let part = Class::embedded("Part").optional("task", PropertyType::Link("Task".into()));
    let more = Schema::new()
        .class(part)
        .class(class(PropertyType::Int).list("parts", PropertyType::Embedded("Part".into())));
    let schema = discard(&int(), &more).unwrap().unwrap();
    assert!(schema.class("Task").unwrap().column("parts").is_some());
    assert!(schema.class("Part").unwrap().column("task").is_some());
    assert_eq!(Stored::decode(&schema.encode()), Ok(schema));
}

#[test]
fn a_copy_that_was_not_downloaded_is_not_taken_over() {
    let main = file(&Schema::new());
    let fresh = LocalFile::in_memory();
    let failure = discard_local(&main.snapshot().unwrap(), &fresh.snapshot().unwrap());
    assert!(matches!(failure, Err(ResetFailure::NoFreshCopy)));
}
