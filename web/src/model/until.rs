//! What a run can be let go on to: who holds what, what goes wrong.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for one kind")]

use leasehold_sim::{Interest, Kind, LockNo, NodeNo, Record, Run, Step};

use super::film::{Film, Wanted};

/// Something that can come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Violation,
    Refusal,
    Expiry,
    Append,
    Holds(NodeNo, LockNo),
}

impl Until {
    /// All that there is to choose from in a run, with its name and how it is called.
    pub(crate) fn choices(run: &Run) -> Vec<(String, String)> {
        let plain = [
            ("violation", "something is violated"),
            ("refusal", "something is refused"),
            ("expiry", "a lease is over"),
            ("append", "a line is written"),
        ];
        let plain = plain.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let mut choices = Vec::from(plain);
        for (lock_no, lock) in (0_u8..).zip(&run.config.locks) {
            let users = (1_u8..).zip(&run.config.clients).filter(|(_, client)| {
                client.script.iter().any(
                    |step| matches!(step, Step::Acquire { lock: wanted, .. } if wanted == lock),
                )
            });
            for (node, client) in users {
                choices.push((
                    format!("holds-{node}-{lock_no}"),
                    format!("{} gets {lock}", client.name),
                ));
            }
        }
        choices
    }

    /// The one of this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "violation" => Self::Violation,
            "refusal" => Self::Refusal,
            "expiry" => Self::Expiry,
            "append" => Self::Append,
            _ => {
                let (node, lock) = name.strip_prefix("holds-")?.split_once('-')?;
                Self::Holds(NodeNo(node.parse().ok()?), LockNo(lock.parse().ok()?))
            }
        })
    }

    /// The place where it comes about next; none where it doesn't any more.
    pub(crate) fn place(self, film: &Film) -> Option<u32> {
        if self == Self::Violation {
            return film.next_place(true, Wanted::Violation);
        }
        let mut places = film.place() + 1..=film.last_place();
        places.find(|place| film.step_at(*place).iter().any(|record| self.is(record)))
    }

    fn is(self, record: &Record) -> bool {
        match (self, record.kind) {
            (Self::Holds(node, of), Kind::LockGranted { client, lock, .. }) => {
                (node, of) == (client, lock)
            }
            (Self::Refusal, Kind::RequestRefused { .. })
            | (Self::Append, Kind::FileAppended { .. }) => true,
            (Self::Expiry, Kind::LockReleased { .. }) => Interest::of(record) == Interest::Expiry,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario};

    #[test]
    fn what_can_come_about_is_found_and_what_does_not_is_not() {
        let scenario = Scenario::named("gc-pause").unwrap();
        let choices = Until::choices(&scenario.run());
        assert!(
            choices
                .iter()
                .any(|(name, text)| { name == "holds-2-0" && text == "client_2 gets file_0" })
        );
        for (name, _) in &choices {
            assert!(Until::of_name(name).is_some(), "{name}");
        }
        let mut film = Film::new(scenario.run());
        let place = Until::of_name("holds-2-0").unwrap().place(&film).unwrap();
        film.go_to_place(place);
        assert!(film.now().as_millis() > 10_000);
        assert_eq!(Until::Violation.place(&film), None);
        let off = Film::new(scenario.run_without(&[Protection::Fencing].into()));
        assert!(Until::Violation.place(&off).is_some());
    }
}
