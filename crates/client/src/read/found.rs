//! Going through what a query is about.

use std::fmt;

use bailiwick_core::state::PrimaryKey;

use super::matching::{Matching, Place};
use super::{ObjectView, Query, ReadError, Record, View};

/// The objects of a query, read one by one. After an error there may be more.
pub struct Found<T> {
    matching: Matching<T>,
    source: Source,
    /// How many may still come.
    left: usize,
}

type Objects = Box<dyn Iterator<Item = Result<ObjectView, ReadError>> + Send>;

/// Where the next object comes from.
enum Source {
    /// All of a class.
    All(Objects),
    /// The one that has the key.
    One(Option<PrimaryKey>),
    /// Those that have matched, in their order.
    Sorted(std::vec::IntoIter<PrimaryKey>),
}

impl<T: Record> Found<T> {
    pub(super) fn new(view: &View, query: &Query<T>) -> Result<Self, ReadError> {
        let matching = Matching::new(view, query)?;
        let source = if matching.is_contradiction {
            Source::One(None)
        } else if let Some(key) = &matching.key {
            Source::One(Some(key.clone()))
        } else if matching.is_sorted() {
            let places = sort(&matching)?;
            Source::Sorted(
                places.into_iter().map(|place| place.key).collect::<Vec<_>>().into_iter(),
            )
        } else {
            Source::All(objects(&matching)?)
        };
        let left = matching.limit;
        Ok(Self { matching, source, left })
    }

    fn read_next(&mut self) -> Result<Option<T>, ReadError> {
        let Self { matching, source, .. } = self;
        loop {
            let found = match source {
                Source::All(objects) => match objects.next().transpose()? {
                    Some(object) => Some(object),
                    None => return Ok(None),
                },
                Source::One(key) => match key.take() {
                    Some(key) => matching.view.read(matching.class, &key)?,
                    None => return Ok(None),
                },
                Source::Sorted(keys) => match keys.next() {
                    Some(key) => {
                        let object = matching.view.read(matching.class, &key)?;
                        // It has matched.
                        return object.map(|object| T::read(&object)).transpose();
                    }
                    None => return Ok(None),
                },
            };
            if let Some(object) = found
                && let Some(record) = matching.take(&object)?
            {
                return Ok(Some(record));
            }
        }
    }
}

impl<T: Record> Iterator for Found<T> {
    type Item = Result<T, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.read_next().transpose()
    }
}

impl<T> fmt::Debug for Found<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").finish_non_exhaustive()
    }
}

/// How many objects match. The order does not matter.
pub(super) fn count<T: Record>(view: &View, query: &Query<T>) -> Result<usize, ReadError> {
    let mut query = query.clone();
    query.order.clear();
    let mut found = Found::new(view, &query)?;
    if found.matching.takes_all() {
        return Ok(view.snapshot.count(found.matching.class)?.min(found.matching.limit));
    }
    found.try_fold(0, |count, record| record.map(|_| count + 1))
}

/// The places of the objects that match, in their order, no more than asked for.
pub(crate) fn sort<T: Record>(matching: &Matching<T>) -> Result<Vec<Place>, ReadError> {
    let mut places = Vec::new();
    for entry in objects(matching)? {
        let object = entry?;
        if matching.take(&object)?.is_some() {
            places.push(matching.place(&object));
            // What is beyond the limit goes now and then, so that no more than twice as many are kept.
            if places.len() / 2 >= matching.limit.max(MIN_KEPT) {
                keep_first(matching, &mut places);
            }
        }
    }
    keep_first(matching, &mut places);
    Ok(places)
}

/// So few places are not worth sorting early.
const MIN_KEPT: usize = 1000;

fn keep_first<T: Record>(matching: &Matching<T>, places: &mut Vec<Place>) {
    places.sort_unstable_by(|a, b| matching.compare(a, b));
    places.truncate(matching.limit);
}

fn objects<T: Record>(matching: &Matching<T>) -> Result<Objects, ReadError> {
    Ok(Box::new(matching.view.read_all(matching.class)?))
}
