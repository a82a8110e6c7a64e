//! A simulated run in somebody's hands: which scenario, which of its futures, the place in it, what
//! is selected; and what the keys and buttons do to all of these.

use std::collections::BTreeSet;
use std::rc::Rc;

use leasehold_core::sim::{
    Action, Interest, Invariant, Moment, Protection, RecordNo, Run, Scenario, library,
};

use super::compare::{Compare, counterpart};
use super::faults::{self, Fault};
use super::film::{Film, Wanted, moment_of};
use super::lesson::{Lesson, Phase};
use super::link::Link;
use super::log::{Filter, ROWS_STEP};
use super::player::{NOTICED, Player, Speed};
use super::scene::Scene;
use crate::picture::shape::Target;

/// How many futures are kept at most.
const BRANCHES_MAX: usize = 16;

/// How long revealing an answer takes at most, in milliseconds.
const REVEAL_MS: f64 = 6_000.0;

pub(crate) struct Studio {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) scenario: Rc<Scenario>,
    /// The futures that there are, and the one that is shown.
    branches: Vec<Branch>,
    at: usize,
    pub(crate) player: Player,
    pub(crate) lesson: Lesson,
    pub(crate) selected: Option<Target>,
    /// What part of the run the time lines show; all of it where unset.
    pub(crate) window: Option<(Moment, Moment)>,
    pub(crate) filter: Filter,
    pub(crate) rows: usize,
    pub(crate) toast: Option<Toast>,
    pub(crate) compare: Option<Compare>,
    scene: Rc<Scene>,
    /// Counts up whenever something happened, or another run is shown.
    pub(crate) version: u64,
}

struct Branch {
    film: Film,
    /// What was done to come here.
    label: String,
}

/// A word on what was just done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) offers: Vec<Offer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Undo,
    Compare,
    FromStart,
}

impl Studio {
    /// What a link says; the first scenario where it says nothing.
    pub(crate) fn open(link: &Link) -> Self {
        let library = Rc::new(library());
        let named = link
            .scenario
            .as_ref()
            .and_then(|name| library.iter().find(|scenario| scenario.name == *name));
        let unknown = link.scenario.is_some() && named.is_none() && link.config.is_none();
        let scenario = named.unwrap_or(&library[0]).clone();
        let run = link.run(&scenario);
        let refused = run.is_none();
        let mut film = Film::new(run.unwrap_or_else(|| scenario.run()));
        if let Some(at) = link.at {
            film.go_to(at);
        }
        let differs = link
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != super::link::digest(film.fingerprint()));
        let lesson = Lesson::new(&scenario, &film, link.scenario.is_some());
        let mut studio = Self {
            library,
            scenario: Rc::new(scenario),
            branches: vec![Branch { film, label: String::new() }],
            at: 0,
            player: Player::default(),
            lesson,
            selected: None,
            window: None,
            filter: Filter::default(),
            rows: ROWS_STEP,
            toast: None,
            compare: None,
            scene: Rc::default(),
            version: 0,
        };
        let said = if refused {
            Some("The link says what can't be. This is the scenario as it is.")
        } else if unknown {
            Some("There is no scenario of that name. This is the first one.")
        } else if differs {
            Some("Replayed with a newer model: the result differs from what was shared.")
        } else {
            None
        };
        studio.toast = said.map(|text| Toast { text: text.to_owned(), offers: Vec::new() });
        studio.changed();
        studio
    }

    pub(crate) fn film(&self) -> &Film {
        &self.branches[self.at].film
    }

    fn film_mut(&mut self) -> &mut Film {
        &mut self.branches[self.at].film
    }

    pub(crate) fn scene(&self) -> Rc<Scene> {
        Rc::clone(&self.scene)
    }

    /// Everything that is derived is derived anew.
    fn changed(&mut self) {
        let film = self.film();
        self.scene = Rc::new(Scene::of_world(film.world(), film.past()));
        self.version += 1;
        let gone = |target: &Target| match target {
            Target::Packet(no) => !self.scene.packets.iter().any(|packet| packet.no == *no),
            _ => false,
        };
        if self.selected.as_ref().is_some_and(gone) {
            self.selected = None;
        }
        let now = self.film().now();
        if let Some(compare) = &mut self.compare {
            compare.film.go_to(now);
        }
    }

    /// Another scenario, from its beginning.
    pub(crate) fn choose(&mut self, scenario: Scenario) {
        let film = Film::new(scenario.run());
        self.lesson = Lesson::new(&scenario, &film, true);
        self.scenario = Rc::new(scenario);
        self.branches = vec![Branch { film, label: String::new() }];
        self.at = 0;
        self.player = Player::default();
        (self.selected, self.window, self.toast, self.compare) = (None, None, None, None);
        self.filter = Filter::default();
        self.rows = ROWS_STEP;
        self.changed();
    }

    /// Whether the scenario is one of the library's.
    pub(crate) fn is_of_library(&self) -> bool {
        self.library.iter().any(|it| *it == *self.scenario)
    }

    // Time.

    pub(crate) fn play_pause(&mut self) {
        if self.lesson.phase == Phase::Asked && !self.player.is_playing {
            self.reveal();
            return;
        }
        if self.film().is_at_end() {
            self.go_to(Moment::START);
        }
        self.player.is_playing = !self.player.is_playing;
    }

    /// A frame of so many milliseconds has gone by. Says whether anything is to be drawn anew.
    pub(crate) fn tick(&mut self, frame_ms: f64) -> bool {
        let grew = self.film_mut().simulate_more();
        if grew {
            self.lesson.look(&Rc::clone(&self.scenario), &self.branches[self.at].film);
        }
        if !self.player.is_playing {
            return grew;
        }
        let film = &self.branches[self.at].film;
        let next = self.lesson.next_halt(film.place());
        let halt = next.and_then(|place| Some((place, film.step_at(place).first()?.at)));
        let noticed = film.trace()[film.past().len()..].iter();
        let mut noticed = noticed.filter(|record| Interest::of(record) >= NOTICED);
        let noticed = noticed.next().map(|record| record.at);
        let mut micros = self.player.advance(frame_ms, film.world(), noticed);
        if let (Phase::Revealing, Some((_, at))) = (self.lesson.phase, halt) {
            micros = micros.max(reveal_micros(film.now(), at, frame_ms));
        }
        let target = film.now() + micros;
        match halt.filter(|(_, at)| *at <= target) {
            Some((place, _)) => {
                self.player.is_playing = false;
                self.move_to(|film| film.go_to_place(place));
                self.lesson.arrive(place, true);
            }
            None => {
                self.move_to(|film| film.go_to(target));
                self.lesson.arrive(self.film().place(), false);
                if self.film().is_at_end() {
                    self.player.is_playing = false;
                }
            }
        }
        true
    }

    fn move_to(&mut self, go: impl FnOnce(&mut Film)) {
        let before = self.film().place();
        go(self.film_mut());
        if self.film().place() != before {
            self.changed();
        } else if let Some(compare) = &mut self.compare {
            compare.film.go_to(self.branches[self.at].film.now());
        }
    }

    /// Goes somewhere for a look, and nothing else changes.
    pub(crate) fn peek(&mut self, go: impl FnOnce(&mut Film)) {
        self.move_to(go);
    }

    /// Somebody goes somewhere: nothing plays any more.
    fn go(&mut self, place: u32) {
        self.player.is_playing = false;
        self.move_to(|film| film.go_to_place(place));
        self.lesson.arrive(place, true);
    }

    pub(crate) fn go_to(&mut self, moment: Moment) {
        self.player.is_playing = false;
        self.move_to(|film| film.go_to(moment));
        self.lesson.arrive(self.film().place(), false);
    }

    pub(crate) fn go_to_record(&mut self, record: RecordNo) {
        let place = self.film().place_of(record);
        self.go(place);
        self.selected = Some(Target::Record(record));
    }

    pub(crate) fn step(&mut self, forward: bool) {
        let film = self.film();
        // Between two steps the one before is that which has just happened.
        let is_between = film.now() > film.world().now();
        let place = match (forward, is_between) {
            (true, _) => film.place() + 1,
            (false, true) => film.place(),
            (false, false) => film.place().saturating_sub(1),
        };
        self.go(place.min(film.last_place()));
    }

    pub(crate) fn seek(&mut self, forward: bool, wanted: Wanted) {
        if let Some(place) = self.film().next_place(forward, &wanted) {
            self.go(place);
        }
    }

    pub(crate) fn interesting(&mut self, forward: bool) {
        self.seek(forward, Wanted::Interest(Interest::Release));
    }

    pub(crate) fn of_selected_node(&mut self, forward: bool) {
        match self.selected {
            Some(Target::Node(node) | Target::Link(node)) => {
                self.seek(forward, Wanted::Node(node));
            }
            _ => self.say("Select a node first.", Vec::new()),
        }
    }

    pub(crate) fn next_violation(&mut self) {
        if self.film().violated().is_empty() {
            self.say("Nothing is violated in this run.", Vec::new());
        } else if self.film().next_place(true, &Wanted::Violation).is_some() {
            self.seek(true, Wanted::Violation);
        } else {
            self.go(0);
            self.seek(true, Wanted::Violation);
        }
    }

    pub(crate) fn nudge(&mut self, forward: bool) {
        let now = self.film().now().as_micros();
        let to = if forward { now + 10_000 } else { now.saturating_sub(10_000) };
        self.go_to(Moment::from_micros(to));
    }

    pub(crate) fn stop(&mut self, forward: bool) {
        if forward && self.lesson.phase == Phase::Asked {
            self.reveal();
            return;
        }
        match self.lesson.next_stop(forward, self.film().place()) {
            Some(place) => self.go(place),
            None if forward => {
                let end = self.film().end();
                self.go_to(end);
            }
            None => self.go(0),
        }
    }

    /// The part of the run that time lines show.
    pub(crate) fn shown(&self) -> (Moment, Moment) {
        self.window.unwrap_or((Moment::START, self.film().end().max(Moment::from_millis(1_000))))
    }

    pub(crate) fn zoom(&mut self, closer: bool) {
        let (from, to) = self.shown();
        let (from, to) = (from.as_micros(), to.as_micros());
        let now = self.film().now().as_micros();
        // What one looks at stays where it is.
        let now = if (from..=to).contains(&now) { now } else { from.midpoint(to) };
        let more = (to - from) / 8;
        let scaled = |part: u64| if closer { part * 2 / 3 } else { part * 4 / 3 + more };
        let start = now.saturating_sub(scaled(now - from));
        let end = (now + scaled(to - now)).min(self.film().end().as_micros());
        if end.saturating_sub(start) >= 50_000 {
            self.window = Some((Moment::from_micros(start), Moment::from_micros(end)));
        }
    }

    pub(crate) fn pan(&mut self, forward: bool) {
        let (from, to) = self.shown();
        let span = to.as_micros() - from.as_micros();
        let end = self.film().end().as_micros();
        let from = if forward {
            (from.as_micros() + span / 4).min(end.saturating_sub(span))
        } else {
            from.as_micros().saturating_sub(span / 4)
        };
        self.window = Some((Moment::from_micros(from), Moment::from_micros(from + span)));
    }

    // The question.

    pub(crate) fn reveal(&mut self) {
        if self.lesson.reveal() {
            self.player.is_playing = true;
            self.player.speed = Speed::Auto;
            // What shows at the very moment of the question is out at once.
            self.lesson.arrive(self.film().place(), false);
        }
    }

    pub(crate) fn toggle_lesson(&mut self) {
        self.lesson.is_on = !self.lesson.is_on;
        self.lesson.begin_anew();
        self.lesson.arrive(self.film().place(), false);
        let text = if self.lesson.is_on {
            "The run halts at its stops, and asks its question."
        } else {
            "The run goes through without stops, and asks nothing."
        };
        self.say(text, Vec::new());
    }

    // Other futures.

    /// What can be done to what is selected.
    pub(crate) fn faults(&self, target: Target) -> Vec<Fault> {
        faults::faults(&self.scene, target, self.film().run().config.lease_ms)
    }

    /// What the menu of the selected thing has under this letter.
    pub(crate) fn fault_by_key(&mut self, key: char) {
        let Some(target) = self.selected else {
            self.say("Select a node, a link or a packet first.", Vec::new());
            return;
        };
        let found = self.faults(target).into_iter().find(|fault| fault.key == Some(key));
        match found {
            Some(Fault { barred: Some(why), text, .. }) => {
                self.say(&format!("{text}: {why}."), Vec::new());
            }
            Some(fault) => self.meddle(fault.action, &fault.text),
            None => self.say("That can't be done to what is selected.", Vec::new()),
        }
    }

    /// Does something to the run, now.
    pub(crate) fn meddle(&mut self, action: Action, text: &str) {
        let film = self.film();
        let what = self.selected.map(|it| super::fields::title(&self.scene, it));
        let label = format!("{text}: {}", what.unwrap_or_default());
        let at = film.now();
        let mut fork = film.fork(faults::at(at, action));
        // One sees at once what one has done.
        fork.go_to(Moment::from_millis(at.as_millis() + 1));
        self.branch(fork, label.clone());
        self.say(&format!("{label}, at {at}. A new branch."), vec![Offer::Undo]);
    }

    /// Takes a protection away, or gives it back: the same run again, at the same moment.
    pub(crate) fn toggle(&mut self, protection: Protection) {
        let mut without = self.film().run().without.clone();
        let off = without.insert(protection);
        if !off {
            without.remove(&protection);
        }
        let text = format!("{protection} {}", if off { "is off" } else { "is on again" });
        self.rerun(|run| run.without = without, &text);
        let offers = vec![Offer::Compare, Offer::FromStart, Offer::Undo];
        self.say(&format!("{text}. The same run, with the same luck."), offers);
    }

    /// Draws other luck.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.rerun(|run| run.seed = seed, &format!("seed {seed}"));
        self.say(&format!("Seed {seed}: other luck."), vec![Offer::Undo]);
    }

    fn rerun(&mut self, change: impl FnOnce(&mut Run), label: &str) {
        let mut run = self.film().run().clone();
        change(&mut run);
        let film = self.film().other(run);
        self.branch(film, label.to_owned());
    }

    fn branch(&mut self, film: Film, label: String) {
        self.branches.truncate(self.at + 1);
        if self.branches.len() == BRANCHES_MAX {
            // The first one is where one began; that stays.
            self.branches.remove(1);
        }
        self.branches.push(Branch { film, label });
        self.at = self.branches.len() - 1;
        self.compare = None;
        self.look_again();
    }

    fn look_again(&mut self) {
        self.lesson.look(&Rc::clone(&self.scenario), &self.branches[self.at].film);
        self.changed();
    }

    pub(crate) fn undo(&mut self) {
        if self.at == 0 {
            self.say("There is nothing to undo.", Vec::new());
            return;
        }
        let (now, label) = (self.film().now(), self.branches[self.at].label.clone());
        self.at -= 1;
        self.film_mut().go_to(now);
        self.compare = None;
        self.look_again();
        self.say(&format!("Undone: {label}."), Vec::new());
    }

    pub(crate) fn redo(&mut self) {
        if self.at + 1 == self.branches.len() {
            self.say("There is nothing to redo.", Vec::new());
            return;
        }
        let now = self.film().now();
        self.at += 1;
        self.film_mut().go_to(now);
        self.compare = None;
        self.look_again();
        let label = self.branches[self.at].label.clone();
        self.say(&format!("Done again: {label}."), Vec::new());
    }

    /// A run from elsewhere, such as one that was found: from its beginning.
    pub(crate) fn show(&mut self, scenario: Scenario) {
        self.choose(scenario);
        self.lesson.is_on = false;
    }

    pub(crate) fn toggle_compare(&mut self) {
        if self.compare.take().is_some() {
            return;
        }
        match counterpart(&self.scenario, self.film().run()) {
            Some(other) => self.compare = Some(Compare::new(self.film(), other)),
            None => self.say(
                "Take a protection away first: then there is something to compare with.",
                Vec::new(),
            ),
        }
    }

    // What is told.

    pub(crate) fn say(&mut self, text: &str, offers: Vec<Offer>) {
        self.toast = Some(Toast { text: text.to_owned(), offers });
    }

    /// What is violated by now in this run, and when.
    pub(crate) fn violations(&self) -> Vec<(Invariant, Moment, RecordNo)> {
        let film = self.film();
        let violated = film.violated().into_iter();
        violated.filter_map(|(it, no)| Some((it, moment_of(film.trace(), no)?, no))).collect()
    }

    /// What is said of the moment: at a stop its line, else what mattered last.
    pub(crate) fn caption(&self) -> String {
        let film = self.film();
        if let Some(stop) = self.lesson.stop_at(film.place()) {
            return stop.caption.clone();
        }
        super::log::caption(film.run(), film.past())
    }

    /// The link to this moment.
    pub(crate) fn link(&self) -> Link {
        let film = self.film();
        let mut link = Link::to(&self.scenario, film.run(), self.is_of_library());
        link.at = Some(film.now());
        link.digest = Some(super::link::digest(film.fingerprint()));
        link
    }

    /// Whether what the scenario wants was reached, with no more faults than it allows.
    pub(crate) fn goal_reached(&self) -> Option<bool> {
        let goal = self.scenario.goal.as_ref()?;
        let run = self.film().run();
        let own: BTreeSet<String> =
            self.scenario.interventions.iter().map(|it| format!("{it:?}")).collect();
        let done = run.interventions.iter().filter(|it| !own.contains(&format!("{it:?}"))).count();
        let violated = self.violations().into_iter();
        let mut reached =
            violated.filter(|(it, at, _)| *it == goal.violate && *at <= self.film().now());
        // Whoever takes more protections away makes it too easy.
        let same = run.without == self.scenario.without;
        Some(reached.next().is_some() && done <= goal.faults_max && same)
    }
}

fn reveal_micros(now: Moment, at: Moment, frame_ms: f64) -> u64 {
    let left = at.as_micros().saturating_sub(now.as_micros());
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some seconds"
    )]
    let micros = (left as f64 * (frame_ms / REVEAL_MS).min(1.0)) as u64;
    micros
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_core::sim::NodeNo;

    fn studio(link: &str) -> Studio {
        Studio::open(&Link::read(link))
    }

    #[test]
    fn a_lecture_from_the_first_stop_to_the_answer() {
        let mut studio = studio("?scenario=gc-pause");
        let mut captions = Vec::new();
        for _ in 0..3 {
            studio.play_pause();
            while studio.player.is_playing {
                studio.tick(16.0);
            }
            captions.push(studio.caption());
        }
        assert!(captions[0].starts_with("client_1 stands still"), "{captions:#?}");
        assert_eq!(studio.lesson.phase, Phase::Asked);
        let asked_at = studio.film().now();
        studio.reveal();
        let mut frames = 0;
        while studio.player.is_playing {
            studio.tick(16.0);
            frames += 1;
        }
        assert_eq!(studio.lesson.answer(), Some(1));
        assert!(studio.film().now() > asked_at && frames < 1_000, "{frames} frames");
    }

    #[test]
    fn a_protection_taken_away_shows_at_once_and_comes_back() {
        let mut studio = studio("?scenario=gc-pause&t=25000");
        assert!(studio.violations().is_empty());
        studio.toggle(Protection::Fencing);
        assert_eq!(studio.film().now(), Moment::from_millis(25_000));
        assert!(studio.violations().iter().any(|(it, ..)| *it == Invariant::S2));
        studio.undo();
        assert!(studio.violations().is_empty());
        studio.redo();
        assert!(!studio.violations().is_empty());
        studio.toggle_compare();
        assert_eq!(studio.compare.as_ref().unwrap().title, "with all protections");
    }

    #[test]
    fn what_is_done_makes_a_branch_and_the_old_one_is_kept() {
        let mut studio = studio("?scenario=five-clients&t=700");
        let before = studio.film().fingerprint();
        studio.fault_by_key('C');
        assert!(studio.toast.as_ref().unwrap().text.starts_with("Select"));
        studio.selected = Some(Target::Node(NodeNo(1)));
        studio.fault_by_key('C');
        assert_ne!(studio.film().fingerprint(), before);
        studio.step(true);
        studio.fault_by_key('C');
        assert!(studio.toast.as_ref().unwrap().text.contains("restart it first"));
        studio.undo();
        assert_eq!(studio.film().fingerprint(), before);
    }

    #[test]
    fn a_shared_link_opens_the_same_moment() {
        let mut first = studio("?scenario=partition&t=9000");
        first.selected = Some(Target::Node(NodeNo(1)));
        first.fault_by_key('Z');
        first.step(true);
        let link = first.link().write();
        let second = studio(&link);
        assert_eq!(second.film().now(), first.film().now());
        assert_eq!(second.film().fingerprint(), first.film().fingerprint());
        assert_eq!(second.toast, None);
        let wrong = link.replace("&d=", "&d=0");
        assert!(studio(&wrong).toast.unwrap().text.contains("newer model"));
    }

    #[test]
    fn the_sandbox_is_won_by_breaking_it() {
        let mut studio = studio("?scenario=sandbox&t=2500");
        assert_eq!(studio.goal_reached(), Some(false));
        studio.meddle(Action::Pause { node: NodeNo(1), ms: 14_000 }, "Pause");
        let end = studio.film().end();
        studio.go_to(end);
        // Whether a pause right here is enough depends on the script; a slow packet is.
        let paused = studio.goal_reached().unwrap();
        if !paused {
            studio.undo();
            studio.go_to(Moment::from_millis(2_000));
            while !studio
                .scene()
                .packets
                .iter()
                .any(|packet| packet.message == leasehold_core::sim::Message::AppendFile)
            {
                studio.step(true);
            }
            let packet = studio
                .scene()
                .packets
                .iter()
                .find(|packet| packet.message == leasehold_core::sim::Message::AppendFile)
                .unwrap()
                .no;
            studio.selected = Some(Target::Packet(packet));
            studio.fault_by_key('Y');
            studio.selected = Some(Target::Node(NodeNo(1)));
            studio.fault_by_key('N');
            let end = studio.film().end();
            studio.go_to(end);
        }
        assert_eq!(studio.goal_reached(), Some(true), "{:?}", studio.violations());
    }

    #[test]
    fn time_lines_are_zoomed_around_the_present() {
        let mut studio = studio("?scenario=gc-pause&t=10000");
        let (from, to) = studio.shown();
        studio.zoom(true);
        let (closer_from, closer_to) = studio.shown();
        assert!(closer_from > from && closer_to < to);
        studio.pan(true);
        assert!(studio.shown().0 > closer_from);
        for _ in 0..20 {
            studio.zoom(false);
        }
        assert_eq!(studio.shown(), (from, to));
    }
}
