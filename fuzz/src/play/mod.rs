//! Peers and handlers that do what a script says, in virtual time.

pub mod client_side;
pub mod coded;
pub mod frames;
pub mod h2_client_side;
pub mod h2_script;
pub mod h2_server_side;
pub mod handler;
pub mod middleware;
pub mod parts;
pub mod peer;
pub mod pieces;
pub mod script;
pub mod server_side;
pub mod tls;
pub mod tree;
pub mod tunnel;

use std::cell::Cell;
use std::future::Future;
use std::panic;
use std::sync::Once;
use std::time::Duration;

/// Longer than any wait that a script can cause. What takes longer hangs.
pub const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Runs a future with paused time, and panics if anything panicked, in whatever task.
pub fn run<F: Future>(future: F) -> F::Output {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    let before = PANICS.get();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let output = runtime.expect("a runtime can be made").block_on(future);
    assert_eq!(PANICS.get(), before, "a task panicked");
    output
}

/// Waits until no task can run without time passing; only then time passes.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The output of the future, which must complete, however long it takes.
pub async fn ends<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(FOR_EVER, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} hangs"),
    }
}
