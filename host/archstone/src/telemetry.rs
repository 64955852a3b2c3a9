//! Logs as JSON lines on standard error (or readable text with `[archstone] log_format = text`), and
//! the audit trail in a file.

use tracing_subscriber::{
    EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    audit::{self, Destinations},
    config::Config,
};

/// Starts logging. `RUST_LOG` wins over `[DEFAULT] debug`, and says nothing of the audit trail.
pub(crate) fn start(config: &Config, audited: Destinations) {
    let default = if config.debug { "debug" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = fmt::layer().with_writer(std::io::stderr);
    let logs = if config.text_logs {
        logs.boxed()
    } else {
        logs.json().boxed()
    };
    let audit = audit::layer(audited);
    // Only a second start fails, and then logging is running already.
    let _ = tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .with(audit)
        .try_init();
}
