//! What the panels show, made anew only when it can differ.

use std::cell::RefCell;
use std::rc::Rc;

use leasehold_sim::{Invariant, Status, World};

use super::app::App;
use crate::model::faults::Fault;
use crate::model::fields::{Field, Sight, fields, with_changes};
use crate::model::files::FileView;
use crate::model::log::{Filter, Row, rows, unnumbered};
use crate::model::scene::Scene;
use crate::model::until::Until;
use crate::picture::shape::Target;

/// What all of it depends on, besides the run.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    version: u64,
    selected: Option<Target>,
    filter: Filter,
    rows: usize,
    compares_files: bool,
    /// Fields that run down do so ten times a second.
    tenth: u64,
}

/// What the panels show.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    pub(crate) fields: Rc<Vec<(Field, Option<String>)>>,
    pub(crate) faults: Rc<Vec<Fault>>,
    pub(crate) rows: Rc<Vec<Row>>,
    pub(crate) has_more: bool,
    pub(crate) statuses: Rc<Vec<(Invariant, Status, Status)>>,
    pub(crate) files: Rc<Vec<FileView>>,
    /// What the run can be let go on to.
    pub(crate) choices: Rc<Vec<(String, String)>>,
}

/// The last of it. A cache: whoever looks does not see that there is one.
#[derive(Default)]
pub(crate) struct Derived {
    last: RefCell<Option<(Key, Shown)>>,
    /// The end of the same run with all protections.
    correct: RefCell<Option<(u64, Rc<World>)>>,
}

impl Derived {
    pub(crate) fn of(&self, app: &App) -> Shown {
        let studio = &app.studio;
        let key = Key {
            version: studio.version,
            selected: studio.selected,
            filter: studio.filter,
            rows: studio.rows,
            compares_files: app.ui.compares_files,
            tenth: studio.selected.map_or(0, |_| studio.film().now().as_millis() / 100),
        };
        if let Some((last, shown)) = &*self.last.borrow()
            && *last == key
        {
            return shown.clone();
        }
        let shown = self.make(app);
        *self.last.borrow_mut() = Some((key, shown.clone()));
        shown
    }

    fn make(&self, app: &App) -> Shown {
        let studio = &app.studio;
        let film = studio.film();
        let scene = studio.scene();
        let past = film.past();
        let step_from = past.len() - film.step_at(film.place()).len();
        let violated = film.violated();
        let (mut rows, has_more) =
            rows(film.run(), past, step_from, &violated, studio.filter, studio.rows);
        if film.footage().is_some() {
            rows.iter_mut().for_each(|row| row.what = unnumbered(&row.what));
        }
        let (fields, faults) = match studio.selected {
            Some(target) => {
                let now = fields(film.sight(), &scene, target);
                let before = before(app, target);
                (with_changes(now, &before), studio.faults(target))
            }
            None => (Vec::new(), Vec::new()),
        };
        let correct = app.ui.compares_files.then(|| self.correct(app));
        Shown {
            fields: Rc::new(fields),
            faults: Rc::new(faults),
            rows: Rc::new(rows),
            has_more,
            statuses: Rc::new(film.statuses()),
            files: Rc::new(film.files(correct.as_deref(), studio.rows / 2)),
            choices: Rc::new(if film.footage().is_some() {
                Vec::new()
            } else {
                Until::choices(film.run())
            }),
        }
    }

    fn correct(&self, app: &App) -> Rc<World> {
        let film = app.studio.film();
        if let Some((of, world)) = &*self.correct.borrow()
            && *of == film.fingerprint()
        {
            return Rc::clone(world);
        }
        let mut run = film.run().clone();
        run.without.clear();
        let mut world = World::new(run);
        let mut trace = Vec::new();
        // As far as the film goes: no farther is it known here either.
        while world.steps() < 200_000 && world.step(&mut trace) {
            trace.clear();
        }
        let world = Rc::new(world);
        *self.correct.borrow_mut() = Some((film.fingerprint(), Rc::clone(&world)));
        world
    }
}

/// The fields one step before.
fn before(app: &App, target: Target) -> Vec<Field> {
    let look = |sight: Sight<'_>, scene: &Scene| fields(sight, scene, target);
    app.studio.film().one_step_before(look).unwrap_or_default()
}
