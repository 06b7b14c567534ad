//! A changeset that is applied while it is written is the same as one that is applied afterwards.

use bailiwick_protocol::changeset::{KeyType, Payload};
use proptest::prelude::*;

use super::author::Author;
use super::base;
use super::property::STEPS;
use crate::apply::{ApplyError, Draft, Transaction};
use crate::state::State;

/// A draft that knows the names of a changeset, so that its instructions can be used in it.
fn draft_for(author: &Author) -> Draft {
    let mut draft = Draft::default();
    for text in author.changeset().strings.iter() {
        draft.intern(text);
    }
    draft
}

fn committed(base: &State, transaction: Transaction<'_, State>) -> State {
    let mut state = base.clone();
    state.commit(transaction.finish());
    state
}

#[test]
fn a_refused_instruction_leaves_an_untouched_object_alone() {
    let base = base();
    let author = Author::default().create("Task", 1).update("Task", "n", Payload::Bool(true));
    let mut draft = draft_for(&author);
    let mut transaction = Transaction::new(base.schema(), &base);
    let [create, update] = &author.changeset().instructions[..] else { panic!("there are two") };
    transaction.extend(&mut draft, create.clone()).unwrap();
    let mut first = base.clone();
    first.commit(transaction.finish());

    let mut draft = draft_for(&author);
    let mut transaction = Transaction::new(first.schema(), &first);
    let error = transaction.extend(&mut draft, update.clone()).unwrap_err();
    let ApplyError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!((refusal.instruction, &*refusal.path), (0, "Task[1].n"));
    assert!(draft.changeset().is_empty());
    assert!(transaction.finish().objects.is_empty(), "it was not even touched");
}

#[test]
fn what_is_taken_back_can_be_done_in_another_way() {
    let base = base();
    let author = Author::default()
        .class("Cat", KeyType::Int)
        .create("Cat", 1)
        .erase_table("Cat")
        .class("Dog", KeyType::Int);
    let mut draft = draft_for(&author);
    let instructions = author.changeset().instructions.clone();
    let mut transaction = Transaction::new(base.schema(), &base);
    let before = transaction.savepoint();
    for instruction in &instructions[..3] {
        transaction.extend(&mut draft, instruction.clone()).unwrap();
    }
    transaction.take_back(before, &mut draft, 0);
    // The class with the id that the first one had is another one, and the first one may come back.
    for instruction in [3, 0, 1].map(|index| &instructions[index]) {
        transaction.extend(&mut draft, instruction.clone()).unwrap();
    }
    let mut replayed = base.clone();
    let _ = replayed.apply(draft.changeset()).unwrap();
    assert_eq!(committed(&base, transaction), replayed);
}

proptest! {
    /// Instructions that are refused are as ones that never were, and those that are not make a changeset with the
    /// same effect.
    #[test]
    fn a_draft_has_done_what_its_changeset_does(
        steps in prop::collection::vec((0..STEPS.len(), any::<u32>()), 0..40),
        taken_back in (0..40usize, 0..40usize),
    ) {
        let base = base();
        let author = steps.iter().fold(Author::default(), |author, &(step, n)| STEPS[step](author, n));
        let mut draft = draft_for(&author);
        let mut transaction = Transaction::new(base.schema(), &base);
        let mut savepoint = None;
        for (index, instruction) in author.changeset().instructions.iter().enumerate() {
            if index == taken_back.0 {
                savepoint = Some((transaction.savepoint(), draft.changeset().instructions.len()));
            }
            if index == taken_back.1 && let Some((savepoint, count)) = savepoint.take() {
                transaction.take_back(savepoint, &mut draft, count);
                prop_assert_eq!(draft.changeset().instructions.len(), count);
                transaction.forget_savepoints();
            }
            let count = draft.changeset().instructions.len();
            let is_done = transaction.extend(&mut draft, instruction.clone()).is_ok();
            prop_assert_eq!(draft.changeset().instructions.len(), count + usize::from(is_done));
        }
        let mut replayed = base.clone();
        prop_assert!(replayed.apply(draft.changeset()).is_ok());
        prop_assert_eq!(committed(&base, transaction), replayed);
    }
}
