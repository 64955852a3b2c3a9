//! Logs as JSON lines on standard error (or readable text with `[archstone] log_format = text`).

use tracing_subscriber::EnvFilter;

use crate::config::Config;

/// Starts logging. `RUST_LOG` wins over `[DEFAULT] debug`.
pub(crate) fn start(config: &Config) {
    let default = if config.debug { "debug" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Only a second start fails, and then logging is running already.
    let _ = if config.text_logs {
        logs.try_init()
    } else {
        logs.json().try_init()
    };
}
