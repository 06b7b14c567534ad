use super::*;

fn dog() -> Class {
    Class::new("Dog").primary_key("_id", PropertyType::Int)
}

fn link(class: &str) -> PropertyType {
    PropertyType::Link(class.to_owned())
}

fn embedded(class: &str) -> PropertyType {
    PropertyType::Embedded(class.to_owned())
}

#[track_caller]
fn check_class(class: Class, expected: &SchemaError) {
    let schema = Schema::new()
        .class(class)
        .class(dog())
        .class(Class::embedded("Toy"))
        .class(Class::asymmetric("Event").primary_key("_id", PropertyType::Int));
    assert_eq!(schema.validate(), Err(expected.clone()));
}

#[track_caller]
fn check_property(property: Property, fault: PropertyFault) {
    let (class, name) = ("Cat".to_owned(), property.name.clone());
    let expected = SchemaError::Property { class, property: name, fault };
    check_class(Class::new("Cat").primary_key("_id", PropertyType::Int).with(property), &expected);
}

#[test]
fn every_type_and_collection_is_taken() {
    let mut class = dog();
    let types = [
        PropertyType::Int,
        PropertyType::Bool,
        PropertyType::String,
        PropertyType::Binary,
        PropertyType::Timestamp,
        PropertyType::Float,
        PropertyType::Double,
        PropertyType::Decimal,
        PropertyType::ObjectId,
        PropertyType::Uuid,
        PropertyType::Mixed,
        link("Dog"),
        embedded("Toy"),
    ];
    for (i, value_type) in types.into_iter().enumerate() {
        class = class
            .property(format!("single{i}"), value_type.clone())
            .optional(format!("optional{i}"), value_type.clone())
            .list(format!("list{i}"), value_type.clone())
            .dictionary(format!("dictionary{i}"), value_type.clone());
        if value_type != embedded("Toy") {
            class = class.set(format!("set{i}"), value_type);
        }
    }
    let toy = Class::embedded("Toy").property("part", embedded("Toy")).property("dog", link("Dog"));
    let schema = Schema::new().class(class).class(toy);
    let stored = schema.to_stored().unwrap();
    assert_eq!(schema.merged_into(&stored), Ok(stored.clone()));
    let back = Schema::from_stored(&stored);
    assert_eq!(back.to_stored().unwrap().classes().len(), 2);
    for class in &schema.classes {
        let found = back.find(&class.name).unwrap();
        assert_eq!((&found.kind, found.properties.len()), (&class.kind, class.properties.len()));
        for property in &class.properties {
            let expected = Property { nullable: property.is_nullable(), ..property.clone() };
            assert_eq!(found.find(&property.name), Some(&expected));
        }
    }
}

#[test]
fn classes_that_nobody_could_store_are_refused() {
    let key = PropertyType::Int;
    check_class(dog(), &SchemaError::DuplicateClass("Dog".into()));
    let name = "x".repeat(58);
    check_class(Class::new(&name).primary_key("_id", key.clone()), &SchemaError::ClassName(name));
    check_class(Class::new("").primary_key("_id", key), &SchemaError::ClassName(String::new()));
    check_class(Class::new("Cat"), &SchemaError::NoPrimaryKey("Cat".into()));
    check_class(Class::asymmetric("Cat"), &SchemaError::NoPrimaryKey("Cat".into()));
}

#[test]
fn primary_keys_of_other_types_are_refused() {
    for key in [
        Property::new("_id", PropertyType::Double),
        Property::new("_id", PropertyType::Mixed),
        Property::new("_id", PropertyType::String).collection(CollectionKind::List),
    ] {
        let mut cat = Class::new("Cat").with(key);
        cat.kind = ClassKind::TopLevel { primary_key: "_id".into() };
        let (class, property) = ("Cat".to_owned(), "_id".to_owned());
        let fault = PropertyFault::PrimaryKeyType;
        check_class(cat, &SchemaError::Property { class, property, fault });
    }
}

#[test]
fn properties_that_nobody_could_store_are_refused() {
    let set = |value_type| Property::new("p", value_type).collection(CollectionKind::Set);
    check_property(Property::new("", PropertyType::Int), PropertyFault::Name);
    check_property(Property::new("x".repeat(64), PropertyType::Int), PropertyFault::Name);
    check_property(Property::new("_id", PropertyType::Int), PropertyFault::Duplicate);
    check_property(Property::new("p", link("Bird")), PropertyFault::UnknownTarget("Bird".into()));
    check_property(Property::new("p", link("Toy")), PropertyFault::LinkToEmbedded("Toy".into()));
    check_property(Property::new("p", embedded("Dog")), PropertyFault::NotEmbedded("Dog".into()));
    check_property(Property::new("p", link("Event")), PropertyFault::AsymmetricLink);
    check_property(set(embedded("Toy")), PropertyFault::SetOfEmbedded);
}

#[test]
fn objects_that_only_travel_to_the_server_embed_but_do_not_link() {
    let event = Class::asymmetric("E").primary_key("_id", PropertyType::Int);
    let schema = |property| {
        Schema::new().class(dog()).class(Class::embedded("Toy")).class(event.clone().with(property))
    };
    assert_eq!(schema(Property::new("toy", embedded("Toy"))).validate(), Ok(()));
    assert!(matches!(
        schema(Property::new("dog", link("Dog"))).validate(),
        Err(SchemaError::Property { fault: PropertyFault::AsymmetricLink, .. })
    ));
}

#[test]
fn a_realm_that_differs_is_not_changed() {
    let realm = Schema::new().class(dog().property("age", PropertyType::Int)).to_stored().unwrap();
    let declare = |class| Schema::new().class(class).merged_into(&realm);
    assert!(declare(dog().optional("age", PropertyType::Int)).is_ok());
    assert_eq!(
        declare(dog().property("name", PropertyType::String))
            .unwrap()
            .class("Dog")
            .unwrap()
            .columns()
            .len(),
        3
    );
    assert!(matches!(
        declare(dog().property("age", PropertyType::Double)),
        Err(SchemaError::Property { fault: PropertyFault::Differs, .. })
    ));
    assert!(matches!(
        declare(dog().list("age", PropertyType::Int)),
        Err(SchemaError::Property { fault: PropertyFault::Differs, .. })
    ));
    for class in [
        Class::embedded("Dog"),
        Class::asymmetric("Dog").primary_key("_id", PropertyType::Int),
        Class::new("Dog").primary_key("id", PropertyType::Int),
        Class::new("Dog").primary_key("_id", PropertyType::String),
    ] {
        assert_eq!(declare(class), Err(SchemaError::ClassDiffers("Dog".into())));
    }
}
