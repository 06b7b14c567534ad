//! What panics say, and where: a panic in a simulated world is a finding like any other.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// What the latest panic of this thread has said.
    static LATEST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something that may leave things half done when it panics, which nobody uses afterwards.
///
/// # Errors
///
/// The text of a panic and the place in the code. Whatever heard of panics before still does.
pub(super) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            LATEST.set(Some(text(panic)));
            before(panic);
        }));
    });
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| LATEST.take().unwrap_or_else(|| "something panicked".to_owned()))
}

fn text(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("something panicked");
    match panic.location() {
        Some(location) => format!("{text}, at {location}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_its_text_and_its_place() {
        let panic = caught(|| panic!("number {}", 7)).unwrap_err();
        assert!(panic.starts_with("number 7, at "), "{panic}");
        assert!(panic.contains("panics.rs:"), "{panic}");
        assert_eq!(caught(|| 1), Ok(1));
    }
}
