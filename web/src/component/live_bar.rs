//! The part of the header for the live view: connection status, counts, and recording.

use yew::{Callback, Html, Properties, classes, component, html};

use crate::feed::connection::ConnectionStatus;
use crate::model::scene::Counts;
use crate::model::time_display::TimeReading;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct LiveBarProps {
    pub(crate) status: ConnectionStatus,
    /// The number of events after the current position; `None` while the view follows the present.
    pub(crate) events_behind: Option<u32>,
    pub(crate) counts: Option<Counts>,
    /// The length of the recording in seconds, if there is one.
    pub(crate) recorded_s: Option<u64>,
    /// What times are measured by; `None` if the server does not report when it was started.
    pub(crate) time_reading: Option<TimeReading>,
    pub(crate) onfollow: Callback<()>,
    pub(crate) onclock: Callback<()>,
    pub(crate) onrecord: Callback<()>,
}

#[component]
pub(crate) fn LiveBar(props: &LiveBarProps) -> Html {
    let LiveBarProps { status, events_behind, counts, recorded_s, .. } = props.clone();
    let is_single = counts.is_some_and(|it| it.sessions == 1);
    let sessions_label = if is_single { "client" } else { "clients" };
    let recording = recorded_s.map(|seconds| format!("{seconds} s recorded"));
    html! { <>
        <p class={classes!("status", status.code())} data-testid="live-status"
            data-status={status.code()} role="status">
            { status.description() }
        </p>
        if let Some(events_behind) = events_behind {
            <button class="events-behind" data-testid="live-return" title="Return to live (L)"
                onclick={props.onfollow.reform(|_| ())}>
                { format!("{events_behind} behind") }<kbd aria-hidden="true">{ "L" }</kbd>
            </button>
        }
        if let Some(counts) = counts {
            <dl class="counts">
                { count_item(sessions_label, &counts.sessions) }
                { count_item("held", &counts.held) }
                { count_item("waiting", &counts.waiting) }
                { count_item("last token", &counts.last_token) }
            </dl>
        }
        <span class="spacer"></span>
        if let Some(reading) = props.time_reading {
            <button class="time-reading" data-testid="live-clock" aria-pressed={
                (reading == TimeReading::WallClock).to_string()}
                title="Show the time of day instead of the time since the server's start"
                onclick={props.onclock.reform(|_| ())}>{ "Time of day" }</button>
        }
        <button class={classes!("record", recording.is_some().then_some("on"))}
            data-testid="record" onclick={props.onrecord.reform(|_| ())}
            aria-pressed={recording.is_some().to_string()}
            disabled={status == ConnectionStatus::Connecting}
            title="Record events to replay or save them">
            <span class="record-mark" aria-hidden="true"></span>
            { recording.unwrap_or_else(|| "Record".to_owned()) }
        </button>
    </> }
}

fn count_item(label: &'static str, number: &impl ToString) -> Html {
    html! { <div><dt>{ label }</dt><dd>{ number.to_string() }</dd></div> }
}
