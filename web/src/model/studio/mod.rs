//! A simulated run in somebody's hands: which scenario, which of its futures, the place in it, what
//! is selected; and what the keys and buttons do to all of these.

mod futures;
mod live;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeSet;
use std::rc::Rc;

use leasehold_sim::{Moment, NodeNo, Scenario, library};

use super::compare::Compare;
use super::film::Film;
use super::lesson::Lesson;
use super::link::Link;
use super::log::{Filter, ROWS_STEP};
use super::player::Player;
use super::scene::Scene;
use crate::picture::shape::Target;

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
    /// Whose lanes are left out of the space-time diagram.
    pub(crate) hidden: BTreeSet<NodeNo>,
    /// Whether a server adds to what is seen, and whether one stays at its end.
    pub(crate) is_live: bool,
    pub(crate) follows: bool,
    /// The file of what was seen, where it was recorded.
    pub(crate) recorded: Option<Rc<str>>,
    /// Where somebody wants the run to go on to.
    until: Option<u32>,
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
    /// What was recorded, as a file.
    Save,
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
        match (link.at, link.place) {
            (Some(at), Some(place)) => film.go_to_step(place, at),
            (Some(at), None) => film.go_to(at),
            (None, _) => {}
        }
        let differs = link
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != super::link::digest(film.fingerprint()));
        let mut lesson = Lesson::new(&scenario, &film, link.scenario.is_some());
        // A link to the question opens it.
        lesson.arrive(film.place(), true);
        let mut studio = Self::holding(library, scenario, film, lesson);
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

    /// A film in hand, of which nothing was changed yet.
    fn holding(library: Rc<Vec<Scenario>>, scenario: Scenario, film: Film, lesson: Lesson) -> Self {
        Self {
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
            hidden: BTreeSet::new(),
            is_live: false,
            follows: false,
            recorded: None,
            until: None,
            toast: None,
            compare: None,
            scene: Rc::default(),
            version: 0,
        }
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
        self.scene = Rc::new(film.scene());
        self.version += 1;
        if let Some(Target::Packet(no)) = self.selected
            && !self.scene.packets.iter().any(|packet| packet.no == no)
        {
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
        (self.until, self.recorded) = (None, None);
        self.filter = Filter::default();
        self.rows = ROWS_STEP;
        self.hidden.clear();
        self.changed();
    }

    /// Whether the scenario is one of the library's.
    pub(crate) fn is_of_library(&self) -> bool {
        self.library.iter().any(|it| *it == *self.scenario)
    }

    /// Lets the log tell what concerns the selected thing alone.
    pub(crate) fn filter_selected(&mut self) {
        (self.filter.node, self.filter.lock) = match self.selected {
            Some(Target::Node(node) | Target::Link(node)) => (Some(node), None),
            Some(Target::Lock(lock)) => (None, Some(lock)),
            Some(Target::Packet(_) | Target::Record(_)) | None => (None, None),
        };
    }

    /// The node that is selected.
    pub(crate) fn selected_node(&self) -> Option<NodeNo> {
        match self.selected {
            Some(Target::Node(node)) => Some(node),
            Some(Target::Link(_) | Target::Lock(_) | Target::Packet(_) | Target::Record(_))
            | None => None,
        }
    }

    /// Leaves the lane of the selected node out of the space-time diagram.
    pub(crate) fn hide_lane(&mut self) {
        let nodes = self.film().run().config.clients.len() + 1;
        match self.selected_node() {
            Some(_) if self.hidden.len() + 1 == nodes => {
                self.say("The last lane stays.", Vec::new());
            }
            Some(node) => {
                self.hidden.insert(node);
                self.selected = None;
            }
            None => {}
        }
    }

    pub(crate) fn say(&mut self, text: &str, offers: Vec<Offer>) {
        self.toast = Some(Toast { text: text.to_owned(), offers });
    }

    /// What is said of the moment: at a stop its line, else what mattered last.
    pub(crate) fn caption(&self) -> String {
        let film = self.film();
        if let Some(stop) = self.lesson.stop_at(film.place()) {
            return stop.caption.clone();
        }
        if film.past().is_empty() && !self.scenario.point.is_empty() {
            return self.scenario.point.clone();
        }
        let told = super::log::caption(film.run(), film.past());
        if film.footage().is_some() { super::log::unnumbered(&told) } else { told }
    }

    /// Why the answer is what it is. What a scenario says of that it says of its own run.
    pub(crate) fn why(&self) -> String {
        let run = self.film().run();
        if *run == self.scenario.run() {
            return self.scenario.question.why.clone();
        }
        let off = if run.without.is_empty() {
            String::new()
        } else {
            format!(" {}", super::compare::title(run))
        };
        format!("That is so in this run{off}: it was computed from it. See why in the log.")
    }

    /// The link to this moment.
    pub(crate) fn link(&self) -> Link {
        let film = self.film();
        let mut link = Link::to(&self.scenario, film.run(), self.is_of_library());
        link.at = Some(film.now());
        // Several steps can be of one moment, such as that at which a question is asked.
        link.place = film.is_within_moment().then(|| film.place());
        link.digest = Some(super::link::digest(film.fingerprint()));
        link
    }
}
