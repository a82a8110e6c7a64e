//! Who plays in the demonstration, and what each of them does.

use std::time::Duration;

use leasehold_client::{Client, ClientBuilder, Error, LockGuard};
use leasehold_core::rng::Rng;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::super::failure::Failure;
use super::super::target::Address;
use super::story::Teller;

/// The files of the five clients that this project began with.
const FILES: [u32; 5] = [0, 2, 0, 3, 3];

/// How many steps are made before an append in a round of many: long enough for others to come and
/// wait.
const STEPS_BEFORE: u64 = 2;

/// How many steps of such a round are made while the lock is held.
const STEPS_HELD: u64 = STEPS_BEFORE + 1;

/// How many actions a round has that can be seen: a grant, an append, a release.
const ACTIONS: u64 = 3;

/// One client's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) client: String,
    pub(super) file: String,
    /// Whether it crashes while it holds its lock.
    pub(super) crashes: bool,
}

/// A client at work.
pub(super) struct Player {
    pub(super) part: Part,
    pub(super) builder: ClientBuilder,
    pub(super) server: Address,
    pub(super) teller: Teller,
    /// How long one step takes, in milliseconds.
    pub(super) pace_ms: u64,
    /// Set where it plays round after round: how many others do.
    pub(super) endless: Option<u64>,
    pub(super) rng: Rng,
    /// Told when the lock is first held.
    pub(super) holds: Option<oneshot::Sender<()>>,
}

/// How a round ended.
enum Round {
    Played,
    /// What it held goes down with it.
    Crashed(LockGuard),
}

/// Who writes to what.
pub(super) fn cast(
    clients: Option<u32>,
    files: Option<u32>,
    crash: Option<&str>,
) -> Result<Vec<Part>, Failure> {
    let count = clients.unwrap_or(5);
    let file = |index: u32| match (clients, files) {
        (None, None) => FILES[index as usize],
        (_, files) => index % files.unwrap_or(3),
    };
    let part = |index: u32| {
        let client = format!("client_{}", index + 1);
        let crashes = crash == Some(client.as_str());
        Part { number: index + 1, client, file: format!("file_{}", file(index)), crashes }
    };
    let parts: Vec<Part> = (0..count).map(part).collect();
    match crash {
        Some(name) if !parts.iter().any(|part| part.crashes) => Err(Failure::usage(format!(
            "there is no client {name:?} to crash; they are client_1 to client_{count}"
        ))),
        Some(_) | None => Ok(parts),
    }
}

impl Player {
    /// Plays one round, or round after round, until it is told to stop.
    pub(super) async fn play(mut self, mut stopped: watch::Receiver<bool>) -> Result<(), Failure> {
        let connected = tokio::select! {
            connected = self.builder.clone().connect(self.server.to_string()) => connected,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        let client = connected.map_err(|error| self.failure(error))?;
        let lease = seconds(client.lease());
        self.teller.tell(format!("opened a session with a lease of {lease}"));
        let played = tokio::select! {
            played = self.rounds(&client) => played,
            _ = stopped.wait_for(|stopped| *stopped) => Ok(Round::Played),
        };
        match played {
            Ok(Round::Crashed(guard)) => {
                client.abort().await;
                // It can give nothing back any more.
                drop(guard);
                return Ok(());
            }
            Ok(Round::Played) => {
                client.close().await.map_err(|error| self.failure(error))?;
            }
            Err(error) => {
                let _ = client.close().await;
                return Err(self.failure(error));
            }
        }
        self.teller.tell("closed its session".to_owned());
        Ok(())
    }

    async fn rounds(&mut self, client: &Client) -> Result<Round, Error> {
        let Some(players) = self.endless else { return self.round(client).await };
        self.pause_between(0, self.pace_ms.saturating_mul(players)).await;
        loop {
            match self.round(client).await {
                Ok(Round::Played) => {}
                crashed @ Ok(Round::Crashed(_)) => return crashed,
                // The show goes on: a server that was restarted, a lock that was lost.
                Err(error) => self.teller.tell(format!("failed: {error}; it goes on")),
            }
            self.think(players).await;
        }
    }

    async fn round(&mut self, client: &Client) -> Result<Round, Error> {
        let Part { file, crashes, .. } = self.part.clone();
        let teller = self.teller.clone();
        let (mut last, waited_for) = (0, file.clone());
        let asked = client.lock(&file).on_queued(move |place| {
            if place != std::mem::replace(&mut last, place) {
                teller.tell(format!("waits for {waited_for}, place {place}"));
            }
        });
        self.teller.tell(format!("asks for {file}"));
        let guard = asked.await?;
        let after = self.teller.after_crash(&file);
        self.teller.tell(format!("holds {file} under token {}{after}", guard.token()));
        self.holds.take();
        for _ in 0..self.endless.map_or(1, |_| STEPS_BEFORE) {
            self.step().await;
        }
        if crashes {
            self.tell_crash(client, &guard);
            return Ok(Round::Crashed(guard));
        }
        let entry = format!("Log entry from {} writing to {file}\n", self.part.client);
        let appended = guard.append(entry).await?;
        self.teller
            .tell(format!("appended {} bytes to {file} at {}", appended.len, appended.offset));
        self.step().await;
        guard.release().await?;
        self.teller.tell(format!("gave {file} back"));
        Ok(Round::Played)
    }

    fn tell_crash(&self, client: &Client, guard: &LockGuard) {
        let (file, token) = (&self.part.file, guard.token());
        let lease = seconds(client.lease());
        self.teller.note_crash(file);
        self.teller.alarm(format!(
            "crashes while it holds {file} under token {token}: the server hears no more of it, \
             and frees the lock when its lease of {lease} is over"
        ));
    }

    async fn step(&mut self) {
        let quarter = self.pace_ms / 4;
        self.pause_between(self.pace_ms - quarter, self.pace_ms + quarter).await;
    }

    /// Thinks for as long as it takes that all players together make about one action in one step.
    async fn think(&mut self, players: u64) {
        let steps = (ACTIONS * players).saturating_sub(STEPS_HELD).max(1);
        let middle = self.pace_ms.saturating_mul(steps);
        self.pause_between(middle / 3, middle.saturating_add(middle / 3 * 2)).await;
    }

    async fn pause_between(&mut self, low: u64, high: u64) {
        sleep(Duration::from_millis(self.rng.between(low, high))).await;
    }

    fn failure(&self, error: Error) -> Failure {
        Failure::of(error, &self.part.file, &self.server).at(&self.part.client)
    }
}

/// A span as a person says it.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(clients: Option<u32>, files: Option<u32>, files_expected: &[&str]) {
        let parts = cast(clients, files, None).unwrap();
        let cast: Vec<&str> = parts.iter().map(|part| part.file.as_str()).collect();
        assert_eq!(cast, files_expected);
        assert_eq!(parts[0].client, "client_1");
    }

    #[test]
    fn five_clients_write_to_three_files_unless_it_is_said_otherwise() {
        check(None, None, &["file_0", "file_2", "file_0", "file_3", "file_3"]);
        check(None, Some(2), &["file_0", "file_1", "file_0", "file_1", "file_0"]);
        check(Some(4), None, &["file_0", "file_1", "file_2", "file_0"]);
    }

    #[test]
    fn only_a_client_that_plays_can_crash() {
        let parts = cast(None, None, Some("client_3")).unwrap();
        assert!(parts.iter().all(|part| part.crashes == (part.number == 3)));
        assert_eq!(cast(None, None, Some("client_6")).unwrap_err().code(), 2);
    }
}
