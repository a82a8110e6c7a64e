//! The head of the page while it shows a server: whether it is heard, how much there is, and
//! whether somebody records.

use yew::{Context, Html, classes, html};

use super::app::{App, Msg};
use super::header::capital;
use super::live::News;
use crate::feed::connection::Status;

impl App {
    pub(super) fn live_head(&self, ctx: &Context<Self>) -> Html {
        let Some(live) = &self.live else { return Html::default() };
        let link = ctx.link();
        let status = live.status();
        let behind = if self.studio.follows { 0 } else { self.studio.behind() };
        let counts = self.studio.scene().server.counts;
        let record = link.callback(|_| Msg::Live(News::Record));
        let recording = live.recorder.as_ref().map(|recorder| {
            let since = live.moment().as_millis().saturating_sub(recorder.since().as_millis());
            format!("■ {} s", since / 1_000)
        });
        html! { <>
            <p class={classes!("status", status.word())} data-testid="live-status"
                data-status={status.word()} role="status">
                { status.sentence() }
            </p>
            if !self.studio.follows {
                <button class="behind" data-testid="live-return"
                    title="Back to what happens now (L)"
                    onclick={link.callback(|_| Msg::Live(News::Follow))}>
                    { format!("{behind} behind") }<kbd aria-hidden="true">{ "L" }</kbd>
                </button>
            }
            if let Some(counts) = counts {
                <dl class="counts">
                    { count("clients", &counts.sessions) }
                    { count("held", &counts.held) }
                    { count("waiting", &counts.waiting) }
                    { count("last token", &counts.last_token) }
                </dl>
            }
            <span class="spring"></span>
            <button class={classes!("record", recording.is_some().then_some("on"))}
                data-testid="record" onclick={record} aria-pressed={recording.is_some().to_string()}
                disabled={status == Status::Connecting}
                title="Record what happens, to go through it and to save it">
                { recording.unwrap_or_else(|| "● Record".to_owned()) }
            </button>
        </> }
    }

    /// What is said where the server is not heard.
    pub(super) fn stale_words(&self) -> Option<String> {
        let status = self.live.as_ref().filter(|_| self.is_stale())?.status();
        let since = self.studio.film().now();
        Some(match status {
            Status::Connecting => "Connecting to the server …".to_owned(),
            Status::Live | Status::Stale { .. } | Status::Lost { .. } => {
                format!("{}. What you see is of {since}.", capital(&status.sentence()))
            }
        })
    }

    /// Whether it is the server that one sees, for those who don't see the head of the page.
    pub(super) fn where_from(&self) -> Html {
        let recorded = self.studio.film().footage().is_some() && !self.ui.is_live;
        let (word, text) = match &self.live {
            Some(live) if self.ui.is_live && live.recorder.is_some() => {
                (live.status().word(), format!("{}, recording", live.status().word()))
            }
            Some(live) if self.ui.is_live => {
                (live.status().word(), live.status().word().to_owned())
            }
            _ if recorded => ("recorded", "a recording".to_owned()),
            _ => return Html::default(),
        };
        html! { <p class="status from" data-status={word} data-testid="from">{ text }</p> }
    }

    /// Whether what is shown is what is so.
    pub(super) fn is_stale(&self) -> bool {
        let heard = self.live.as_ref().is_some_and(|live| live.status() == Status::Live);
        self.ui.is_live && !heard
    }
}

fn count(what: &'static str, number: &impl ToString) -> Html {
    html! { <div><dt>{ what }</dt><dd>{ number.to_string() }</dd></div> }
}
