//! Owns what `-v` and `-vv` tell on stderr: the program's own lines, and those of the libraries that are known to log no secret.
//!
//! The program's own lines are `tracing` events at the place where something happens. None of them takes more than an
//! [`Exchange`](device_flow_tokio::Exchange), a name or a number.

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

/// Our own lines.
const OURS: &str = "device_flow";

/// What else `-vv` tells, and how much of it. A list of who may: a keyring's library tells at its finest level what it sends.
/// reqwest and rustls stop before they could show whole messages.
const LIBRARIES: [(&str, Level); 4] =
    [("reqwest", Level::DEBUG), ("hyper_util", Level::TRACE), ("hyper", Level::TRACE), ("rustls", Level::DEBUG)];

/// Nothing is set up, and nothing costs anything, without a `-v`.
pub(crate) fn start(verbosity: u8) {
    if verbosity == 0 {
        return;
    }
    let mut told = Targets::new().with_target(OURS, Level::DEBUG);
    if verbosity > 1 {
        told = told.with_targets(LIBRARIES);
        // What speaks to `tracing` itself could say it to `log` as well.
        let bridge = LogTracer::builder().with_max_level(LogLevel::Trace).ignore_all([OURS, "hyper_util"]);
        // Only a second one in the same process is refused.
        let _ = bridge.init();
    }
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(log_writer)
        .event_format(Lines { start: Instant::now() })
        .finish();
    let _ = tracing::subscriber::set_global_default(lines.with(told));
}

/// `1.250  POST https://as.example/token: HTTP status 400, 12 ms`: the seconds since the start, and who says it if not we.
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
