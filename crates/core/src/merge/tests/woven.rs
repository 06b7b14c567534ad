//! Histories that are long enough to be woven, as they usually are.
//!
//! What becomes of them is compared with what meeting in pairs leads to.

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;

use super::property::check_against_oracle;
use super::text::parse;
use crate::merge::{Concurrent, merge};

/// How long the list is that both sides start from.
const BASE: u32 = 20;

/// The transactions of one device: one instruction each.
struct Author {
    file_ident: u64,
    /// The length of the list.
    len: u32,
    time: u64,
    written: Vec<Concurrent>,
    random: u64,
}

impl Author {
    fn new(file_ident: u64) -> Self {
        Self { file_ident, len: BASE, time: 1000, written: Vec::new(), random: file_ident }
    }

    fn write(&mut self, text: &str) {
        let time = OriginTimestamp(self.time);
        self.time += 2;
        self.written.push(Concurrent::new(parse(text), time, FileIdent(self.file_ident)));
    }

    fn insert(&mut self, at: u32) {
        self.write(&format!("insert A/1/li/{at} int:1 {}", self.len));
        self.len += 1;
    }

    fn erase(&mut self, at: u32) {
        self.len -= 1;
        self.write(&format!("aerase A/1/li/{at} {}", self.len + 1));
    }

    fn set(&mut self, at: u32) {
        self.write(&format!("update A/1/li/{at} int:2 {}", self.len));
    }

    /// A number below `bound`, another one each time.
    fn below(&mut self, bound: u32) -> u32 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u32::try_from(self.random >> 33).unwrap() % bound
    }
}

/// Both devices do `what`, 250 and 200 times; the number says how often they have.
#[track_caller]
fn check(what: impl Fn(&mut Author, u32)) {
    check_both(&what, &what);
}

#[track_caller]
fn check_both(ours: impl Fn(&mut Author, u32), theirs: impl Fn(&mut Author, u32)) {
    assert!(!is_fault(ours, theirs), "they do not merge");
}

/// Whether their histories cannot be merged; both merges must agree on it.
#[track_caller]
fn is_fault(ours: impl Fn(&mut Author, u32), theirs: impl Fn(&mut Author, u32)) -> bool {
    let (mut left, mut right) = (Author::new(2), Author::new(3));
    (0..250).for_each(|i| ours(&mut left, i));
    (0..200).for_each(|i| theirs(&mut right, i));
    check_against_oracle(&left.written, &right.written).unwrap();
    check_against_oracle(&right.written, &left.written).unwrap();
    merge(&mut left.written, &mut right.written).is_err()
}

fn append(author: &mut Author, _: u32) {
    author.insert(author.len);
}

/// Inserts, erases or sets one element anywhere.
fn edit(author: &mut Author, i: u32) {
    let at = author.below(author.len);
    match i % 4 {
        0 | 1 => author.insert(at),
        2 => author.erase(at),
        _ => author.set(at),
    }
}

#[test]
fn insertions_anywhere_agree() {
    check(append);
    check(|author, _| author.insert(0));
    check(|author, _| author.insert(BASE / 2));
    check(|author, i| author.insert(BASE / 2 + i));
    check(|author, _| {
        let at = author.below(author.len + 1);
        author.insert(at);
    });
}

#[test]
fn insertions_agree_whatever_the_clocks() {
    for steps in [7, 50, 120] {
        check(|author, i| {
            author.time = if i % steps == 0 { 1000 } else { author.time };
            author.insert(author.len);
        });
    }
    check(|author, _| {
        author.time = 1000 + u64::from(author.below(100));
        author.insert(author.len);
    });
    check(|author, _| {
        author.time -= 4;
        author.insert(0);
    });
    check_both(append, |author, i| {
        author.time += if i == 0 { 10_000 } else { 0 };
        append(author, i);
    });
}

#[test]
fn edits_anywhere_agree() {
    check(edit);
    check_both(edit, append);
    check(|author, i| {
        author.time = 1000 + u64::from(author.below(100));
        edit(author, i);
    });
}

#[test]
fn replaced_elements_agree() {
    check(|author, i| {
        let at = i / 2 % BASE;
        if i % 2 == 0 { author.erase(at) } else { author.insert(at) }
    });
}

#[test]
fn typing_and_taking_back_agrees() {
    check(|author, i| if i % 3 == 2 { author.erase(author.len - 1) } else { append(author, i) });
    check(
        |author, i| if i / 10 % 3 == 2 { author.erase(author.len - 1) } else { append(author, i) },
    );
}

#[test]
fn emptying_a_list_agrees() {
    let empty = |author: &mut Author, i| {
        if author.len > 0 && i < 2 * BASE { author.erase(0) } else { author.insert(author.len / 2) }
    };
    check(empty);
    check_both(empty, append);
    check_both(empty, edit);
}

#[test]
fn what_is_not_about_elements_ends_a_weave_and_another_begins() {
    for text in [
        "clear A/1/li list",
        "update A/1/li null",
        "erase A 1; create A 1",
        "erasetable A; addtable A _id Int 0 0",
    ] {
        let interrupt = |author: &mut Author, i| {
            if i == 120 {
                author.write(text);
                author.len = 0;
            }
            append(author, i);
        };
        check_both(interrupt, edit);
    }
    let moving = |author: &mut Author, i| {
        if i % 90 == 89 {
            author.write(&format!("move A/1/li/3 1 {}", author.len));
        }
        edit(author, i);
    };
    check_both(moving, edit);
}

#[test]
fn a_list_that_begins_anew_agrees() {
    let [mut left, mut right] = [2, 3].map(Author::new);
    left.len = 0;
    right.len = 0;
    left.insert(0);
    left.erase(0);
    left.write("erase A 1; create A 1");
    (0..3).for_each(|_| left.insert(0));
    (0..5).for_each(|i| append(&mut right, i));
    check_against_oracle(&left.written, &right.written).unwrap();
    check_against_oracle(&right.written, &left.written).unwrap();
}

#[test]
fn objects_that_both_create_are_woven_too() {
    check(|author, i| {
        if i == 0 {
            author.write("create A 1");
        }
        append(author, i);
    });
}

#[test]
fn what_is_inside_of_elements_agrees() {
    let inside = |author: &mut Author, i: u32| {
        let at = author.below(author.len);
        match i % 5 {
            0 => author.insert(at),
            1 if author.len > BASE / 2 => author.erase(at),
            2 => author.write(&format!("update A/1/li/{at}/@v int:{i}")),
            3 => author.write(&format!("addint A/1/li/{at}/@v {i}")),
            _ => author.write(&format!("update A/1/li/{at}/@e/@v null")),
        }
    };
    check(inside);
    check_both(inside, edit);
}

#[test]
fn lists_that_become_as_long_as_can_be_agree() {
    const MAX: u32 = 2_147_483_647;
    for room in 0..8 {
        let [mut left, mut right] = [2, 3].map(Author::new);
        for author in [&mut left, &mut right] {
            author.len = MAX - room;
            (0..3).for_each(|i| append(author, i));
        }
        check_against_oracle(&left.written, &right.written).unwrap();
        check_against_oracle(&right.written, &left.written).unwrap();
        let outcome = merge(&mut left.written, &mut right.written);
        assert_eq!(outcome.is_ok(), room > 4, "{room}");
    }
}

#[test]
fn a_fault_after_many_instructions_is_found_in_its_place() {
    let mistakes: [fn(u32) -> String; 8] = [
        |_| "insert A/1/li/0 int:1 7".to_owned(),
        |_| "aerase A/1/li/2147483647 2147483647".to_owned(),
        |_| "update A/1/li/@key int:1".to_owned(),
        |_| "insert A/1/li/@key/0 int:1 0".to_owned(),
        |len| format!("insert A/1/li/{} int:1 {len}", len + 1),
        |len| format!("aerase A/1/li/{len} {len}"),
        |len| format!("update A/1/li/{len} int:1 {len}"),
        |len| format!("update A/1/li/0 int:1 {}", len + 1),
    ];
    for mistake in mistakes {
        let faulty = |author: &mut Author, i| {
            edit(author, i);
            if i == 150 {
                author.write(&mistake(author.len));
            }
        };
        assert!(is_fault(faulty, edit), "{}", mistake(0));
    }
    // In a list inside of an element, of which the sides say different lengths.
    let ours = |author: &mut Author, i| {
        if i == 0 {
            author.erase(0);
        }
        append(author, i);
        author.write("insert A/1/li/5/@in/0 int:1 3");
    };
    let theirs = |author: &mut Author, i| {
        if i == 0 {
            author.erase(0);
        }
        author.insert(0);
        if i == 150 {
            author.write(&format!("insert A/1/li/{}/@in/0 int:1 4", i + 1 + 5));
        }
    };
    assert!(is_fault(ours, theirs));
}
