//! The pictures of the run in hand, as large as their places are.

use std::rc::Rc;

use leasehold_sim::{Interest, Moment};

use super::app::{App, Pictures};
use crate::browser;
use crate::model::film::Film;
use crate::model::keys::View;
use crate::picture::gantt::{self, Names, gantt};
use crate::picture::shape::{Picture, Place, Target, float, within};
use crate::picture::spacetime::{self, spacetime};
use crate::picture::stage::{Look, stage};
use crate::picture::tape::{Reel, tape};

impl App {
    pub(super) fn stage_picture(&self) -> Picture {
        let studio = &self.studio;
        let scene = studio.scene();
        let mut place = self.place(self.sizes.stage);
        if self.ui.presents {
            // Two lines for each client, and none of them on another.
            let lines = 2.1 * float(scene.clients.len().max(1));
            place.em = within(place.height / lines, 13.0, place.em);
        }
        let look = Look {
            selected: studio.selected,
            shows_fates: studio.lesson.hidden_from().is_none() && !studio.lesson.is_on,
            is_still: self.ui.is_still,
        };
        stage(&scene, studio.film().now(), place, look)
    }

    pub(crate) fn names(&self) -> (Vec<String>, Vec<String>) {
        let config = &self.studio.film().run().config;
        let locks = config.locks.iter().map(ToString::to_string).collect();
        let mut nodes = vec!["server".to_owned()];
        nodes.extend(config.clients.iter().map(|client| client.name.to_string()));
        (locks, nodes)
    }

    pub(super) fn gantt_picture(&self) -> Picture {
        let studio = &self.studio;
        self.leases((studio.film(), None), self.place(self.sizes.lower), studio.selected)
    }

    /// The leases of a run over the part of time that is shown, and those of another one over it.
    pub(super) fn leases(
        &self,
        (film, other): (&Film, Option<&Film>),
        place: Place,
        selected: Option<Target>,
    ) -> Picture {
        let ghost = other.map(Film::bars);
        let (locks, nodes) = self.names();
        let subject = gantt::Subject {
            bars: &film.bars(),
            names: Names { locks: &locks, nodes: &nodes },
            now: film.now(),
            lease_us: film.run().config.lease_ms * 1_000,
            violations: &film.violations(),
            is_inferred: film.footage().is_some(),
            must_fit: self.ui.presents,
            ghost: ghost.as_deref(),
        };
        gantt(&subject, self.studio.shown(), place, selected)
    }

    pub(super) fn spacetime_picture(&self) -> Picture {
        let studio = &self.studio;
        let film = studio.film();
        let (locks, nodes) = self.names();
        let chosen = match studio.selected {
            Some(Target::Record(record)) => Some(record),
            _ => None,
        };
        let subject = spacetime::Subject {
            past: film.past(),
            bars: &film.bars(),
            names: Names { locks: &locks, nodes: &nodes },
            now: film.now(),
            is_to_scale: self.ui.is_to_scale,
            chosen,
            selected: studio.selected_node(),
            hidden: &studio.hidden,
            has_beats: studio.filter.least <= Interest::Heartbeat,
        };
        spacetime(&subject, self.place(self.sizes.lower))
    }

    pub(super) fn tape_picture(&self) -> Picture {
        let studio = &self.studio;
        let film = studio.film();
        let stops: Vec<Moment> = studio.lesson.stops.iter().map(|stop| stop.at).collect();
        let reel = Reel {
            bars: &film.bars(),
            locks: film.run().config.locks.len(),
            begin: film.begin(),
            end: film.end(),
            now: film.now(),
            hidden_from: studio.lesson.hidden_from().map(|at| at.max(film.now())),
            violations: &film.violations(),
            stops: if studio.lesson.is_on { &stops } else { &[] },
        };
        let (width, height) = self.sizes.tape;
        tape(&reel, Place { width: width.max(120.0), height: height.max(40.0), em: 12.0 })
    }

    /// Paints all pictures that are on the page, and what else moves with time.
    pub(super) fn paint(&self) {
        let mut painters = self.painters.borrow_mut();
        let mut paint = |id: &'static str, picture: Picture, focus: Option<Target>| {
            if let Some(svg) = browser::element(id) {
                painters.entry(id).or_default().paint(&svg, picture, focus, self.moves());
            }
        };
        if let Some(compare) = &self.studio.compare {
            for (id, picture) in self.compared(compare) {
                paint(id, picture, None);
            }
        } else {
            paint("picture-stage", self.stage_picture(), self.studio.selected);
            if self.ui.lower == View::SpaceTime {
                paint("picture-spacetime", self.spacetime_picture(), None);
            } else {
                paint("picture-gantt", self.gantt_picture(), None);
            }
        }
        paint("picture-tape", self.tape_picture(), None);
        let film = self.studio.film();
        browser::show_time(film.now(), film.end());
    }

    /// Those that can be taken along.
    pub(crate) fn pictures(&self) -> Pictures {
        let mut pictures = vec![
            ("stage", Rc::new(self.stage_picture())),
            ("leases", Rc::new(self.gantt_picture())),
        ];
        if self.studio.film().footage().is_none() {
            pictures.push(("space-time", Rc::new(self.spacetime_picture())));
        }
        pictures.push(("tape", Rc::new(self.tape_picture())));
        Rc::new(pictures)
    }
}
