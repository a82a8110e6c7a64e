//! The header of the live view: connection status, counts, and recording.

use leasehold_sim::TimeLabels as _;
use yew::{Context, Html, classes, html};

use super::app::App;
use super::header::capitalized;
use super::live_connection::LiveMsg;
use crate::feed::connection::ConnectionStatus;

impl App {
    pub(super) fn live_header(&self, ctx: &Context<Self>) -> Html {
        let Some(live) = &self.live else { return Html::default() };
        let link = ctx.link();
        let status = live.status();
        let events_behind =
            if self.workspace.is_following { 0 } else { self.workspace.events_behind() };
        let counts = self.workspace.scene().server.counts;
        let record = link.callback(|_| LiveMsg::ToggleRecording);
        let recording = live.recorder.as_ref().map(|recorder| {
            let since = live.now().as_millis().saturating_sub(recorder.started_at().as_millis());
            format!("■ {} s", since / 1_000)
        });
        html! { <>
            <p class={classes!("status", status.code())} data-testid="live-status"
                data-status={status.code()} role="status">
                { status.description() }
            </p>
            if !self.workspace.is_following {
                <button class="events-behind" data-testid="live-return"
                    title="Return to live (L)"
                    onclick={link.callback(|_| LiveMsg::Follow)}>
                    { format!("{events_behind} behind") }<kbd aria-hidden="true">{ "L" }</kbd>
                </button>
            }
            if let Some(counts) = counts {
                <dl class="counts">
                    { count_item("clients", &counts.sessions) }
                    { count_item("held", &counts.held) }
                    { count_item("waiting", &counts.waiting) }
                    { count_item("last token", &counts.last_token) }
                </dl>
            }
            <span class="spacer"></span>
            <button class={classes!("record", recording.is_some().then_some("on"))}
                data-testid="record" onclick={record} aria-pressed={recording.is_some().to_string()}
                disabled={status == ConnectionStatus::Connecting}
                title="Record events to replay or save them">
                { recording.unwrap_or_else(|| "● Record".to_owned()) }
            </button>
        </> }
    }

    /// Returns the notice that replaces the caption while the connection is not live.
    pub(super) fn stale_notice(&self) -> Option<String> {
        let status = self.live.as_ref().filter(|_| self.is_stale())?.status();
        let timeline = self.workspace.timeline();
        let last_update = timeline.time_display().label(timeline.now());
        Some(match status {
            ConnectionStatus::Connecting => "Connecting to the server…".to_owned(),
            ConnectionStatus::Live
            | ConnectionStatus::Stale { .. }
            | ConnectionStatus::Lost { .. } => {
                format!("{}. Last update at {last_update}.", capitalized(&status.description()))
            }
        })
    }

    /// Returns the source of the trace, for presentations, which hide the header.
    pub(super) fn source_badge(&self) -> Html {
        let is_recording_shown =
            self.workspace.timeline().live_trace().is_some() && !self.ui.is_live;
        let (code, text) = match &self.live {
            Some(live) if self.ui.is_live && live.recorder.is_some() => {
                (live.status().code(), format!("{}, recording", live.status().code()))
            }
            Some(live) if self.ui.is_live => {
                (live.status().code(), live.status().code().to_owned())
            }
            _ if is_recording_shown => ("recorded", "recording".to_owned()),
            _ => return Html::default(),
        };
        html! { <p class="status source" data-status={code} data-testid="from">{ text }</p> }
    }

    /// Whether the live view may be out of date.
    pub(super) fn is_stale(&self) -> bool {
        let is_live =
            self.live.as_ref().is_some_and(|live| live.status() == ConnectionStatus::Live);
        self.ui.is_live && !is_live
    }
}

fn count_item(label: &'static str, number: &impl ToString) -> Html {
    html! { <div><dt>{ label }</dt><dd>{ number.to_string() }</dd></div> }
}
