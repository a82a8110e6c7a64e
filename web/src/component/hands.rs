//! What is pressed, pointed at, and heard: each leads to something on the page.

#![allow(clippy::wildcard_enum_match_arm, reason = "each takes its group, and passes on the rest")]

use gloo_timers::callback::Timeout;
use leasehold_sim::{Interest, Moment, RecordNo, Scenario};
use yew::Context;

use super::app::{App, Msg, Open};
use super::dialogs::Export;
use super::draw::Pointing;
use super::exports;
use super::question::Timer;
use crate::browser;
use crate::model::keys::View;
use crate::model::lesson::Phase;
use crate::model::link::LINK_LEN_MAX;
use crate::model::log::ROWS_STEP;
use crate::model::studio::Offer;
use crate::model::until::Until;
use crate::picture::axis::Axis;
use crate::picture::gantt::label_width;
use crate::picture::shape::Target;

/// How long a finger rests on something before its menu opens, in milliseconds.
const LONG_PRESS_MS: u32 = 500;

/// Where the page has room for one panel alone, as its style has it.
const NARROW: &str = "(max-width: 860px)";

/// How long what is written stays the same at least while something plays, in milliseconds.
const READ_MS: f64 = 90.0;

/// How long the first frame is taken to have lasted.
const FIRST_FRAME_MS: f64 = 16.0;

/// A live server is shown 30 times a second: more would only cost.
const LIVE_FRAME_MS: f64 = 32.0;

impl App {
    /// Takes in whatever it is. Says whether the page is to be drawn anew.
    pub(super) fn take(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Act(act) => return self.act(ctx, act),
            Msg::Frame(at) => return self.frame(at),
            Msg::Resized => self.must_measure = true,
            Msg::Look => {
                self.look_around(ctx);
                return false;
            }
            Msg::Measured(sizes) => self.sizes = sizes,
            Msg::Point(view, pointing) => self.point(view, pointing),
            Msg::Press(target) => {
                self.press = target.map(|target| {
                    let link = ctx.link().clone();
                    let pressed = move || link.send_message(Msg::LongPressed(target));
                    Timeout::new(LONG_PRESS_MS, pressed)
                });
                return false;
            }
            Msg::LongPressed(target) => self.open_menu(target),
            Msg::Time(moment) => self.studio.go_to(moment),
            Msg::Until(name) => {
                if let Some(until) = Until::of_name(&name) {
                    self.studio.play_until(until);
                }
            }
            Msg::Record(record) => self.studio.go_to_record(record),
            Msg::Fault(fault) => {
                self.ui.open = None;
                match fault.barred {
                    None => self.studio.meddle(fault.action, &fault.text),
                    Some(why) => self.studio.say(&format!("{}: {why}.", fault.text), Vec::new()),
                }
            }
            Msg::Protection(protection) => {
                self.studio.toggle(protection);
                self.keep_address();
            }
            Msg::Seed(seed) => {
                self.studio.reseed(seed);
                self.keep_address();
            }
            Msg::Choose(no) => {
                let scenario = self.studio.library.get(no).cloned();
                self.ui.open = None;
                if let Some(scenario) = scenario {
                    self.show(scenario);
                }
            }
            Msg::Close => self.ui.open = None,
            Msg::Vote(option) => self.studio.lesson.vote(option, !self.ui.presents),
            Msg::Reveal => self.studio.reveal(),
            Msg::Why => self.why(),
            Msg::CloseAnswer => {
                self.studio.lesson.close();
            }
            other => return self.take_more(ctx, other),
        }
        true
    }

    /// Time has passed. Says whether the page is to be drawn anew: the pictures are painted here.
    fn frame(&mut self, at: f64) -> bool {
        let passed = self.last_frame.map(|last| at - last);
        // A page that takes long to draw must leave time for what comes in.
        let pause = LIVE_FRAME_MS.max(self.draw_ms * 3.0);
        if self.ui.is_live && passed.is_some_and(|passed| passed < pause) {
            return false;
        }
        self.pass_live();
        let moves = self.studio.tick(passed.unwrap_or(FIRST_FRAME_MS));
        let goes_on = self.studio.player.is_playing || self.studio.follows;
        self.last_frame = goes_on.then_some(at);
        if !moves || !goes_on || self.has_to_write(at) {
            return moves;
        }
        self.paint();
        false
    }

    /// Whether what is written beside the pictures is to be written anew in this frame: it changes
    /// less often than they do, since nobody could read it.
    fn has_to_write(&mut self, at: f64) -> bool {
        let (version, since) = self.written;
        // Of what is selected, some fields run down.
        let is_due = version != self.studio.version || self.studio.selected.is_some();
        if !is_due || at - since < READ_MS {
            return false;
        }
        self.written = (self.studio.version, at);
        true
    }

    fn take_more(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Least(least) => self.studio.filter.least = least,
            Msg::Only => self.studio.filter_selected(),
            Msg::All => (self.studio.filter.node, self.studio.filter.lock) = (None, None),
            Msg::MoreRows => self.studio.rows += ROWS_STEP,
            Msg::Tab(view) => {
                self.ui.tab = view;
                if matches!(view, View::Gantt | View::SpaceTime) {
                    self.ui.lower = view;
                }
                self.must_measure = true;
            }
            Msg::Lower(view) => self.ui.lower = view,
            Msg::HideLane => self.studio.hide_lane(),
            Msg::AllLanes => self.studio.hidden.clear(),
            Msg::Scale => self.ui.is_to_scale = !self.ui.is_to_scale,
            Msg::AgainstCorrect => self.ui.compares_files = !self.ui.compares_files,
            Msg::CompareMode(mode) => {
                if let Some(compare) = &mut self.studio.compare {
                    compare.mode = mode;
                }
            }
            Msg::Offer(offer) => self.take_offer(ctx, offer),
            Msg::ToastEnds => self.studio.toast = None,
            Msg::Quiet => self.ui.is_quiet = !self.ui.is_quiet,
            Msg::Theme => self.next_theme(),
            Msg::Export(export) => exports::export(self, ctx, export),
            Msg::Import(file) => {
                let imported = ctx.link().callback(Msg::Imported);
                browser::read_file(&file, imported);
                return false;
            }
            Msg::Imported(text) => self.import(text.as_deref()),
            Msg::Copied(done) => {
                let text = if done {
                    "The link is on the clipboard."
                } else {
                    self.ui.open = Some(Open::Exports);
                    "The browser keeps the clipboard closed: copy the link from here."
                };
                self.studio.say(text, Vec::new());
            }
            Msg::Mode { is_live } => self.set_live(ctx, is_live),
            Msg::Live(news) => return self.take_live(ctx, news),
            other => return self.take_rest(ctx, other),
        }
        true
    }

    /// What a search, a second window, or a limit of time has to say.
    fn take_rest(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Noted(text) => {
                if let Some(notes) = &mut self.notes {
                    notes.hear(&text);
                }
                return false;
            }
            Msg::TimerStart => {
                self.timer = Some(Timer::start(ctx.link().callback(|()| Msg::TimerTick)));
                // Enter and Space are for the answer now, not for more time.
                self.focus_next = Some("[data-testid=reveal]");
            }
            Msg::TimerTick => {
                if self.studio.lesson.phase != Phase::Asked {
                    self.timer = None;
                }
            }
            other => return self.take_search(ctx, other),
        }
        true
    }

    fn point(&mut self, view: View, pointing: Pointing) {
        self.press = None;
        match (pointing.target, pointing.menu) {
            (Some(target), Some(_)) => self.open_menu(target),
            (Some(Target::Record(record)), None) => self.studio.go_to_record(record),
            (Some(target), None) => {
                let again = self.studio.selected == Some(target);
                self.studio.selected = (!again).then_some(target);
                // Where one panel is shown at a time, the one with what can be done to it.
                if !again && view == View::Stage && browser::prefers(NARROW) {
                    self.ui.tab = View::Inspector;
                }
            }
            (None, _) => match self.axis_of(view) {
                Some(axis) if pointing.x >= axis.left => {
                    self.studio.go_to(axis.moment(pointing.x));
                }
                Some(_) | None => self.studio.selected = None,
            },
        }
    }

    fn axis_of(&self, view: View) -> Option<Axis> {
        let place = self.place(self.sizes.lower);
        let (from, to) = self.studio.shown();
        let left = label_width(place);
        (view == View::Gantt).then_some(Axis { from, to, left, right: place.width - place.em })
    }

    pub(super) fn open_menu(&mut self, target: Target) {
        if matches!(target, Target::Lock(_) | Target::Record(_)) {
            self.studio.selected = Some(target);
            return;
        }
        self.studio.player.is_playing = false;
        self.studio.selected = Some(target);
        self.ui.open = Some(Open::Menu);
    }

    fn take_offer(&mut self, ctx: &Context<Self>, offer: Offer) {
        self.studio.toast = None;
        match offer {
            Offer::Undo => self.studio.undo(),
            Offer::Save => exports::export(self, ctx, Export::Json),
            Offer::Compare => {
                self.studio.compare = None;
                self.studio.toggle_compare();
            }
            Offer::FromStart => {
                self.studio.go_to(Moment::START);
                self.studio.player.is_playing = !self.ui.is_still;
            }
        }
        self.keep_address();
    }

    /// Goes to what the answer rests on.
    fn why(&mut self) {
        if browser::prefers(NARROW) {
            // There it is the log, or the answer.
            self.studio.lesson.close();
            self.ui.tab = View::Log;
        }
        if let Some(place) = self.studio.lesson.seen_at() {
            let film = self.studio.film();
            let records = film.step_at(place);
            let last = records.iter().rposition(|it| Interest::of(it) >= Interest::Release);
            let first = film.first_record_of(place);
            let record = RecordNo(first + u32::try_from(last.unwrap_or(0)).unwrap_or(0));
            self.studio.go_to_record(record);
        }
    }

    pub(super) fn show(&mut self, scenario: Scenario) {
        self.leave_live();
        self.studio.choose(scenario);
        self.studio.player.is_playing = !self.ui.is_still;
        self.must_measure = true;
        self.keep_address();
    }

    /// The address says which run this is, so that it is the same one when the page is loaded anew.
    pub(super) fn keep_address(&self) {
        if self.studio.film().footage().is_some() {
            return;
        }
        let mut link = self.studio.link();
        (link.at, link.digest) = (None, None);
        let query = link.write();
        if query.len() <= LINK_LEN_MAX {
            browser::set_query(&query);
        }
    }
}
