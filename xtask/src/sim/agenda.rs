//! What is going to happen, in the order of its time; the only clock that there is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The time since the world began.
pub(crate) type Time = Duration;

/// Events to come. Of two at the same time, the one that was put in first comes first.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    now: Time,
    events: BinaryHeap<Reverse<Planned<E>>>,
    next_sequence: u64,
}

#[derive(Debug)]
struct Planned<E> {
    at: Time,
    sequence: u64,
    event: E,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { now: Time::ZERO, events: BinaryHeap::new(), next_sequence: 0 }
    }

    /// Plans an event; one of the past happens now.
    pub(crate) fn put(&mut self, at: Time, event: E) {
        let at = at.max(self.now);
        self.events.push(Reverse(Planned { at, sequence: self.next_sequence, event }));
        self.next_sequence += 1;
    }

    /// Plans an event `delay` from now.
    pub(crate) fn put_in(&mut self, delay: Duration, event: E) {
        self.put(self.now + delay, event);
    }

    /// Goes on to the next event.
    pub(crate) fn next(&mut self) -> Option<E> {
        let Reverse(planned) = self.events.pop()?;
        self.now = planned.at;
        Some(planned.event)
    }

    /// Drops what is not to happen any more.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&E) -> bool) {
        self.events.retain(|Reverse(planned)| keeps(&planned.event));
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// When the next event is.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.events.peek().map(|Reverse(planned)| planned.at)
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_in_which_they_were_put() {
        let mut agenda = Agenda::new();
        for (at, event) in [(5, "c"), (1, "a"), (5, "d"), (1, "b")] {
            agenda.put(Time::from_secs(at), event);
        }
        let order: Vec<_> = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
        agenda.put(Time::from_secs(6), "dropped");
        agenda.put(Time::ZERO, "late");
        agenda.retain(|event| *event != "dropped");
        assert_eq!((agenda.next(), agenda.now()), (Some("late"), Time::from_secs(5)));
        assert_eq!(agenda.next(), None);
    }
}
