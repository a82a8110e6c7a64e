//! The playback controls: play, step, speed, and the tape for seeking. The parts that change with
//! time are painted like the pictures.

use std::rc::Rc;

use leasehold_sim::VirtualTime;
use wasm_bindgen::JsCast as _;
use web_sys::{Event, HtmlInputElement, HtmlSelectElement, InputEvent};
use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use super::figure::Figure;
use super::icon::icon;
use crate::model::link::short_digest;
use crate::model::shortcuts::Command;

#[derive(Clone, PartialEq, Properties)]
#[allow(clippy::struct_excessive_bools, reason = "independent states")]
pub(crate) struct ControlsProps {
    pub(crate) is_playing: bool,
    pub(crate) is_question_open: bool,
    /// Whether no event has happened yet; the play button is emphasized then.
    pub(crate) is_unstarted: bool,
    pub(crate) speed: AttrValue,
    pub(crate) is_auto: bool,
    /// Whether the view follows the end of a live trace.
    pub(crate) is_growing: bool,
    pub(crate) start: VirtualTime,
    pub(crate) end: VirtualTime,
    /// How much of the way to a destination is simulated, in per cent, until it is reached.
    pub(crate) catch_up_percent: Option<u64>,
    /// The fingerprints of the whole run, of the run so far, and the one that is shown; `None` for
    /// a live trace.
    pub(crate) digest: Option<(u64, u64, u64)>,
    /// The stop conditions: name and label.
    pub(crate) choices: Rc<Vec<(String, String)>>,
    pub(crate) onuntil: Callback<String>,
    pub(crate) oncommand: Callback<Command>,
    pub(crate) ontime: Callback<VirtualTime>,
}

/// The bar at the bottom of the page.
#[component]
pub(crate) fn Controls(props: &ControlsProps) -> Html {
    let ControlsProps { is_playing, is_question_open, speed, is_auto, end, oncommand, .. } =
        props.clone();
    let is_unstarted = props.is_unstarted && !is_playing;
    let button =
        |command: Command, test_id: &'static str, label: &'static str, icon_name: &'static str| {
            let onclick = oncommand.reform(move |_| command);
            html! {
                <button class="transport" data-testid={test_id} aria-label={label} title={label}
                    {onclick}>
                    { icon(icon_name) }
                </button>
            }
        };
    let play = if is_playing { ("Pause (Space)", "pause") } else { ("Play (Space)", "play") };
    let play_class = classes!(
        "transport",
        "play",
        is_question_open.then_some("question-open"),
        is_unstarted.then_some("unstarted")
    );
    let on_speed =
        oncommand.reform(move |_| if is_auto { Command::Faster } else { Command::AutoPace });
    html! {
        <footer class="controls">
            <div class="transports" role="group" aria-label="Playback">
                { button(Command::GoToStart, "start", "Go to start (Home)", "start") }
                { button(Command::Step { forward: false }, "step-back", "Step back (←)", "back") }
                <button class={play_class} data-testid="play" aria-label={play.0} title={play.0}
                    onclick={oncommand.reform(|_| Command::PlayPause)}>{ icon(play.1) }
                    if is_unstarted { <span>{ "Play" }</span> }
                </button>
                { button(Command::Step { forward: true }, "step", "Step forward (→)", "step") }
                { button(
                    Command::StepImportant { forward: true }, "next-interesting",
                    "Next key event (Shift →)", "next",
                ) }
            </div>
            <div class="pace" role="group" aria-label="Speed">
                <button class="quiet slower" onclick={oncommand.reform(|_| Command::Slower)}
                    aria-label="Slower ([)" title="Slower ([)">{ "−" }</button>
                <button class="speed" data-testid="speed" onclick={on_speed}
                    title="Speed: auto slows down for messages and speeds up when idle (\\)"
                    aria-label={format!("Speed: {speed}")}>{ speed.clone() }</button>
                <button class="quiet faster" onclick={oncommand.reform(|_| Command::Faster)}
                    aria-label="Faster (])" title="Faster (])">{ "+" }</button>
            </div>
            if props.choices.is_empty() {
                <span class="until-placeholder"></span>
            } else {
                <UntilPicker choices={Rc::clone(&props.choices)} onuntil={props.onuntil.clone()} />
            }
            <Tape start={props.start} {end} catch_up_percent={props.catch_up_percent}
                ontime={props.ontime.clone()} />
            <p class="clock">
                <span data-testid="time" id="time"></span>
                if !props.is_growing { <span class="duration">{ " / " }{ end.to_string() }</span> }
                if let Some((whole, here, shown)) = props.digest {
                    <output class="digest" data-testid="digest"
                        data-digest={format!("{whole:016x}")} data-here={format!("{here:016x}")}
                        title="Fingerprint of this run; identical on every machine">
                        { format!("run {}", short_digest(shown)) }
                    </output>
                }
            </p>
        </footer>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct TapeProps {
    start: VirtualTime,
    end: VirtualTime,
    catch_up_percent: Option<u64>,
    ontime: Callback<VirtualTime>,
}

/// The tape with its slider.
#[component]
fn Tape(props: &TapeProps) -> Html {
    let (start, end) = (props.start, props.end);
    let ontime = props.ontime.clone();
    let oninput = move |event: InputEvent| {
        let field = event.target().and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
        let at = field.and_then(|field| field.value().parse::<u64>().ok());
        if let Some(at) = at {
            ontime.emit(VirtualTime::from_millis(at));
        }
    };
    html! {
        <div class="tape" id="tape" data-testid="tape">
            <Figure id="picture-tape" />
            <input type="range" id="when" min={start.as_millis().to_string()}
                max={end.as_millis().to_string()} step="1" {oninput} aria-label="Time" />
            if let Some(percent) = props.catch_up_percent {
                <progress class="catch-up" data-testid="catch-up" max="100"
                    value={percent.to_string()} aria-label="Simulating up to this time"
                    title="Simulating up to this time" />
            }
        </div>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct UntilPickerProps {
    /// The stop conditions: name and label.
    choices: Rc<Vec<(String, String)>>,
    onuntil: Callback<String>,
}

/// The menu of stop conditions.
#[component]
fn UntilPicker(props: &UntilPickerProps) -> Html {
    let onuntil = props.onuntil.clone();
    let onchange = move |event: Event| {
        let field = event.target().and_then(|it| it.dyn_into::<HtmlSelectElement>().ok());
        if let Some(field) = field {
            onuntil.emit(field.value());
            // The menu runs an action; it does not hold a selection.
            field.set_selected_index(0);
        }
    };
    html! {
        <select class="until" data-testid="until" aria-label="Run until" title="Run until…"
            {onchange}>
            <option value="" selected=true>{ "Until…" }</option>
            { for props.choices.iter().map(|(name, text)| html! {
                <option value={name.clone()}>{ text.clone() }</option>
            }) }
        </select>
    }
}
