//! Where the page resumes the event stream after a lost connection.

use leasehold_core::id::LogIndex;

/// The last event that was received, and the run of the server that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResumePoint {
    pub(crate) index: LogIndex,
    /// When the server was started, in milliseconds since 1970; `None` if it did not report that.
    pub(crate) started_unix_ms: Option<u64>,
}

impl ResumePoint {
    /// Returns the query of the event stream that resumes here.
    pub(crate) fn query(self) -> String {
        let Self { index, started_unix_ms } = self;
        let started = started_unix_ms.map_or_else(String::new, |it| format!("&started={it}"));
        format!("?from={index}{started}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_names_the_event_and_the_run_of_the_server() {
        let index = LogIndex::new(u64::MAX);
        let resume = |started_unix_ms| ResumePoint { index, started_unix_ms }.query();
        assert_eq!(resume(None), "?from=18446744073709551615");
        assert_eq!(resume(Some(7)), "?from=18446744073709551615&started=7");
    }
}
