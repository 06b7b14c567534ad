pub(crate) mod fixture;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::object;
use crate::schema::{Class as Declaration, Property, PropertyType, Schema as Declarations};
use crate::value::{Decimal, Timestamp, Value};
use fixture::Fixture;

object! {
    #[derive(Clone, Debug, PartialEq)]
    struct Person {
        #[primary_key]
        _id: i64,
        name: String,
        age: Option<i64>,
        height: f64,
        friend: Option<crate::object::Link<Person>>,
        friends: Vec<crate::object::Link<Person>>,
        mixed: Value,
    }
}

fn person(id: i64, name: &str) -> Person {
    let (name, age, height) = (name.to_owned(), None, 0.0);
    Person { _id: id, name, age, height, friend: None, friends: Vec::new(), mixed: Value::Null }
}

fn link(id: i64) -> crate::object::Link<Person> {
    crate::object::Link::new(id)
}

/// A view, and the file that it reads.
struct People {
    view: View,
    _file: Fixture,
}

impl std::ops::Deref for People {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

fn people(people: &[Person]) -> People {
    let fixture = Fixture::new(&Declarations::new().with::<Person>());
    fixture.put_all(people);
    People { view: fixture.view(), _file: fixture }
}

fn ids(found: Found<Person>) -> Vec<i64> {
    found.map(|person| person.unwrap()._id).collect()
}

#[test]
fn an_object_is_read_by_its_key() {
    let ann = Person { age: Some(3), friend: Some(link(2)), ..person(1, "Ann") };
    let view = people(&[ann.clone(), person(2, "Bob")]);
    assert_eq!(view.get::<Person>(1).unwrap(), Some(ann));
    assert_eq!(view.get::<Person>(3).unwrap(), None);
    let object = view.object("Person", 1).unwrap().unwrap();
    assert_eq!((object.class(), object.key()), ("Person", &PrimaryKey::Int(1)));
    assert_eq!(object.get("_id").unwrap(), Value::Int(1));
    assert_eq!(object.get("age").unwrap(), Value::Int(3));
    assert_eq!(object.to_fields().unwrap()["name"], "Ann".into());
    let bob = object.follow("friend").unwrap().unwrap();
    assert_eq!(bob.get("name").unwrap(), "Bob".into());
    assert!(bob.follow("friend").unwrap().is_none());
    assert_eq!(bob.to_link(), Link::new("Person", 2));
}

#[test]
fn names_and_values_that_cannot_be_are_errors() {
    let view = people(&[person(1, "Ann")]);
    assert!(matches!(view.object("Cat", 1), Err(ReadError::NoClass(class)) if class == "Cat"));
    assert!(matches!(view.object("Person", "1"), Err(ReadError::Value { .. })));
    let object = view.object("Person", 1).unwrap().unwrap();
    assert!(matches!(object.get("nose"), Err(ReadError::NoField { field, .. }) if field == "nose"));
    let query = Query::class("Person");
    assert!(matches!(view.find(&query.clone().equals("nose", 1)), Err(ReadError::NoField { .. })));
    assert!(matches!(view.find(&query.clone().equals("name", 1)), Err(ReadError::Value { .. })));
    assert!(matches!(
        view.find(&query.clone().sort_by("friend")),
        Err(ReadError::NotSortable { .. })
    ));
    assert!(matches!(view.find(&query.sort_by("friends")), Err(ReadError::NotSortable { .. })));
}

#[test]
fn a_link_to_nobody_reads_as_null() {
    let friends = vec![link(9), link(2), link(8)];
    let ann = Person { friend: Some(link(9)), friends, ..person(1, "Ann") };
    let ann = Person { mixed: Value::Link(Link::new("Person", 9)), ..ann };
    let view = people(&[ann, person(2, "Bob")]);
    let ann = view.get::<Person>(1).unwrap().unwrap();
    assert_eq!((ann.friend, ann.mixed), (None, Value::Null));
    assert_eq!(ann.friends, [link(2)]);
    let friendless = Query::<Person>::new().equals("friend", Value::Null);
    assert_eq!(ids(view.find(&friendless).unwrap()), [1, 2]);
    let of_nobody = Query::<Person>::new().equals("friend", link(9));
    assert_eq!(view.count(&of_nobody).unwrap(), 0);
}

#[test]
fn the_primary_key_is_looked_up() {
    let view = people(&[person(1, "Ann"), person(2, "Bob")]);
    let by_id = |id| Query::<Person>::new().equals("_id", id);
    assert_eq!(ids(view.find(&by_id(2)).unwrap()), [2]);
    assert_eq!(ids(view.find(&by_id(2).equals("name", "Ann")).unwrap()), [0; 0]);
    assert_eq!(ids(view.find(&by_id(2).equals("_id", 1)).unwrap()), [0; 0]);
    assert_eq!(ids(view.find(&by_id(2).equals("_id", 2)).unwrap()), [2]);
    assert_eq!(view.count(&by_id(2).sort_by("name")).unwrap(), 1);
}

#[test]
fn numbers_of_mixed_fields_are_equal_by_value() {
    let numbers = [Value::Int(1), Value::Double(1.0), Value::Decimal("1.0".parse().unwrap())];
    let others = [Value::Bool(true), "1".into(), Value::Null];
    let view = people(
        &numbers
            .iter()
            .chain(&others)
            .zip(1..)
            .map(|(mixed, id)| Person { mixed: mixed.clone(), ..person(id, "") })
            .collect::<Vec<_>>(),
    );
    for number in numbers {
        let query = Query::<Person>::new().equals("mixed", number);
        assert_eq!(ids(view.find(&query).unwrap()), [1, 2, 3]);
    }
}

#[test]
fn a_struct_that_does_not_fit_names_the_field() {
    let text = Property::new("age", PropertyType::String);
    let class = Declaration::new("Person").primary_key("_id", PropertyType::Int).with(text);
    let fixture = Fixture::new(&Declarations::new().class(class));
    fixture.put("Person", [("_id", Value::Int(1)), ("age", "old".into())]);
    let error = fixture.view().get::<Person>(1).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("field age: invalid type: string"), "{cause}");
}

#[test]
fn fields_of_other_applications_are_left_alone() {
    object! {
        #[derive(Debug, PartialEq)]
        struct Named as "Person" {
            #[primary_key]
            id as "_id": i64,
            name: String,
        }
    }
    let view = people(&[Person { age: Some(1), ..person(1, "Ann") }]);
    assert_eq!(view.get(1).unwrap(), Some(Named { id: 1, name: "Ann".into() }));
}

#[test]
fn every_type_can_be_sorted_by() {
    let value_types = [
        (PropertyType::Int, [Value::Int(-1), Value::Int(2)]),
        (PropertyType::Bool, [Value::Bool(false), Value::Bool(true)]),
        (PropertyType::String, ["a".into(), "\u{e9}".into()]),
        (PropertyType::Binary, [Value::Binary(vec![]), Value::Binary(vec![0])]),
        (PropertyType::Timestamp, [-1, 1].map(|s| Value::Timestamp(Timestamp::from_millis(s)))),
        (PropertyType::Float, [Value::Float(f32::NAN), Value::Float(-1.0)]),
        (PropertyType::Double, [Value::Double(-1.0), Value::Double(f64::INFINITY)]),
        (PropertyType::Decimal, ["-1", "9E+99"].map(|d| Value::Decimal(d.parse().unwrap()))),
        (PropertyType::ObjectId, [1, 2].map(|b| Value::ObjectId(crate::value::ObjectId([b; 12])))),
        (PropertyType::Uuid, [1, 2].map(|b| Value::Uuid(crate::value::Uuid([b; 16])))),
    ];
    for (value_type, [low, high]) in value_types {
        for value_type in [value_type, PropertyType::Mixed] {
            let class = Declaration::new("Thing").primary_key("_id", PropertyType::Int);
            let class = class.optional("value", value_type.clone());
            let fixture = Fixture::new(&Declarations::new().class(class));
            for (id, value) in [(1, high.clone()), (2, low.clone()), (3, Value::Null)] {
                fixture.put("Thing", [("_id", Value::Int(id)), ("value", value)]);
            }
            let ids = |query: Query| -> Vec<_> {
                let found = fixture.view().find(&query).unwrap();
                found.map(|thing| thing.unwrap().get("_id").unwrap().as_int().unwrap()).collect()
            };
            let query = Query::class("Thing");
            assert_eq!(ids(query.clone().sort_by("value")), [3, 2, 1], "{value_type:?}");
            assert_eq!(ids(query.sort_by_descending("value")), [1, 2, 3], "{value_type:?}");
        }
    }
}

/// A query, and the same as a program on a `Vec`.
#[derive(Clone, Debug)]
#[expect(
    clippy::option_option,
    reason = "nothing is asked of the age, or that it is null, or a number"
)]
struct Case {
    name: Option<String>,
    age: Option<Option<i64>>,
    least_height: Option<f64>,
    order: Vec<(&'static str, bool)>,
    limit: Option<usize>,
}

impl Case {
    fn query(&self) -> Query<Person> {
        let mut query = Query::new();
        if let Some(name) = &self.name {
            query = query.equals("name", name.as_str());
        }
        if let Some(age) = self.age {
            query = query.equals("age", age);
        }
        if let Some(least) = self.least_height {
            query = query.filter(move |person: &Person| person.height >= least);
        }
        for (field, ascending) in &self.order {
            query = if *ascending { query.sort_by(field) } else { query.sort_by_descending(field) };
        }
        if let Some(limit) = self.limit { query.limit(limit) } else { query }
    }

    fn expected(&self, people: &[Person]) -> Vec<i64> {
        let mut found: Vec<_> = people
            .iter()
            .filter(|person| self.name.as_ref().is_none_or(|name| person.name == *name))
            .filter(|person| self.age.is_none_or(|age| person.age == age))
            .filter(|person| self.least_height.is_none_or(|least| person.height >= least))
            .collect();
        found.sort_by_key(|person| person._id);
        for (field, ascending) in self.order.iter().rev() {
            found.sort_by(|a, b| {
                let ordering = match *field {
                    "name" => a.name.cmp(&b.name),
                    "age" => a.age.cmp(&b.age),
                    "height" => a.height.total_cmp(&b.height),
                    _ => a._id.cmp(&b._id),
                };
                if *ascending { ordering } else { ordering.reverse() }
            });
        }
        found.iter().take(self.limit.unwrap_or(usize::MAX)).map(|person| person._id).collect()
    }
}

fn any_person() -> impl Strategy<Value = Person> {
    (-9..9_i64, "[ab]{0,1}", proptest::option::of(0..3_i64), -2..2_i32).prop_map(
        |(id, name, age, height)| Person { age, height: height.into(), ..person(id, &name) },
    )
}

fn any_case() -> impl Strategy<Value = Case> {
    let field = prop_oneof![Just("name"), Just("age"), Just("height"), Just("_id")];
    (
        proptest::option::of("[ab]{0,1}"),
        proptest::option::of(proptest::option::of(0..3_i64)),
        proptest::option::of((-2..2_i32).prop_map(f64::from)),
        proptest::collection::vec((field, any::<bool>()), 0..3),
        proptest::option::of(0..12_usize),
    )
        .prop_map(|(name, age, least_height, order, limit)| Case {
            name,
            age,
            least_height,
            order,
            limit,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn queries_find_what_a_program_on_a_vec_finds(
        found in proptest::collection::vec(any_person(), 0..20),
        cases in proptest::collection::vec(any_case(), 1..8),
    ) {
        let unique: BTreeMap<_, _> = found.into_iter().map(|person| (person._id, person)).collect();
        let unique: Vec<_> = unique.into_values().collect();
        let view = people(&unique);
        for case in cases {
            let query = case.query();
            let expected = case.expected(&unique);
            prop_assert_eq!(ids(view.find(&query).unwrap()), &*expected, "{:?}", case);
            prop_assert_eq!(view.count(&query).unwrap(), expected.len());
            let first = view.first(&query).unwrap().map(|person| person._id);
            prop_assert_eq!(first, expected.first().copied());
        }
    }

    /// Whatever numbers a mixed field holds, sorting is an order: it neither panics nor depends on where it starts.
    #[test]
    fn mixed_numbers_have_one_order(numbers in proptest::collection::vec(number(), 0..60)) {
        let people_with = |numbers: &[Value]| -> Vec<_> {
            numbers.iter().zip(0..).map(|(mixed, id)| Person { mixed: mixed.clone(), ..person(id, "") }).collect()
        };
        let sorted = |numbers: &[Value]| -> Vec<_> {
            let view = people(&people_with(numbers));
            let found = view.find(&Query::<Person>::new().sort_by("mixed")).unwrap();
            found.map(|person| person.unwrap().mixed).collect()
        };
        let once = sorted(&numbers);
        prop_assert_eq!(sorted(&once), once);
    }
}

/// Numbers of all types that are the same, or nearly so.
fn number() -> impl Strategy<Value = Value> {
    let digits = 0..5_i64;
    prop_oneof![
        digits.clone().prop_map(|n| Value::Int(9_007_199_254_740_990 + n)),
        digits.clone().prop_map(|n| Value::Double(
            9_007_199_254_740_990.0 + f64::from(i32::try_from(n).unwrap())
        )),
        digits.clone().prop_map(|n| Value::Decimal(Decimal::from(9_007_199_254_740_990 + n))),
        digits.prop_map(|n| Value::Decimal(
            Decimal::new(90_071_992_547_409_900 + i128::from(n), -1).unwrap()
        )),
        Just(Value::Double(f64::NAN)),
        Just(Value::Float(f32::NAN)),
        Just(Value::Decimal("nan".parse().unwrap())),
        any::<f32>().prop_map(Value::Float),
    ]
}
