//! An open loop: writes at a fixed rate, whether the server keeps up or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::connection::Command;
use super::report::as_f64;

/// Has devices write in turn, at instants that are fixed beforehand. Latency counts from these: a server that stalls
/// delays nobody's clock.
///
/// A thread of its own, since the runtime's timers are only good to a millisecond.
#[derive(Debug)]
pub(super) struct Pacer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A device that writes: its connection, and its place there.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) connection: UnboundedSender<Command>,
    pub(super) device: usize,
}

/// How late a pause may end: the rest of the time is waited for awake, if that is not too often.
const OVERSLEEP: Duration = Duration::from_micros(120);

impl Pacer {
    /// Begins to write `rate` changesets a second.
    pub(super) fn start(writers: Vec<Writer>, rate: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told_to_stop = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            let period = Duration::from_secs_f64(rate.recip());
            for (number, writer) in (0_u64..).zip(writers.iter().cycle()) {
                let at = start + Duration::from_secs_f64(as_f64(number) / rate);
                if !wait_until(at, period, &told_to_stop) {
                    return;
                }
                let command = Command::Write { device: writer.device, count: 1, at };
                if writer.connection.send(command).is_err() {
                    return;
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

/// Whether to go on then.
fn wait_until(at: Instant, period: Duration, told_to_stop: &AtomicBool) -> bool {
    let is_rare = period > OVERSLEEP * 10;
    let awake = if is_rare { OVERSLEEP } else { Duration::ZERO };
    while !told_to_stop.load(Ordering::Relaxed) {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        } else if left > awake {
            park_timeout(left.saturating_sub(awake));
        } else {
            std::hint::spin_loop();
        }
    }
    false
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn a_slow_one_writes_at_once_and_need_not_be_waited_for() {
        let (connection, mut commands) = unbounded_channel();
        let before = Instant::now();
        let pacer = Pacer::start(vec![Writer { connection, device: 3 }], 0.001);
        let written = commands.blocking_recv();
        assert!(matches!(written, Some(Command::Write { device: 3, count: 1, .. })), "{written:?}");
        drop(pacer);
        assert!(before.elapsed() < Duration::from_secs(100), "the next one is due after 1,000 s");
        assert!(commands.try_recv().is_err());
    }

    #[test]
    fn devices_write_in_turn_at_the_rate() {
        let (connection, mut commands) = unbounded_channel();
        let writers = [0, 1].map(|device| Writer { connection: connection.clone(), device });
        let pacer = Pacer::start(writers.to_vec(), 1000.0);
        let mut first = None;
        for number in 0_u32..20 {
            let written = commands.blocking_recv();
            let Some(Command::Write { device, count: 1, at }) = written else {
                panic!("{written:?}")
            };
            assert_eq!(device, number as usize % 2);
            let due = *first.get_or_insert(at) + Duration::from_millis(1) * number;
            let apart = due.max(at) - due.min(at);
            assert!(apart < Duration::from_micros(1), "{number}: {apart:?}");
        }
        drop(pacer);
    }
}
