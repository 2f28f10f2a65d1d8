//! Stopping threads that may hang in a driver or in the network.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);

/// Waits for the thread's end, but no longer than `limit`; a thread that hangs is left to the kernel,
/// which ends it with the process.
pub fn join_within(thread: JoinHandle<()>, limit: Duration) {
    let deadline = Instant::now() + limit;
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    if thread.is_finished() {
        let _ = thread.join();
    }
}
