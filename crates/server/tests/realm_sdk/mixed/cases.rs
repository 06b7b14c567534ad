//! The edits of the conflicts, as a program in Rust makes them.

use bailiwick_client::Value;

use super::edits::{Edits, T, U, V, entries, object, x};

/// What the JavaScript of the case of the same name does.
pub(super) struct RustCase {
    pub(super) claim: &'static str,
    pub(super) base: Edits,
    pub(super) ours: Edits,
    pub(super) theirs: Edits,
    pub(super) ours_again: Edits,
    pub(super) theirs_again: Edits,
}

const NOTHING: Edits = |_| Ok(());

const fn once(claim: &'static str, base: Edits, ours: Edits, theirs: Edits) -> RustCase {
    RustCase { claim, base, ours, theirs, ours_again: NOTHING, theirs_again: NOTHING }
}

pub(super) const CASES: &[RustCase] = &[
    // Fields.
    once(
        "different fields are both kept",
        NOTHING,
        |e| e.set("a", "ours"),
        |e| e.set("b", "theirs"),
    ),
    once(
        "the later write of a field wins",
        NOTHING,
        |e| e.set("a", "ours"),
        |e| e.set("a", "theirs"),
    ),
    once(
        "a later null wins",
        |e| e.set("a", "base"),
        |e| e.set("a", "ours"),
        |e| e.set("a", Value::Null),
    ),
    once(
        "a counter that is set is a field",
        |e| e.set("count", 10),
        |e| e.set("count", 11),
        |e| e.set("count", 12),
    ),
    once(
        "a mixed field takes the later type",
        |e| e.set("any", true),
        |e| e.set("any", 5),
        |e| e.set("any", "text"),
    ),
    // Lists.
    once(
        "inserts at the same place keep both, the earlier first",
        |e| e.set("list", vec!["x", "y"]),
        |e| e.insert("list", 1, "ours"),
        |e| e.insert("list", 1, "theirs"),
    ),
    once(
        "runs appended at the same place do not mingle",
        |e| e.set("list", vec!["x"]),
        |e| e.push("list", ["a1", "a2", "a3"]),
        |e| e.push("list", ["b1", "b2", "b3"]),
    ),
    once(
        "an insert survives the removal of its neighbour",
        |e| e.set("list", vec!["x", "y", "z"]),
        |e| e.insert("list", 1, "n"),
        |e| e.remove("list", 1),
    ),
    once(
        "removing the same element removes one",
        |e| e.set("list", vec!["x", "y", "z"]),
        |e| e.remove("list", 1),
        |e| e.remove("list", 1),
    ),
    once(
        "removal beats replacement",
        |e| e.set("list", vec!["x", "y", "z"]),
        |e| e.remove("list", 1),
        |e| e.replace("list", 1, "theirs"),
    ),
    once(
        "the later replacement of an element wins",
        |e| e.set("list", vec!["x", "y", "z"]),
        |e| e.replace("list", 1, "ours"),
        |e| e.replace("list", 1, "theirs"),
    ),
    RustCase {
        claim: "an element that both move goes where the later one puts it",
        base: |e| e.set("list", vec!["a", "b", "c", "d"]),
        ours: |e| e.move_to("list", 0, 3),
        theirs: |e| e.move_to("list", 0, 1),
        ours_again: |e| e.move_to("list", 3, 0),
        theirs_again: |e| e.insert("list", 2, "n"),
    },
    once(
        "moves of different elements are both carried out",
        |e| e.set("list", vec!["a", "b", "c", "d"]),
        |e| e.move_to("list", 0, 3),
        |e| e.move_to("list", 1, 0),
    ),
    once(
        "a move goes past an insert",
        |e| e.set("list", vec!["a", "b", "c"]),
        |e| e.move_to("list", 0, 2),
        |e| e.insert("list", 1, "n"),
    ),
    once(
        "removal beats a move",
        |e| e.set("list", vec!["a", "b", "c"]),
        |e| e.move_to("list", 0, 2),
        |e| e.remove("list", 0),
    ),
    once(
        "a swap and a replacement are both carried out",
        |e| e.set("list", vec!["a", "b", "c"]),
        |e| {
            e.move_to("list", 2, 0)?;
            e.move_to("list", 1, 2)
        },
        |e| e.replace("list", 1, "theirs"),
    ),
    once(
        "a cleared list takes nothing from the other side",
        |e| e.set("list", vec!["a", "b"]),
        |e| e.set("list", vec!["new"]),
        |e| e.push("list", ["theirs"]),
    ),
    once(
        "lists of numbers and of mixed values merge as well",
        |e| {
            e.set("numbers", vec![1, 2])?;
            e.set("anyList", vec![Value::Int(1), "two".into()])
        },
        |e| {
            e.push("numbers", [3])?;
            e.push("anyList", [3])
        },
        |e| {
            e.insert("numbers", 0, 0)?;
            e.insert("anyList", 0, 0.5)
        },
    ),
    // Sets.
    once(
        "a set takes what both add",
        |e| e.add("set", ["x"]),
        |e| e.add("set", ["ours", "both"]),
        |e| e.add("set", ["theirs", "both"]),
    ),
    once(
        "different removals are both carried out, the same one once",
        |e| e.add("set", ["w", "xx", "yyy", "zzzz"]),
        |e| e.take("set", ["w", "xx"]),
        |e| e.take("set", ["xx", "yyy"]),
    ),
    once(
        "a removal does not undo another addition",
        |e| e.add("set", ["x"]),
        |e| e.take("set", ["x"]),
        |e| e.add("set", ["y"]),
    ),
    // Dictionaries.
    once(
        "different keys are both kept",
        NOTHING,
        |e| e.put("map", "ours", "1"),
        |e| e.put("map", "theirs", "2"),
    ),
    once(
        "the later write of a key wins",
        |e| e.put("map", "k", "base"),
        |e| e.put("map", "k", "ours"),
        |e| e.put("map", "k", "theirs"),
    ),
    once(
        "a key that is removed and later set is there",
        |e| e.put("map", "k", "base"),
        |e| e.drop_key("map", "k"),
        |e| e.put("map", "k", "theirs"),
    ),
    once(
        "a key that is set and later removed is gone",
        |e| e.put("map", "k", "base"),
        |e| e.put("map", "k", "ours"),
        |e| e.drop_key("map", "k"),
    ),
    once(
        "both may remove the same key",
        |e| {
            e.put("map", "k", "base")?;
            e.put("anyMap", "k", 1)?;
            e.put("linkMap", "k", e.link(T))?;
            e.set("partMap", entries([("k", x(1)), ("l", x(2))]))
        },
        |e| ["map", "anyMap", "linkMap", "partMap"].iter().try_for_each(|map| e.drop_key(map, "k")),
        |e| ["map", "anyMap", "linkMap", "partMap"].iter().try_for_each(|map| e.drop_key(map, "k")),
    ),
    once(
        "a mixed dictionary takes different types",
        |e| e.put("anyMap", "k", 1),
        |e| e.put("anyMap", "k", true),
        |e| {
            e.put("anyMap", "k", Value::Null)?;
            e.put("anyMap", "l", 2.5)
        },
    ),
    // Objects.
    once("deletion beats a later update", NOTHING, |e| e.delete(T), |e| e.set("a", "theirs")),
    once("a later deletion beats an update", NOTHING, |e| e.set("a", "ours"), |e| e.delete(T)),
    once("both may delete", NOTHING, |e| e.delete(T), |e| e.delete(T)),
    once(
        "an object that both create has the fields of both",
        NOTHING,
        |e| e.create(U)?.set("a", "ours").map(drop),
        |e| e.create(U)?.set("b", "theirs").map(drop),
    ),
    once(
        "an object that is deleted and created again has nothing of the old one",
        |e| e.set("list", vec!["old"]),
        |e| {
            e.delete(T)?;
            e.create(T)?.set("a", "new").map(drop)
        },
        |e| {
            e.set("b", "theirs")?;
            e.push("list", ["theirs"])
        },
    ),
    // Embedded objects.
    once(
        "an embedded object that both create has the fields of both",
        NOTHING,
        |e| e.set("part", x(1)),
        |e| e.set("part", object([("y", 2.into())])),
    ),
    once(
        "edits of different fields of an embedded object are both kept",
        |e| {
            let mut t = e.t()?;
            let mut part = t.embed("part")?;
            let mut inner = part.set("x", 1)?.set("y", 1)?.embed("inner")?;
            inner.set("z", 1)?.list("marks")?.push("m").map(drop)
        },
        |e| e.t()?.embedded("part")?.set("x", 2)?.embedded("inner")?.set("z", 2).map(drop),
        |e| {
            let mut t = e.t()?;
            let mut part = t.embedded("part")?;
            part.set("y", 2)?.embedded("inner")?.list("marks")?.push("n").map(drop)
        },
    ),
    once(
        "replacing an embedded object beats a later edit of it",
        |e| e.set("part", object([("x", 1.into()), ("y", 1.into())])),
        |e| e.set("part", x(2)),
        |e| e.t()?.embedded("part")?.set("y", 2).map(drop),
    ),
    once(
        "removing an embedded object beats a later edit of it",
        |e| {
            let mut t = e.t()?;
            t.embed("part")?.set("x", 1)?.embed("inner")?.set("z", 1).map(drop)
        },
        |e| e.t()?.embedded("part")?.delete(),
        |e| e.t()?.embedded("part")?.set("x", 2)?.embedded("inner")?.set("z", 2).map(drop),
    ),
    once(
        "embedded objects in a list are edited where they are",
        |e| e.set("parts", vec![x(1), x(2)]),
        |e| e.insert("parts", 0, x(0)),
        |e| {
            e.list("parts", |parts| parts.embedded(1)?.set("label", "two").map(drop))?;
            e.push("parts", [x(3)])
        },
    ),
    once(
        "an embedded object that leaves its list takes its edits with it",
        |e| e.set("parts", vec![x(1), x(2)]),
        |e| e.remove("parts", 0),
        |e| {
            e.list("parts", |parts| {
                parts.embedded(0)?.set("x", 10)?;
                parts.embedded(1)?.set("x", 20).map(drop)
            })
        },
    ),
    once(
        "embedded objects in a dictionary are edited by key",
        |e| {
            let k = object([("x", 1.into()), ("y", 1.into())]);
            e.set("partMap", entries([("k", k), ("l", x(1))]))
        },
        |e| e.map("partMap", |map| map.embedded("k")?.set("x", 2).map(drop)),
        |e| {
            e.map("partMap", |map| {
                map.embedded("k")?.set("y", 2)?;
                map.embedded("l")?.set("y", 2).map(drop)
            })
        },
    ),
    once(
        "removing an embedded object's key beats a later edit of it",
        |e| e.set("partMap", entries([("k", x(1)), ("l", x(1))])),
        |e| e.drop_key("partMap", "k"),
        |e| {
            e.map("partMap", |map| {
                map.embedded("k")?.set("x", 2)?;
                map.embedded("l")?.set("x", 2).map(drop)
            })
        },
    ),
    once(
        "replacing a dictionary of embedded objects beats a later edit",
        |e| e.set("partMap", entries([("k", object([("x", 1.into()), ("y", 1.into())]))])),
        |e| e.set("partMap", entries([("k", x(2)), ("l", x(2))])),
        |e| e.map("partMap", |map| map.embedded("k")?.set("y", 2).map(drop)),
    ),
    // Links.
    RustCase {
        claim: "a link to an object that the other deletes reads null, until the object is created again",
        base: |e| e.create(U).map(drop),
        ours: |e| e.set("link", e.link(U)),
        theirs: |e| e.delete(U),
        ours_again: |e| e.create(U)?.set("a", "again").map(drop),
        theirs_again: |e| e.set("a", "meanwhile"),
    },
    once(
        "a later link to a deleted object reads null",
        |e| e.create(U).map(drop),
        |e| e.delete(U),
        |e| e.set("link", e.link(U)),
    ),
    RustCase {
        claim: "a list does not show a deleted object, but goes on where it is",
        base: |e| {
            e.create(U)?;
            e.create(V)?;
            e.push("links", [e.link(U), e.link(V)])
        },
        ours: |e| e.push("links", [e.link(U)]),
        theirs: |e| e.delete(U),
        ours_again: |e| {
            e.push("links", [e.link(T)])?;
            e.insert("links", 0, e.link(V))
        },
        theirs_again: |e| {
            e.push("links", [e.link(V)])?;
            e.remove("links", 0)
        },
    },
    once(
        "a deletion leaves the other elements of a list alone",
        |e| {
            e.create(U)?;
            e.create(V)?;
            e.push("links", [e.link(U), e.link(V)])
        },
        |e| e.delete(U),
        |e| e.insert("links", 1, e.link(T)),
    ),
    once(
        "sets and dictionaries of links lose a deleted object",
        |e| {
            e.create(U)?;
            e.create(V).map(drop)
        },
        |e| {
            e.add("linkSet", [e.link(U), e.link(V)])?;
            e.put("linkMap", "k", e.link(U))?;
            e.put("linkMap", "l", e.link(V))
        },
        |e| e.delete(U),
    ),
    once(
        "a mixed value can link to an object that the other deletes",
        |e| e.create(U).map(drop),
        |e| {
            e.set("any", e.link(U))?;
            e.put("anyMap", "k", e.link(U))?;
            e.push("anyList", [e.link(U)])
        },
        |e| e.delete(U),
    ),
];
