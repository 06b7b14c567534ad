//! An open loop: writes at a fixed rate, whether the server keeps up or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::connection::Command;

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

/// How late a sleep may end: the rest of the time is waited for awake, if that is not too often.
const OVERSLEEP: Duration = Duration::from_micros(120);

impl Pacer {
    /// Begins to write `rate` changesets a second.
    pub(super) fn start(writers: Vec<Writer>, rate: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told_to_stop = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            let period = Duration::from_secs_f64(1.0 / rate);
            for (number, writer) in (0_u32..).zip(writers.iter().cycle()) {
                let at = start + period * number;
                wait_until(at, period);
                let command = Command::Write { device: writer.device, count: 1, at };
                if told_to_stop.load(Ordering::Relaxed) || writer.connection.send(command).is_err()
                {
                    return;
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

fn wait_until(at: Instant, period: Duration) {
    let is_rare = period > OVERSLEEP * 10;
    let left = at.saturating_duration_since(Instant::now());
    sleep(if is_rare { left.saturating_sub(OVERSLEEP) } else { left });
    while is_rare && Instant::now() < at {
        std::hint::spin_loop();
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}
