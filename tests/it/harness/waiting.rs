//! Waiting for something that happens elsewhere: looked for again and again until a deadline, never
//! by a pause of fixed length.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks until `look` finds something; panics, naming `what`, when `limit` has passed.
pub async fn within<T, F>(limit: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// The build's own folder for what is not source: tools, screenshots.
pub fn target_folder() -> PathBuf {
    let binary = std::env::current_exe().expect("a test binary has a path");
    // target/debug/deps/it-0123
    binary
        .ancestors()
        .nth(3)
        .expect("cargo puts test binaries three folders below target")
        .to_path_buf()
}

/// A tool that `tests/run` installs.
pub fn tool(path: &str) -> PathBuf {
    let tool = target_folder().join("test-tools").join(path);
    assert!(
        tool.exists(),
        "{} is missing: tests/run installs it",
        tool.display()
    );
    tool
}
