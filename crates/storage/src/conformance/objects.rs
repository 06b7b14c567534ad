//! Objects and scans.

use bytes::Bytes;

use super::sample::{commit, key, objects, write};
use crate::store::{ObjectRow, Store};

/// Objects are written, replaced and removed; removing what is not there is no error.
pub fn objects_are_written_and_removed<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, write(0, &[(b"a", Some(b"1")), (b"b", Some(b"2")), (b"c", Some(b"3"))]));
    commit(store, &realm, write(1, &[(b"a", None), (b"b", Some(b"replaced")), (b"z", None)]));
    let expected = [(b"b".to_vec(), Bytes::from("replaced")), (b"c".to_vec(), Bytes::from("3"))];
    assert_eq!(objects(store, &realm), expected);
    commit(store, &realm, write(2, &[(b"a", Some(b"again"))]));
    assert_eq!(objects(store, &realm).len(), 3);
}

/// The answer has one item for each row asked, also for unknown and repeated ones.
pub fn objects_are_answered_in_the_order_of_the_rows<S: Store>(store: &S) {
    let realm = key("realm");
    let long = vec![b'r'; 10_000];
    commit(store, &realm, write(0, &[(b"", Some(b"0")), (b"a", Some(b"1")), (&long, Some(b"2"))]));
    let rows: [ObjectRow; 5] =
        [&long[..], b"unknown", b"", b"a", &long[..]].map(|row: &[u8]| row.into());
    let expected =
        [Some("2"), None, Some("0"), Some("1"), Some("2")].map(|object| object.map(Bytes::from));
    assert_eq!(store.objects(&realm, &rows).unwrap(), expected);
    assert_eq!(store.objects(&realm, &[]).unwrap(), []);
}

/// Within a commit, the list is carried out from front to back.
pub fn the_last_of_two_writes_to_a_row_wins<S: Store>(store: &S) {
    let realm = key("realm");
    let both = [
        (b"a".as_slice(), Some(b"1".as_slice())),
        (b"b", Some(b"1")),
        (b"a", None),
        (b"c", None),
        (b"c", Some(b"2")),
    ];
    commit(store, &realm, write(0, &both));
    let expected = [(b"b".to_vec(), Bytes::from("1")), (b"c".to_vec(), Bytes::from("2"))];
    assert_eq!(objects(store, &realm), expected);
}

/// Pages of every size give the same rows, in byte order.
pub fn a_scan_is_paged_within_its_prefix<S: Store>(store: &S) {
    let realm = key("realm");
    let rows: [&[u8]; 9] =
        [b"c1", b"c/", b"c", b"c/a", b"b", b"c/a\0", b"c/\xff", b"d", b"c/\xff\xff"];
    commit(store, &realm, write(0, &rows.map(|row| (row, Some(row)))));
    let inside: [&[u8]; 5] = [b"c/", b"c/a", b"c/a\0", b"c/\xff", b"c/\xff\xff"];
    for limit in 1..=inside.len() + 1 {
        let mut seen: Vec<ObjectRow> = Vec::new();
        loop {
            let after = seen.last().map(|row| &row[..]);
            let page = store.scan_objects(&realm, b"c/", after, limit).unwrap();
            assert!(page.len() <= limit);
            assert!(page.iter().all(|(row, object)| row[..] == object[..]));
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|(row, _)| row));
        }
        let expected = inside.map(ObjectRow::from);
        assert_eq!(seen, expected, "pages of {limit}");
    }
    assert_eq!(store.scan_objects(&realm, b"c/", None, 0).unwrap(), []);
}

/// A prefix, where to start, and the rows that are found.
type Scan = (&'static [u8], Option<&'static [u8]>, &'static [&'static [u8]]);

/// `after` may lie before, between and behind the rows of the prefix.
pub fn a_scan_ends_where_the_prefix_does<S: Store>(store: &S) {
    let realm = key("realm");
    let rows: [&[u8]; 5] = [b"a", b"b1", b"b3", b"c", b"\xff\xff"];
    commit(store, &realm, write(0, &rows.map(|row| (row, Some(b"x".as_slice())))));
    let cases: [Scan; 10] = [
        (b"b", None, &[b"b1", b"b3"]),
        (b"b", Some(b""), &[b"b1", b"b3"]),
        (b"b", Some(b"a"), &[b"b1", b"b3"]),
        (b"b", Some(b"b2"), &[b"b3"]),
        (b"b", Some(b"b3"), &[]),
        (b"b", Some(b"c"), &[]),
        (b"b2", None, &[]),
        (b"", Some(b"c"), &[b"\xff\xff"]),
        (b"\xff", None, &[b"\xff\xff"]),
        (b"\xff\xff\xff", None, &[]),
    ];
    for (prefix, after, expected) in cases {
        let found = store.scan_objects(&realm, prefix, after, 10).unwrap();
        let found: Vec<&[u8]> = found.iter().map(|(row, _)| &row[..]).collect();
        assert_eq!(found, expected, "{prefix:?} after {after:?}");
    }
}

/// Empty bytes are an object.
pub fn an_empty_object_is_not_a_missing_one<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, write(0, &[(b"a", Some(b""))]));
    let rows: [ObjectRow; 2] = [b"a", b"b"].map(|row: &[u8; 1]| row.as_slice().into());
    assert_eq!(store.objects(&realm, &rows).unwrap(), [Some(Bytes::new()), None]);
}
