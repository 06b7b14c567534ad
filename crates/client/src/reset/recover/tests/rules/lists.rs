//! The rules of lists, and of what lies in their elements.

use super::*;

#[test]
fn elements_are_inserted_where_they_were_or_at_the_end() {
    let insert = |at: usize, value: i64| {
        move |tx: &mut WriteTransaction<'_>| {
            tx.object("Task", 1)?.list("ints")?.insert(at, value).map(drop)
        }
    };
    let shorter: Edit<'_> = &|tx| tx.object("Task", 1)?.list("ints")?.clear()?.push(9).map(drop);
    check(&one, &[&insert(3, 4)], &shorter, &["Task[1].ints: [9, 4]"]);
    check(&one, &[&insert(0, 4)], &shorter, &["Task[1].ints: [4, 9]"]);
    check(&one, &[&insert(3, 4), &insert(3, 5)], &shorter, &["Task[1].ints: [9, 4, 5]"]);
    check(&one, &[&insert(1, 4), &insert(2, 5)], NOTHING, &["Task[1].ints: [1, 4, 5, 2, 3]"]);
}

#[test]
fn elements_that_were_inserted_here_can_be_edited() {
    check(
        &one,
        &[
            &|tx| {
                tx.object("Task", 1)?.list("ints")?.insert(1, 10)?.insert(2, 20)?.insert(3, 30)?;
                Ok(())
            },
            &|tx| {
                tx.object("Task", 1)?.list("ints")?.set(2, 21)?.move_to(1, 3)?.remove(2).map(drop)
            },
        ],
        &|tx| tx.object("Task", 1)?.list("ints")?.insert(0, 7).map(drop),
        &["Task[1].ints: [7, 21, 10, 1, 2, 3]"],
    );
}

#[test]
fn a_list_touched_elsewhere_is_what_it_is_here() {
    let server: Edit<'_> =
        &|tx| tx.object("Task", 1)?.list("ints")?.insert(0, 7)?.push(8).map(drop);
    let touch: [(Edit<'_>, &str); 3] = [
        (&|tx| tx.object("Task", 1)?.list("ints")?.set(0, 5).map(drop), "[5, 2, 3]"),
        (&|tx| tx.object("Task", 1)?.list("ints")?.remove(0).map(drop), "[2, 3]"),
        (&|tx| tx.object("Task", 1)?.list("ints")?.move_to(0, 2).map(drop), "[2, 3, 1]"),
    ];
    for (edit, expected) in touch {
        let expected = format!("Task[1].ints: {expected}");
        check(&one, &[edit], server, &[&expected]);
    }
    // What comes after that is in the copy already.
    check(
        &one,
        &[&|tx| tx.object("Task", 1)?.list("ints")?.push(4)?.remove(0).map(drop), &|tx| {
            tx.object("Task", 1)?.list("ints")?.push(5)?.set(0, 6).map(drop)
        }],
        server,
        &["Task[1].ints: [6, 3, 4, 5]"],
    );
}

#[test]
fn a_cleared_list_is_known_again() {
    check(
        &one,
        &[&|tx| {
            tx.object("Task", 1)?.list("ints")?.remove(0)?.clear()?.push(4)?.push(5)?;
            tx.object("Task", 1)?.list("ints")?.move_to(0, 1)?.push(6)?.remove(0).map(drop)
        }],
        &|tx| tx.object("Task", 1)?.list("ints")?.push(8).map(drop),
        &["Task[1].ints: [4, 6]"],
    );
}

#[test]
fn links_to_nothing_do_not_enter_lists_and_sets() {
    check(
        &|tx| {
            one(tx)?;
            tx.create("Task", 2)?;
            tx.create("Person", "p").map(drop)
        },
        &[&|tx| {
            tx.object("Task", 1)?.list("tasks")?.push(task(1))?.push(task(2))?.push(task(1))?;
            // A position behind the one that is left out.
            tx.object("Task", 1)?.list("tasks")?.remove(2)?.remove(1)?.push(task(1))?;
            tx.object("Task", 1)?.list("anys")?.push(person("p"))?.push(1)?;
            tx.object("Task", 1)?.list("anys")?.set(1, 2)?;
            tx.object("Task", 1)?.set_of("friends")?.insert(person("p"))?;
            tx.object("Task", 1)?.set_of("anyset")?.insert(person("p"))?;
            Ok(())
        }],
        &|tx| {
            tx.delete("Task", 2)?;
            tx.delete("Person", "p")
        },
        &[
            "Task[1].tasks: [-> Task[1], -> Task[1]]",
            "Task[1].anys: [2]",
            "Task[1].friends: {}",
            "Task[1].anyset: {}",
        ],
    );
}

#[test]
fn a_copied_list_gets_links_to_objects_that_come_later() {
    check(
        &|tx| {
            one(tx)?;
            tx.object("Task", 1)?.list("tasks")?.push(task(1))?;
            tx.create("Task", 2).map(drop)
        },
        &[
            &|tx| {
                tx.object("Task", 1)?.list("tasks")?.push(task(2))?;
                tx.object("Task", 1)?.list("tasks")?.remove(0).map(drop)
            },
            &|tx| tx.create("Task", 3).map(drop),
            &|tx| tx.object("Task", 1)?.list("tasks")?.push(task(3)).map(drop),
        ],
        &|tx| tx.delete("Task", 2),
        &["Task[1].tasks: [-> Task[3]]"],
    );
}

#[test]
fn what_lies_in_elements_goes_with_them() {
    let parts = |tx: &mut WriteTransaction<'_>| {
        tx.create("Task", 1)?.list("parts")?.push(part(1))?.push(part(2)).map(drop)
    };
    let server: Edit<'_> = &|tx| tx.object("Task", 1)?.list("parts")?.insert(0, part(9)).map(drop);
    let text = |parts: &[(i64, &str)]| {
        let parts: Vec<_> = parts
            .iter()
            .map(|(n, items)| format!("Part {{ items: {items}, n: {n}, task: null }}"))
            .collect();
        format!("Task[1].parts: [{}]", parts.join(", "))
    };
    // Through an element that was inserted here.
    check(
        &parts,
        &[
            &|tx| {
                tx.object("Task", 1)?.list("parts")?.insert(0, part(5))?;
                let mut task = tx.object("Task", 1)?;
                let mut list = task.list("parts")?;
                list.embedded(0)?.list("items")?.push(1)?.push(2).map(drop)
            },
            &|tx| {
                tx.object("Task", 1)?.list("parts")?.insert(0, part(6))?;
                let mut task = tx.object("Task", 1)?;
                let mut list = task.list("parts")?;
                list.embedded(1)?.set("n", 55)?.list("items")?.remove(0).map(drop)
            },
        ],
        server,
        &[&text(&[(6, "[]"), (55, "[2]"), (9, "[]"), (1, "[]"), (2, "[]")])],
    );
    // Through one that was there before.
    check(
        &parts,
        &[&|tx| {
            let mut task = tx.object("Task", 1)?;
            let mut list = task.list("parts")?;
            list.embedded(1)?.list("items")?.push(3)?;
            list.embedded(0)?.set("n", 11)?.set("task", task_link()).map(drop)
        }],
        server,
        &["Task[1].parts: [Part { items: [], n: 11, task: -> Task[1] }, \
           Part { items: [3], n: 2, task: null }]"],
    );
}

fn task_link() -> Link {
    task(1)
}

#[test]
fn nested_collections_are_tracked_and_copied() {
    let base = |tx: &mut WriteTransaction<'_>| {
        let inner = Value::List(vec![1.into(), 2.into()]);
        let map = Value::Dictionary([("k".to_owned(), inner.clone())].into());
        tx.create("Task", 1)?.set("any", map)?.list("anys")?.push(inner).map(drop)
    };
    // A list below keys that is touched at an unknown position.
    check(
        &base,
        &[&|tx| tx.object("Task", 1)?.dictionary("any")?.list("k")?.remove(0)?.push(3).map(drop)],
        &|tx| tx.object("Task", 1)?.dictionary("any")?.list("k")?.push(7).map(drop),
        &["Task[1].any: {\"k\": [2, 3]}"],
    );
    // A list in a list that was there before: the outer one is copied.
    check(
        &base,
        &[&|tx| tx.object("Task", 1)?.list("anys")?.list(0)?.push(3).map(drop)],
        &|tx| tx.object("Task", 1)?.list("anys")?.push("there").map(drop),
        &["Task[1].anys: [[1, 2, 3]]"],
    );
    // A collection in the place of something else forgets what was known.
    check(
        &base,
        &[&|tx| {
            tx.object("Task", 1)?.list("anys")?.insert(0, Value::List(vec![4.into()]))?;
            tx.object("Task", 1)?.list("anys")?.list(0)?.push(5)?;
            tx.object("Task", 1)?.list("anys")?.set(0, Value::Dictionary([].into()))?;
            tx.object("Task", 1)?.list("anys")?.dictionary(0)?.insert("x", Value::List(vec![]))?;
            tx.object("Task", 1)?.list("anys")?.dictionary(0)?.list("x")?.push(6).map(drop)
        }],
        &|tx| tx.object("Task", 1)?.list("anys")?.push("there").map(drop),
        &["Task[1].anys: [{\"x\": [6]}, [1, 2], \"there\"]"],
    );
}
