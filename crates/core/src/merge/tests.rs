mod generate;
mod hostile;
mod property;
pub(super) mod text;
mod woven;

use bailiwick_protocol::changeset::{Changeset, CollectionKind, KeyType, TypeCode};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;

use super::driver::number;
use super::{Concurrent, MergeFault, Position, SchemaMismatch, merge};

/// `ours` is the earlier side. Checks what both become, and that it does not matter which of them is local.
#[track_caller]
fn check(ours: &str, theirs: &str, expected: (&str, &str)) {
    let [earlier, later] = [(ours, 100, 2), (theirs, 200, 3)].map(|(text, time, ident)| {
        Concurrent::new(text::parse(text), OriginTimestamp(time), FileIdent(ident))
    });
    let print = |entry: &Concurrent| text::print(entry.changeset());
    let (mut local, mut remote) = ([earlier.clone()], [later.clone()]);
    merge(&mut local, &mut remote).unwrap();
    assert_eq!((print(&local[0]).as_str(), print(&remote[0]).as_str()), expected);
    for (entry, text) in [(&local[0], ours), (&remote[0], theirs)] {
        assert_eq!(entry.is_dirty(), print(entry) != text, "{text}");
    }

    let (mut local, mut remote) = ([later], [earlier]);
    merge(&mut local, &mut remote).unwrap();
    let swapped = (print(&remote[0]), print(&local[0]));
    assert_eq!((swapped.0.as_str(), swapped.1.as_str()), expected, "with sides swapped");
}

#[track_caller]
fn check_fails(ours: &str, theirs: &str, expected: &MergeFault) {
    let mut local = [one("create Z 1", 100, 2), one(ours, 100, 2)];
    let mut remote = [one(theirs, 200, 3)];
    let error = merge(&mut local, &mut remote).unwrap_err();
    assert_eq!(&error.fault, expected, "{error}");
    assert_eq!(error.is_schema_mismatch(), matches!(expected, MergeFault::Schema(_)));
    assert_eq!(error.local, Position { changeset: 1, instruction: 0 });
    assert_eq!(error.remote, Position { changeset: 0, instruction: 0 });
}

fn one(text: &str, time: u64, ident: u64) -> Concurrent {
    Concurrent::new(text::parse(text), OriginTimestamp(time), FileIdent(ident))
}

#[test]
fn what_is_about_different_places_stays() {
    for (ours, theirs) in [
        ("update A/1/i int:1", "update A/2/i int:2"),
        ("update A/1/i int:1", "update A/1/j int:2"),
        ("update A/1/i int:1", "update B/1/i int:2"),
        ("update A/1/d/@a int:1", "update A/1/d/@b int:2"),
        ("update A/\"1/i int:1", "update A/1/i int:2"),
        ("update A/null/i int:1", "update A/g1-1/i int:2"),
        ("insert A/1/li/0 int:1 5", "insert A/2/li/0 int:2 0"),
        ("create A 1", "create A 1"),
        ("addint A/1/i 1", "addint A/1/i 2"),
        ("create A 1", "update A/1/i int:2"),
        ("sinsert A/1/s int:1", "sinsert A/1/s int:2"),
        ("sinsert A/1/s int:1", "sinsert A/1/s double:1"),
        ("sinsert A/1/s double:NaN", "sinsert A/1/s double:NaN"),
        ("addcol A f Int 0 single", "addcol A g Int 0 single"),
        ("addtable A _id Int 0 0", "addtable B _id String 1 0"),
        ("erase A 2", "update A/1/l link:A=2"),
    ] {
        check(ours, theirs, (ours, theirs));
    }
}

#[test]
fn erasing_an_object_wins_at_any_time() {
    for inner in [
        "create A 1",
        "update A/1/i int:1",
        "addint A/1/i 1",
        "insert A/1/le/1/@li/0 int:7 2",
        "clear A/1/li list",
        "sinsert A/1/s int:1",
    ] {
        check("erase A 1", inner, ("erase A 1", ""));
        check(inner, "erase A 1", ("", "erase A 1"));
    }
}

#[test]
fn of_two_erasures_the_later_stays_with_what_follows_it() {
    check("erase A 1", "erase A 1", ("", "erase A 1"));
    let again = "erase A 1; create A 1; update A/1/i int:1";
    check("erase A 1", again, ("", again));
    check(again, "erase A 1", ("", "erase A 1"));
    check(again, "update A/1/i int:7", (again, ""));
}

#[test]
fn the_later_value_wins_unless_it_is_a_default() {
    check("update A/1/i int:1", "update A/1/i int:2", ("", "update A/1/i int:2"));
    check("update A/1/i int:1", "update A/1/i int:1", ("", "update A/1/i int:1"));
    check("update A/1/i int:1", "update A/1/i int:2 default", ("update A/1/i int:1", ""));
    check(
        "update A/1/i int:1 default",
        "update A/1/i null default",
        ("", "update A/1/i null default"),
    );
    check("update A/1/d/@a erased", "update A/1/d/@a int:2", ("", "update A/1/d/@a int:2"));
    check("update A/1/e null", "update A/1/e obj", ("update A/1/e null", ""));
    check("update A/1/e obj", "update A/1/e obj", ("", "update A/1/e obj"));
    check("update A/1/m list", "update A/1/m list", ("update A/1/m list", "update A/1/m list"));
    check("update A/1/m list", "update A/1/m dict", ("", "update A/1/m dict"));
}

#[test]
fn what_replaces_a_place_takes_away_what_is_inside_at_any_time() {
    check("update A/1/e null", "update A/1/e/@v int:1", ("update A/1/e null", ""));
    check("update A/1/e/@v int:1", "update A/1/e null", ("", "update A/1/e null"));
    check("update A/1/m int:1", "insert A/1/m/0 int:1 3", ("update A/1/m int:1", ""));
    check("update A/1/m list", "update A/1/m/@a int:1", ("update A/1/m list", ""));
    check("update A/1/m dict", "insert A/1/m/0 int:1 3", ("update A/1/m dict", ""));
    check("addint A/1/m 1", "insert A/1/m/0 int:1 3", ("addint A/1/m 1", ""));
    for (outer, inner) in [
        ("update A/1/e obj", "update A/1/e/@v int:1"),
        ("update A/1/m list", "insert A/1/m/0 int:1 3"),
        ("update A/1/m dict", "update A/1/m/@a int:1"),
    ] {
        check(outer, inner, (outer, inner));
    }
}

#[test]
fn an_increment_counts_on_top_of_what_was_set_before() {
    let add = "addint A/1/i 5";
    check("update A/1/i int:10", add, ("update A/1/i int:15", add));
    check(add, "update A/1/i int:10", ("", "update A/1/i int:10"));
    check(add, "update A/1/i int:10 default", (add, "update A/1/i int:15 default"));
    check("update A/1/i null", add, ("update A/1/i null", add));
    check("update A/1/i str:x", add, ("update A/1/i str:x", ""));
    check(
        "update A/1/i int:9223372036854775807",
        add,
        ("update A/1/i int:-9223372036854775804", add),
    );
    check("update A/1/i int:10", "addint A/1/i 0", ("update A/1/i int:10", "addint A/1/i 0"));
}

#[test]
fn clearing_wins_over_elements_and_time_decides_against_values() {
    for element in [
        "insert A/1/c/0 int:1 3",
        "move A/1/c/0 1 3",
        "aerase A/1/c/0 3",
        "update A/1/c/0 int:1 3",
        "update A/1/c/@a int:1",
        "update A/1/c/0/@v int:1",
        "sinsert A/1/c int:1",
        "serase A/1/c int:1",
        "addint A/1/c 1",
    ] {
        check("clear A/1/c list", element, ("clear A/1/c list", ""));
        check(element, "clear A/1/c list", ("", "clear A/1/c list"));
    }
    check("clear A/1/c set", "clear A/1/c set", ("", "clear A/1/c set"));
    let (clear, update) = ("clear A/1/m list", "update A/1/m list");
    check(clear, update, (clear, update));
    check(clear, "update A/1/m dict", ("", "update A/1/m dict"));
    check("update A/1/m int:1", clear, ("", clear));
    let ours = "clear A/1/c list; insert A/1/c/0 int:1 0";
    let theirs = "clear A/1/c list; insert A/1/c/0 int:2 0";
    check(ours, theirs, ("", theirs));
}

#[test]
fn inserted_elements_stand_in_the_order_of_their_times() {
    let insert = |at: u32, size: u32| format!("insert A/1/li/{at} int:1 {size}");
    check(&insert(2, 5), &insert(2, 5), (&insert(2, 6), &insert(3, 6)));
    check(&insert(1, 5), &insert(3, 5), (&insert(1, 6), &insert(4, 6)));
    check(&insert(4, 5), &insert(3, 5), (&insert(5, 6), &insert(3, 6)));
    let two = |a: u32, b: u32, size: u32| format!("{}; {}", insert(a, size), insert(b, size + 1));
    check(&two(0, 1, 5), &two(0, 1, 5), (&two(0, 1, 7), &two(2, 3, 7)));
}

#[test]
fn positions_follow_what_happens_before_them() {
    for (ours, theirs, ours_after, theirs_after) in [
        (
            "insert A/1/li/1 int:8 5",
            "aerase A/1/li/1 5",
            "insert A/1/li/1 int:8 4",
            "aerase A/1/li/2 6",
        ),
        (
            "insert A/1/li/4 int:8 5",
            "aerase A/1/li/3 5",
            "insert A/1/li/3 int:8 4",
            "aerase A/1/li/3 6",
        ),
        ("aerase A/1/li/1 5", "aerase A/1/li/3 5", "aerase A/1/li/1 4", "aerase A/1/li/2 4"),
        ("aerase A/1/li/1 5", "aerase A/1/li/1 5", "", ""),
        (
            "insert A/1/li/3 int:8 5",
            "update A/1/li/3 int:9 5",
            "insert A/1/li/3 int:8 5",
            "update A/1/li/4 int:9 6",
        ),
        ("aerase A/1/li/1 5", "update A/1/li/1 int:9 5", "aerase A/1/li/1 5", ""),
        (
            "aerase A/1/li/1 5",
            "update A/1/li/3 int:9 5",
            "aerase A/1/li/1 5",
            "update A/1/li/2 int:9 4",
        ),
        (
            "move A/1/li/1 3 5",
            "update A/1/li/1 int:9 5",
            "move A/1/li/1 3 5",
            "update A/1/li/3 int:9 5",
        ),
        (
            "move A/1/li/3 1 5",
            "update A/1/li/2 int:9 5",
            "move A/1/li/3 1 5",
            "update A/1/li/3 int:9 5",
        ),
        (
            "move A/1/li/0 1 5",
            "update A/1/li/2 int:9 4",
            "move A/1/li/0 1 5",
            "update A/1/li/2 int:9 4",
        ),
        (
            "insert A/1/li/3 int:8 5",
            "move A/1/li/1 3 5",
            "insert A/1/li/2 int:8 5",
            "move A/1/li/1 4 6",
        ),
        (
            "insert A/1/li/2 int:8 5",
            "move A/1/li/0 4 5",
            "insert A/1/li/1 int:8 5",
            "move A/1/li/0 5 6",
        ),
        ("move A/1/li/1 3 5", "aerase A/1/li/1 5", "", "aerase A/1/li/3 5"),
        ("move A/1/li/1 2 5", "aerase A/1/li/2 5", "", "aerase A/1/li/1 5"),
        ("move A/1/li/1 3 5", "aerase A/1/li/3 5", "move A/1/li/1 2 4", "aerase A/1/li/2 5"),
        ("move A/1/li/1 3 5", "move A/1/li/1 4 5", "", "move A/1/li/3 4 5"),
        ("move A/1/li/1 3 5", "move A/1/li/1 3 5", "", ""),
        ("move A/1/li/0 4 5", "move A/1/li/4 0 5", "move A/1/li/1 4 5", "move A/1/li/3 0 5"),
        // Here the later stands in front.
        (
            "insert A/1/li/5 int:8 5",
            "move A/1/li/0 4 5",
            "insert A/1/li/5 int:8 5",
            "move A/1/li/0 4 6",
        ),
        (
            "move A/1/li/0 4 5",
            "insert A/1/li/5 int:8 5",
            "move A/1/li/0 5 6",
            "insert A/1/li/4 int:8 5",
        ),
        // Two that move to one place stand there in the order of their times.
        ("move A/1/li/0 4 5", "move A/1/li/1 4 5", "move A/1/li/0 3 5", "move A/1/li/0 4 5"),
    ] {
        check(ours, theirs, (ours_after, theirs_after));
    }
}

#[test]
fn paths_through_a_list_follow_its_elements() {
    let nested = |i: u32| format!("update A/1/le/{i}/@v int:9");
    check("insert A/1/le/1 obj 3", &nested(1), ("insert A/1/le/1 obj 3", &nested(2)));
    check("insert A/1/le/2 obj 3", &nested(1), ("insert A/1/le/2 obj 3", &nested(1)));
    check("aerase A/1/le/0 3", &nested(1), ("aerase A/1/le/0 3", &nested(0)));
    check("aerase A/1/le/1 3", &nested(1), ("aerase A/1/le/1 3", ""));
}

/// The reference moves the move instead of the path, and the peers diverge; a server cannot mend it alone.
#[test]
fn a_move_is_mapped_through_a_nested_path() {
    let nested = "update A/1/le/1/@v int:9";
    check("move A/1/le/1 2 3", nested, ("move A/1/le/2 2 3", nested));
    check("move A/1/le/0 2 3", nested, ("move A/1/le/0 2 3", nested));
}

/// The reference keeps a later `Clear` of a collection in a dictionary of mixed values although the entry was
/// erased, and then cannot apply it: not on the devices, and so not on a server either.
#[test]
fn a_clear_outlives_an_earlier_erasure_of_its_entry() {
    let clear = "clear A/1/m/@a list";
    check("update A/1/m/@a erased", clear, ("", clear));
}

#[test]
fn the_later_decides_whether_a_set_has_an_element() {
    for [ours, theirs] in [
        ["sinsert A/1/s int:9", "serase A/1/s int:9"],
        ["serase A/1/s str:a", "sinsert A/1/s str:a"],
        ["sinsert A/1/s link:A=\"x", "sinsert A/1/s link:A=\"x"],
        ["serase A/1/s str:a", "serase A/1/s str:a"],
    ] {
        check(ours, theirs, ("", theirs));
    }
}

#[test]
fn elements_of_a_set_are_equal_by_what_they_mean() {
    for [ours, theirs] in [
        ["sinsert A/1/s float:0", "sinsert A/1/s float:-0"],
        ["sinsert A/1/s double:0", "serase A/1/s double:-0"],
        // The symbols are others.
        ["sinsert A/1/s link:B=\"x", "serase A/1/s link:B=\"x; create C \"y"],
    ] {
        check(ours, theirs, ("", theirs));
        let behind = format!("create Z \"other; {ours}");
        check(&behind, theirs, ("create Z \"other", theirs));
    }
    for [ours, theirs] in [
        ["sinsert A/1/s link:B=\"x", "sinsert A/1/s link:C=\"x"],
        ["sinsert A/1/s link:B=\"x", "sinsert A/1/s link:B=\"y"],
        ["sinsert A/1/s link:B=1", "sinsert A/1/s link:B=2"],
        ["sinsert A/1/s float:0", "sinsert A/1/s double:0"],
        ["sinsert A/1/s float:NaN", "sinsert A/1/s float:NaN"],
    ] {
        check(ours, theirs, (ours, theirs));
    }
}

/// The reference compares where texts stand in its buffers, and would drop the first.
#[test]
fn different_erasures_of_equal_length_both_stay() {
    let (ours, theirs) = ("serase A/1/s str:a", "serase A/1/s str:b");
    check(ours, theirs, (ours, theirs));
}

#[test]
fn equal_declarations_vanish_on_both_sides() {
    let table = "addtable A _id Int 0 0";
    let column = "addcol A f Link 1 single B";
    check(table, table, ("", ""));
    check("addembedded A", "addembedded A", ("", ""));
    let all = format!("{table}; {column}; create A 1");
    check(&all, &format!("{table}; {column}"), ("create A 1", ""));
}

#[test]
fn erasing_a_class_or_column_wins() {
    for inner in ["addtable A _id Int 0 0", "create A 1", "addcol A f Int 0 single", "erasecol A f"]
    {
        check("erasetable A", inner, ("erasetable A", ""));
    }
    check("erasetable A", "erasetable A", ("", ""));
    check("erasetable A", "addcol A f Link 1 single A", ("erasetable A", ""));
    check("erasecol A f", "erasecol A f", ("", ""));
    check("erasecol A f", "addcol A f Int 0 single", ("erasecol A f", ""));
    check("erasecol A f", "update A/1/f/@a/@b int:1; update A/2/f int:1", ("erasecol A f", ""));
    check("erasecol A f", "addint A/1/f 1", ("erasecol A f", "addint A/1/f 1"));
}

#[test]
fn a_column_goes_with_the_class_that_it_links_to() {
    let (erase, column) = ("erasetable B", "addcol A f Link 1 single B");
    check(erase, column, ("erasecol A f; erasetable B", ""));
    check(erase, &format!("{column}; update A/1/f null"), ("erasecol A f; erasetable B", ""));
    check(
        &format!("update A/1/g int:1; {erase}; create A 7"),
        &format!("{column}; addcol A g Link 0 list B"),
        ("update A/1/g int:1; erasecol A f; erasecol A g; erasetable B; create A 7", ""),
    );
}

#[test]
fn an_inserted_instruction_meets_what_comes_behind() {
    let mut local = [one("create B 1; erasetable B", 100, 2)];
    let mut remote = [one("addcol A f Link 1 single B; create B 2; erasecol A f", 200, 3)];
    merge(&mut local, &mut remote).unwrap();
    assert_eq!(text::print(local[0].changeset()), "create B 1; erasetable B");
    assert!(remote[0].changeset().is_empty());

    let mut local = [one("addcol A f Link 1 single B; update A/1/f null; create A 2", 100, 2)];
    let mut remote = [one("erasetable B", 200, 3)];
    merge(&mut local, &mut remote).unwrap();
    assert_eq!(text::print(local[0].changeset()), "create A 2");
    assert_eq!(text::print(remote[0].changeset()), "erasecol A f; erasetable B");
}

#[test]
fn the_strings_of_an_inserted_instruction_stand_last() {
    let mut local = [one("create B 1; erasetable B", 100, 2)];
    let mut remote = [one("addcol A f Link 1 single B", 200, 3)];
    merge(&mut local, &mut remote).unwrap();
    let strings: Vec<_> = local[0].changeset().strings.iter().collect();
    assert_eq!(strings, ["B", "A", "f"]);
    assert!(remote[0].changeset().encode().is_empty());
}

#[test]
fn in_pieces_the_strings_of_inserted_instructions_come_when_they_are_needed() {
    let declared = ["addcol C to_B Link 1 single B", "addcol A to_D Link 1 single D"]
        .map(|text| one(text, 200, 3));
    let local = [one("erasetable D; erasetable B", 100, 2)];
    let (mut whole, mut pieces) = (local.clone(), local);
    merge(&mut whole, &mut declared.clone()).unwrap();
    for piece in declared {
        merge(&mut pieces, &mut [piece]).unwrap();
    }
    let (whole, pieces) = (whole[0].changeset(), pieces[0].changeset());
    let expected = "erasecol A to_D; erasetable D; erasecol C to_B; erasetable B";
    assert_eq!([text::print(whole), text::print(pieces)], [expected; 2]);
    assert_eq!(whole.strings.iter().collect::<Vec<_>>(), ["D", "B", "A", "to_D", "C", "to_B"]);
    assert_eq!(pieces.strings.iter().collect::<Vec<_>>(), ["D", "B", "C", "to_B", "A", "to_D"]);
}

#[test]
fn contradicting_declarations_are_refused() {
    let class = || "A".to_owned();
    let field = || "f".to_owned();
    let key = || "_id".to_owned();
    for (ours, theirs, expected) in [
        (
            "addtable A _id Int 0 0",
            "addtable A key String 0 0",
            SchemaMismatch::KeyField { class: class(), local: key(), remote: "key".to_owned() },
        ),
        (
            "addtable A _id Int 0 0",
            "addtable A _id Int 1 1",
            SchemaMismatch::KeyNullable { class: class(), key: key() },
        ),
        (
            "addtable A _id Int 0 0",
            "addtable A _id String 0 0",
            SchemaMismatch::KeyType {
                class: class(),
                key: key(),
                local: KeyType::Int,
                remote: KeyType::String,
            },
        ),
        (
            "addtable A _id Int 0 0",
            "addtable A _id Int 0 1",
            SchemaMismatch::Asymmetric { class: class() },
        ),
        ("addtable A _id Int 0 0", "addembedded A", SchemaMismatch::Embedded { class: class() }),
        (
            "addcol A f Int 0 single",
            "addcol A f Int 1 list",
            SchemaMismatch::ColumnNullable { class: class(), field: field() },
        ),
        (
            "addcol A f Int 0 single",
            "addcol A f String 0 list",
            SchemaMismatch::ColumnType {
                class: class(),
                field: field(),
                local: TypeCode::Int,
                remote: TypeCode::String,
            },
        ),
        (
            "addcol A f Int 0 single",
            "addcol A f Int 0 list",
            SchemaMismatch::ColumnCollection {
                class: class(),
                field: field(),
                local: CollectionKind::Single,
                remote: CollectionKind::List,
            },
        ),
        (
            "addcol A f Link 1 single A",
            "addcol A f Link 1 single B",
            SchemaMismatch::ColumnTarget {
                class: class(),
                field: field(),
                local: class(),
                remote: "B".to_owned(),
            },
        ),
    ] {
        check_fails(ours, theirs, &expected.into());
    }
}

#[test]
fn lists_of_different_lengths_are_refused() {
    let sizes = |left, right| MergeFault::PriorSize { left, right };
    check_fails("insert A/1/li/0 int:1 5", "insert A/1/li/0 int:1 4", &sizes(5, 4));
    check_fails("move A/1/li/0 1 5", "move A/1/li/0 1 4", &sizes(5, 4));
    check_fails("update A/1/li/0 int:1 5", "update A/1/li/0 int:1 4", &sizes(5, 4));
    let outside = |index, prior_size| MergeFault::IndexOutOfRange { index, prior_size };
    check_fails("aerase A/1/li/5 5", "aerase A/1/li/1 5", &outside(5, 5));
    check_fails("move A/1/li/1 9 5", "move A/1/li/2 3 5", &outside(9, 5));
    check_fails("insert A/1/li/6 int:1 5", "aerase A/1/li/1 5", &outside(6, 5));
}

#[test]
fn a_list_here_and_a_dictionary_there_are_refused() {
    let fault = &MergeFault::InconsistentPaths;
    check_fails("insert A/1/m/0 int:1 5", "update A/1/m/@a int:1", fault);
    check_fails("insert A/1/m/0 int:1 5", "update A/1/m/@a/@v int:1", fault);
    check_fails("aerase A/1/m/0 5", "insert A/1/m/@a/0 int:1 5", fault);
    check_fails("update A/1/m/0 int:1 5", "update A/1/m/0 int:1", fault);
}

#[test]
fn positions_do_not_outgrow_a_changeset() {
    const MAX: u32 = 2_147_483_647;
    for (ours, theirs) in [
        (format!("insert A/1/li/0 int:1 {MAX}"), format!("insert A/1/li/0 int:1 {MAX}")),
        ("insert A/1/le/0 obj 1".to_owned(), format!("update A/1/le/{MAX}/@v int:1")),
        ("insert A/1/li/0 int:1 3".to_owned(), format!("move A/1/li/1 {MAX} 3")),
    ] {
        check_fails(&ours, &theirs, &MergeFault::IndexTooLarge);
    }
}

#[test]
#[should_panic(expected = "it fits into memory")]
fn no_op_has_the_number_that_stands_for_none() {
    assert_eq!(number(u32::MAX as usize - 1), u32::MAX - 1);
    number(u32::MAX as usize);
}

#[test]
fn an_error_names_the_place() {
    let mut local = [one("create A 1; insert A/\"rex/le/2/@li/0 int:1 5", 100, 2)];
    let mut remote = [one("insert A/\"rex/le/2/@li/0 int:1 4", 200, 3)];
    let error = merge(&mut local, &mut remote).unwrap_err();
    assert_eq!(error.local.instruction, 1);
    assert_eq!(error.path, "A[\"rex\"].le[2].li[0]");
    assert!(!error.is_schema_mismatch());
}

#[test]
fn merging_again_goes_on_from_what_the_last_merge_left() {
    let mut local = [one("insert A/1/li/0 int:1 3", 100, 2)];
    merge(&mut local, &mut [one("insert A/1/li/0 int:2 3", 50, 3)]).unwrap();
    let mut later = [one("insert A/1/li/1 int:3 4", 60, 3)];
    merge(&mut local, &mut later).unwrap();
    assert_eq!(text::print(local[0].changeset()), "insert A/1/li/2 int:1 5");
    assert_eq!(text::print(later[0].changeset()), "insert A/1/li/1 int:3 5");
}

#[test]
fn nothing_is_left_of_an_emptied_changeset() {
    let mut local = [one("update A/1/i int:1", 100, 2)];
    merge(&mut local, &mut [one("erase A 1", 50, 3)]).unwrap();
    let [local] = local;
    assert!(local.is_dirty());
    let left: Changeset = local.into_changeset();
    assert!(left.is_empty() && left.encode().is_empty());
    assert_eq!(text::print(&one("create A 1", 100, 2).into_changeset()), "create A 1");
}
