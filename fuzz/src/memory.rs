//! How much memory a step takes. Inputs come one at a time, so nothing else allocates meanwhile.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs a step that may take up to `limit` bytes beyond what is allocated already.
#[track_caller]
pub(crate) fn within<T>(limit: usize, step: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = step();
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(taken <= limit, "it took {taken} bytes, and {limit} would do");
    result
}
