//! Owns what `-v` and `-vv` log on stderr: the program's own lines, and those of libraries that are known to log no
//! secret.
//!
//! The program's own lines are `tracing` events where something happens. Their arguments are names, numbers and
//! [`Exchange`](device_flow_tokio::Exchange)s only.

use crate::terminal::log_writer;
use std::fmt;
use std::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_log::log::LevelFilter as LogLevel;
use tracing_log::{LogTracer, NormalizeEvent as _};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

/// The targets of our own lines begin with this.
const OURS: &str = "device_flow";

/// What `-vv` adds, and down to which level. Only these libraries may log: one for keyrings, for example, logs what it
/// sends at its finest level. reqwest and rustls are cut off above the levels that show whole messages.
const LIBRARIES: [(&str, Level); 4] =
    [("reqwest", Level::DEBUG), ("hyper_util", Level::TRACE), ("hyper", Level::TRACE), ("rustls", Level::DEBUG)];

/// Without `-v` nothing is set up, and logging costs nothing.
pub(crate) fn start(verbosity: u8) {
    if verbosity == 0 {
        return;
    }
    let mut targets = Targets::new().with_target(OURS, Level::DEBUG);
    if verbosity > 1 {
        targets = targets.with_targets(LIBRARIES);
        // These use `tracing` already, and would be logged twice.
        let bridge = LogTracer::builder().with_max_level(LogLevel::Trace).ignore_all([OURS, "hyper_util"]);
        // It only fails if the process already has one.
        let _ = bridge.init();
    }
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(log_writer)
        .event_format(Lines { start: Instant::now() })
        .finish();
    let _ = tracing::subscriber::set_global_default(lines.with(targets));
}

/// `1.250  POST https://as.example/token: HTTP status 400, 12 ms`: the seconds since the start, and the library's name,
/// if it is one.
struct Lines {
    start: Instant,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let from_log = event.normalized_metadata();
        let target = from_log.as_ref().unwrap_or_else(|| event.metadata()).target();
        write!(line, "{:.3}  ", self.start.elapsed().as_secs_f64())?;
        if !target.starts_with(OURS) {
            let library = target.split("::").next().unwrap_or_default();
            write!(line, "{library}: ")?;
        }
        context.field_format().format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}
