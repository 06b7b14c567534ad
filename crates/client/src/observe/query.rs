//! Following what a query is about.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::class::Modified;
use super::difference::{Pair, visit};
use super::{Observer, Step, Touched};
use crate::read::{Matching, ObjectView, Place, Query, ReadError, Record, View, Watch, sort};
use crate::value::PrimaryKey;

/// What happens to the objects that a query is about.
#[derive(Clone, Debug)]
pub enum QueryChange {
    /// The first item; [`View::find`] has the objects.
    Initial(View),
    /// Objects came, went or changed. Positions are those in [`View::find`].
    Changed {
        /// The state in which it is so.
        view: View,
        /// Objects that the query was not about before, in their order now.
        entered: Vec<Entry>,
        /// Objects that it is not about any more, in their order before.
        left: Vec<Entry>,
        /// Objects that are different, in their order now.
        modified: Vec<ModifiedEntry>,
    },
}

/// An object that entered or left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object.
    pub key: PrimaryKey,
    /// Where it is now, or where it was before; only if the query is sorted or limited.
    pub position: Option<usize>,
}

/// An object that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifiedEntry {
    /// The object.
    pub key: PrimaryKey,
    /// The fields that have changed, in the order of their names.
    pub fields: Vec<String>,
    /// Where it was before and where it is now; only if the query is sorted or limited.
    pub positions: Option<(usize, usize)>,
}

pub(super) struct QueryObserver<T> {
    query: Query<T>,
    /// What filters have read beside their objects: if any of it changes, all objects are asked again.
    watch: Arc<Watch>,
    /// What the query is about, in its order, if that is to be told.
    places: Option<Vec<Place>>,
}

/// What is found out in a step.
#[derive(Default)]
struct Found {
    entered: Vec<PrimaryKey>,
    left: Vec<PrimaryKey>,
    /// Those that the query was and is about.
    changed: Vec<Modified>,
    /// The objects that were looked at, with the places of those that the query is about; `None` if they were all,
    /// or if places do not matter.
    seen: Option<BTreeMap<PrimaryKey, Option<Place>>>,
}

impl<T: Record> QueryObserver<T> {
    pub(super) fn new(query: Query<T>, view: &View) -> Result<Self, ReadError> {
        let keeps_places = Matching::new(view, &query)?.has_positions();
        let places = keeps_places.then(Vec::new);
        Ok(Self { query, watch: Arc::default(), places })
    }

    /// The query on a view, of which it is noted what the filters read.
    fn matching(&self, view: &View) -> Result<Matching<T>, ReadError> {
        let mut matching = Matching::new(view, &self.query)?;
        matching.view = view.watched(&self.watch);
        Ok(matching)
    }

    /// Compares both states of all objects that may be different.
    fn find_changes(
        &self,
        step: &Step,
        old: &Matching<T>,
        new: &Matching<T>,
    ) -> Result<Found, ReadError> {
        let mut found = Found::default();
        if self.places.is_some() && matches!(step.touched, Touched::Objects(_)) {
            found.seen = Some(BTreeMap::new());
        }
        visit(step, new.class, |pair| {
            let was = matches(old, pair.old.as_ref())?;
            let is = matches(new, pair.new.as_ref())?;
            if let Some(seen) = &mut found.seen {
                let place = pair.new.as_ref().filter(|_| is).map(|object| new.place(object));
                seen.insert(pair.key.clone(), place);
            }
            match (was, is) {
                (false, true) => found.entered.push(pair.key),
                (true, false) => found.left.push(pair.key),
                (true, true) => found.changed.extend(modified(pair)?),
                (false, false) => (),
            }
            Ok(())
        })?;
        Ok(found)
    }
}

impl<T: Record + Send + 'static> Observer for QueryObserver<T> {
    type Item = QueryChange;

    fn start(&mut self, view: &View) -> Result<QueryChange, ReadError> {
        let matching = self.matching(view)?;
        if self.places.is_some() {
            self.places = Some(sort(&matching)?);
        } else if matching.has_filters() {
            // What the filters read has to be known.
            for object in matching.view.read_all(matching.class)? {
                matching.take(&object?)?;
            }
        }
        Ok(QueryChange::Initial(view.clone()))
    }

    fn next(&mut self, step: &Step) -> Result<Option<QueryChange>, ReadError> {
        let (old, new) = (self.matching(&step.old)?, self.matching(&step.new)?);
        let asks_all = self.watch.classes().into_iter().any(|class| step.may_touch_any(class));
        let touched = match &step.touched {
            Touched::Objects(objects) if !asks_all => Touched::Objects(objects.clone()),
            _ => Touched::Anything,
        };
        let watched = Step { old: old.view.clone(), new: new.view.clone(), touched };
        let found = self.find_changes(&watched, &old, &new)?;
        let change = match self.places.take() {
            None => found.without_positions(),
            Some(before) => {
                let Found { changed, seen, .. } = found;
                let after = places_after(&before, seen, &new)?;
                let change = with_positions(&before, &after, changed);
                self.places = Some(after);
                change
            }
        };
        let (entered, left, modified) = change;
        let is_same = entered.is_empty() && left.is_empty() && modified.is_empty();
        let view = step.new.clone();
        Ok((!is_same).then_some(QueryChange::Changed { view, entered, left, modified }))
    }
}

type Told = (Vec<Entry>, Vec<Entry>, Vec<ModifiedEntry>);

impl Found {
    fn without_positions(self) -> Told {
        let entries = |keys: Vec<PrimaryKey>| {
            keys.into_iter().map(|key| Entry { key, position: None }).collect()
        };
        let changed = self.changed.into_iter();
        let changed =
            changed.map(|Modified { key, fields }| ModifiedEntry { key, fields, positions: None });
        (entries(self.entered), entries(self.left), changed.collect())
    }
}

/// What the query is about now.
fn places_after<T: Record>(
    before: &[Place],
    seen: Option<BTreeMap<PrimaryKey, Option<Place>>>,
    new: &Matching<T>,
) -> Result<Vec<Place>, ReadError> {
    let Some(seen) = seen else { return sort(new) };
    // Sorting takes what is sorted already as it is.
    let stay = before.iter().filter(|place| !seen.contains_key(&place.key));
    let mut after: Vec<_> = stay.cloned().collect();
    after.extend(seen.into_values().flatten());
    after.sort_by(|a, b| new.compare(a, b));
    if before.len() >= new.limit {
        // There may be more behind what was the last one; what is known to be before them is enough or not.
        let last = before.last();
        let known =
            last.map_or(0, |last| after.partition_point(|place| new.compare(place, last).is_le()));
        if known < new.limit {
            return sort(new);
        }
    }
    after.truncate(new.limit);
    Ok(after)
}

fn with_positions(before: &[Place], after: &[Place], changed: Vec<Modified>) -> Told {
    let positions = |places: &'_ [Place]| -> HashMap<PrimaryKey, usize> {
        places.iter().enumerate().map(|(position, place)| (place.key.clone(), position)).collect()
    };
    let (old, new) = (positions(before), positions(after));
    let missing = |places: &[Place], others: &HashMap<PrimaryKey, usize>| {
        let places = places.iter().enumerate();
        let missing = places.filter(|(_, place)| !others.contains_key(&place.key));
        missing
            .map(|(position, place)| Entry { key: place.key.clone(), position: Some(position) })
            .collect()
    };
    // Objects beyond the limit may have changed, too.
    let mut changed: Vec<_> = changed
        .into_iter()
        .filter_map(|Modified { key, fields }| {
            let positions = Some((*old.get(&key)?, *new.get(&key)?));
            Some(ModifiedEntry { key, fields, positions })
        })
        .collect();
    changed.sort_by_key(|change| change.positions.map(|(_, position)| position));
    (missing(after, &old), missing(before, &new), changed)
}

fn matches<T: Record>(
    matching: &Matching<T>,
    object: Option<&ObjectView>,
) -> Result<bool, ReadError> {
    Ok(match object {
        Some(object) => matching.take(object)?.is_some(),
        None => false,
    })
}

fn modified(pair: Pair) -> Result<Option<Modified>, ReadError> {
    let fields = pair.changed_fields()?;
    Ok((!fields.is_empty()).then_some(Modified { key: pair.key, fields }))
}
