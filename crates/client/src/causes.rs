//! An error and what has led to it, in one line: for errors that travel as text.

use std::error::Error;

/// The error with all of its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // An error whose text ends with that of its cause has told it.
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Fault {
        #[error("the disk is full")]
        Disk,
        #[error("nothing is written: {0}")]
        Told(#[source] Box<Fault>),
        #[error("the realm fails")]
        Untold(#[source] Box<Fault>),
    }

    #[test]
    fn each_cause_is_told_once() {
        let told = Fault::Told(Box::new(Fault::Disk));
        assert_eq!(with_causes(&told), "nothing is written: the disk is full");
        let untold = Fault::Untold(Box::new(told));
        assert_eq!(with_causes(&untold), "the realm fails: nothing is written: the disk is full");
    }
}
