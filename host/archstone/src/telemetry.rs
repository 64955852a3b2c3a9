//! Logs as JSON lines on standard error (or readable text with `[archstone] log_format = text`), and
//! the audit trail in a file.

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{
        self, FmtContext, FormatEvent, FormatFields,
        format::{Writer, debug_fn},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    audit::{self, Destinations},
    config::Config,
};

/// Starts logging. `RUST_LOG` wins over `[DEFAULT] debug`, and says nothing of the audit trail.
pub(crate) fn start(config: &Config, audited: Destinations) {
    let default = match config.debug {
        true => Level::DEBUG,
        false => Level::INFO,
    };
    // Targets and levels alone: what also filters by spans looks each one up whenever it is entered.
    let filter = std::env::var("RUST_LOG").ok();
    let filter = filter.and_then(|filter| filter.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(default));
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

/// Shows a person what a plugin asks of the host and what it logs, a line each, on standard error.
/// Only warnings of everything else.
pub(crate) fn tell_plugin_calls() {
    let messages = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        _ => Ok(()),
    });
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .fmt_fields(messages)
        .event_format(Line)
        .with_filter(
            Targets::new()
                .with_default(Level::WARN)
                .with_target("archstone::plugin", Level::TRACE),
        );
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// `  call   state put #5e884898: kept`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let what = match *event.metadata().level() {
            Level::TRACE => "call",
            Level::DEBUG => "debug",
            Level::INFO => "info",
            Level::WARN => "warn",
            Level::ERROR => "error",
        };
        write!(writer, "  {what:5}  ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
