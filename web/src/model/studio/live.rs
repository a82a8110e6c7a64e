//! Following a real server: what it says is added at the end, and one stays there, or doesn't.

use std::rc::Rc;

use leasehold_core::id::{Index, Name};
use leasehold_core::time::Time;
use leasehold_sim::{Config, Moment, Run, Scenario};

use super::Studio;
use crate::model::bars::Bars;
use crate::model::film::Film;
use crate::model::footage::{Footage, Heard, Recording};
use crate::model::lesson::Lesson;

/// How much of what happened last the time lines show.
const SHOWN_US: u64 = 30_000_000;

impl Studio {
    /// For a real server of which nothing is known yet.
    pub(crate) fn of_server(&self) -> Self {
        let mut studio = self.around("live", "A live server", Footage::new(), Bars::default());
        (studio.is_live, studio.follows) = (true, true);
        studio
    }

    /// What was recorded of a server, from its beginning.
    ///
    /// # Errors
    /// Where the file is none, in words.
    pub(crate) fn of_recording(&self, text: &str) -> Result<Self, String> {
        let (footage, bars) = Footage::replay(Recording::read(text)?)?;
        let mut studio = self.around("recording", "A recording", footage, bars);
        studio.recorded = Some(text.into());
        Ok(studio)
    }

    fn around(&self, name: &str, title: &str, footage: Footage, bars: Bars) -> Self {
        let run = Run { config: Config::default(), ..footage.run().clone() };
        let scenario = Scenario { title: title.to_owned(), ..Scenario::around(name, &run) };
        let film = Film::seen(footage, bars);
        let lesson = Lesson::new(&scenario, &film, false);
        let mut studio = Self::holding(Rc::clone(&self.library), scenario, film, lesson);
        studio.changed();
        studio
    }

    /// The last event that is known of the server.
    pub(crate) fn index(&self) -> Option<Index> {
        self.film().footage().and_then(Footage::index)
    }

    /// Takes in what the server says at this moment.
    ///
    /// # Errors
    /// Where it is not understood.
    pub(crate) fn hear(&mut self, message: &str, now: Moment) -> Result<Heard, String> {
        let generation = |film: &Film| film.footage().map(Footage::generation);
        let before = generation(self.film());
        let heard = self.film_mut().grow(|footage, bars| footage.take(message, now, bars));
        if generation(self.film()) != before {
            // Other records, clients and locks have these numbers now.
            self.version += 1;
            self.selected = None;
            (self.filter.node, self.filter.lock) = (None, None);
        }
        heard.unwrap_or_else(|| Err("this was not seen of a server".to_owned()))
    }

    /// The files whose beginning is to be fetched. Each is named once.
    pub(crate) fn files_to_fetch(&mut self) -> Vec<Name> {
        let files = self.film_mut().grow(|footage, _| footage.files_to_fetch());
        files.unwrap_or_default()
    }

    /// A file's bytes were fetched.
    pub(crate) fn fetched(&mut self, name: &Name, bytes: &[u8]) {
        self.film_mut().grow(|footage, _| footage.fetched(name, bytes));
        self.version += 1;
    }

    /// The server's clock shows this.
    pub(crate) fn pass(&mut self, time: Time) {
        self.film_mut().grow(|footage, _| footage.pass(time));
    }

    /// Goes to the end of what was seen, and stays there.
    pub(crate) fn follow(&mut self) {
        (self.follows, self.player.is_playing, self.window) = (true, false, None);
        self.keep_up();
    }

    /// Goes to the end.
    pub(super) fn keep_up(&mut self) {
        let end = self.film().end();
        self.move_to(|film| film.go_to(end));
    }

    /// How many events have come since where one is.
    pub(crate) fn behind(&self) -> u32 {
        self.film().last_place() - self.film().place()
    }

    /// The part of time that is shown of a live server: what happened last, as seen from now.
    pub(super) fn last_seen(&self) -> (Moment, Moment) {
        let film = self.film();
        let ahead = if self.follows { SHOWN_US / 6 } else { SHOWN_US / 3 };
        let to = (film.now().as_micros() + ahead).max(film.begin().as_micros() + SHOWN_US);
        (Moment::from_micros(to - SHOWN_US), Moment::from_micros(to))
    }
}
