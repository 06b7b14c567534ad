//! The stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;
use tokio::runtime::Handle;

use super::Observer;
use super::source::Source;
use crate::local::LocalError;
use crate::read::{ReadError, View};

/// A stream of changes, beginning with the state at the time it was made. It ends when the realm is closed, or after an
/// error.
///
/// Within a Tokio runtime the file is read on threads for such work, otherwise on that of whoever asks.
pub struct Changes<T> {
    stream: Pin<Box<dyn Stream<Item = Result<T, ReadError>> + Send>>,
}

/// What lies between two items.
struct State<O> {
    source: Source,
    observer: O,
    view: View,
    is_started: bool,
}

impl<T: Send + 'static> Changes<T> {
    pub(super) fn new(source: Source, view: View, observer: impl Observer<Item = T>) -> Self {
        let state = State { source, observer, view, is_started: false };
        let stream = futures_util::stream::unfold(Some(state), |state| async {
            match state?.next().await? {
                Ok((item, state)) => Some((Ok(item), Some(state))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Self { stream: Box::pin(stream.fuse()) }
    }
}

impl<O: Observer> State<O> {
    async fn next(mut self) -> Option<Result<(O::Item, Self), ReadError>> {
        if !self.is_started {
            self.is_started = true;
            let read = reading(move || {
                let item = self.observer.start(&self.view)?;
                Ok((item, self))
            });
            return read.await;
        }
        loop {
            let (snapshot, written) = match self.source.next().await? {
                Ok(news) => news,
                Err(error) => return Some(Err(error)),
            };
            let new = View::new(snapshot);
            if written.is_empty() {
                self.view = new;
                continue;
            }
            let read = reading(move || {
                let step = written.into_step(self.view, new)?;
                let item = self.observer.next(&step)?;
                self.view = step.new;
                Ok((item, self))
            });
            match read.await? {
                Ok((Some(item), state)) => return Some(Ok((item, state))),
                Ok((None, state)) => self = state,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Reads the file, on a thread for such work if there is one. `None` if the realm was closed meanwhile.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Option<Result<T, ReadError>> {
    let result = match Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(read).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime shuts down.
                Err(_) => return None,
            },
        },
        Err(_) => read(),
    };
    match result {
        Err(ReadError::Local(LocalError::Closed)) => None,
        result => Some(result),
    }
}

impl<T> Stream for Changes<T> {
    type Item = Result<T, ReadError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, ReadError>>> {
        self.stream.as_mut().poll_next(context)
    }
}

impl<T> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}
