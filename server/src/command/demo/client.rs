//! The clients of the demonstration, and what each of them does.

use std::time::Duration;

use leasehold_client::{Client, ClientBuilder, Error, LockGuard};
use leasehold_core::rng::Rng;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::super::error::CommandError;
use super::super::options::Address;
use super::story::Reporter;

/// The files of the five default clients.
const FILES: [u32; 5] = [0, 2, 0, 3, 3];

/// With --loop: the number of steps before an append, long enough for other clients to be queued.
const STEPS_BEFORE_APPEND: u64 = 2;

/// With --loop: the number of steps for which a client holds the lock.
const STEPS_HELD: u64 = STEPS_BEFORE_APPEND + 1;

/// The number of visible actions of a round: a grant, an append, a release.
const ACTIONS_PER_ROUND: u64 = 3;

/// What one client is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) number: u32,
    pub(super) client: String,
    pub(super) file: String,
    /// Whether the client crashes while it holds its lock.
    pub(super) crashes: bool,
}

/// A client of the demonstration.
pub(super) struct DemoClient {
    pub(super) role: Role,
    pub(super) builder: ClientBuilder,
    pub(super) server: Address,
    pub(super) reporter: Reporter,
    /// The duration of one step, in milliseconds.
    pub(super) pace_ms: u64,
    /// With --loop: the number of clients.
    pub(super) looping_clients: Option<u64>,
    pub(super) rng: Rng,
    /// Notified when the lock is first held.
    pub(super) on_first_grant: Option<oneshot::Sender<()>>,
}

/// How a round ended.
enum RoundEnd {
    Completed,
    /// The client crashes while it holds this lock.
    Crashed(LockGuard),
}

/// Returns the roles of all clients.
pub(super) fn roles(
    clients: Option<u32>,
    files: Option<u32>,
    crash: Option<&str>,
) -> Result<Vec<Role>, CommandError> {
    let count = clients.unwrap_or(5);
    let file = |index: u32| match (clients, files) {
        (None, None) => FILES[index as usize],
        (_, files) => index % files.unwrap_or(3),
    };
    let role = |index: u32| {
        let client = format!("client_{}", index + 1);
        let crashes = crash == Some(client.as_str());
        Role { number: index + 1, client, file: format!("file_{}", file(index)), crashes }
    };
    let roles: Vec<Role> = (0..count).map(role).collect();
    match crash {
        Some(name) if !roles.iter().any(|role| role.crashes) => Err(CommandError::usage(format!(
            "there is no client {name:?}; the clients are client_1 to client_{count}"
        ))),
        Some(_) | None => Ok(roles),
    }
}

impl DemoClient {
    /// Runs one round, or with --loop round after round until `stopped` is set.
    pub(super) async fn run(
        mut self,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), CommandError> {
        let connected = tokio::select! {
            connected = self.builder.clone().connect(self.server.to_string()) => connected,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        let client = connected.map_err(|error| self.error(error))?;
        let lease = seconds(client.lease());
        self.reporter.report(format!("opened a session with a lease of {lease}"));
        let result = tokio::select! {
            result = self.rounds(&client) => result,
            _ = stopped.wait_for(|stopped| *stopped) => Ok(RoundEnd::Completed),
        };
        match result {
            Ok(RoundEnd::Crashed(guard)) => {
                client.crash().await;
                // Dropped after the crash, when it can no longer release the lock.
                drop(guard);
                return Ok(());
            }
            Ok(RoundEnd::Completed) => {
                client.close().await.map_err(|error| self.error(error))?;
            }
            Err(error) => {
                let _ = client.close().await;
                return Err(self.error(error));
            }
        }
        self.reporter.report("closed its session".to_owned());
        Ok(())
    }

    async fn rounds(&mut self, client: &Client) -> Result<RoundEnd, Error> {
        let Some(clients) = self.looping_clients else { return self.round(client).await };
        self.sleep_between(0, self.pace_ms.saturating_mul(clients)).await;
        loop {
            match self.round(client).await {
                Ok(RoundEnd::Completed) => {}
                crashed @ Ok(RoundEnd::Crashed(_)) => return crashed,
                // For example because the server was restarted or the lock was lost.
                Err(error) => self.reporter.report(format!("failed: {error}; trying again")),
            }
            self.pause(clients).await;
        }
    }

    async fn round(&mut self, client: &Client) -> Result<RoundEnd, Error> {
        let Role { file, crashes, .. } = self.role.clone();
        let reporter = self.reporter.clone();
        let (mut last, queued_for) = (0, file.clone());
        let acquire = client.lock(&file).on_queued(move |position| {
            if position != std::mem::replace(&mut last, position) {
                reporter.report(format!("is queued for {queued_for}, position {position}"));
            }
        });
        self.reporter.report(format!("requests {file}"));
        let guard = acquire.await?;
        let after_crash = self.reporter.after_crash(&file);
        self.reporter.report(format!("holds {file} under token {}{after_crash}", guard.token()));
        self.on_first_grant.take();
        for _ in 0..self.looping_clients.map_or(1, |_| STEPS_BEFORE_APPEND) {
            self.step().await;
        }
        if crashes {
            self.report_crash(client, &guard);
            return Ok(RoundEnd::Crashed(guard));
        }
        let entry = format!("Log entry from {} writing to {file}\n", self.role.client);
        let appended = guard.append(entry).await?;
        self.reporter.report(format!(
            "appended {} bytes to {file} at offset {}",
            appended.len, appended.offset
        ));
        self.step().await;
        guard.release().await?;
        self.reporter.report(format!("released {file}"));
        Ok(RoundEnd::Completed)
    }

    fn report_crash(&self, client: &Client, guard: &LockGuard) {
        let (file, token) = (&self.role.file, guard.token());
        let lease = seconds(client.lease());
        self.reporter.record_crash(file);
        self.reporter.report_alarm(format!(
            "crashes while it holds {file} under token {token}; the server frees the lock when its \
             lease of {lease} expires"
        ));
    }

    async fn step(&mut self) {
        let quarter = self.pace_ms / 4;
        self.sleep_between(self.pace_ms - quarter, self.pace_ms + quarter).await;
    }

    /// Sleeps so long that all clients together make about one action per step.
    async fn pause(&mut self, clients: u64) {
        let steps = (ACTIONS_PER_ROUND * clients).saturating_sub(STEPS_HELD).max(1);
        let middle = self.pace_ms.saturating_mul(steps);
        self.sleep_between(middle / 3, middle.saturating_add(middle / 3 * 2)).await;
    }

    async fn sleep_between(&mut self, low_ms: u64, high_ms: u64) {
        sleep(Duration::from_millis(self.rng.between(low_ms, high_ms))).await;
    }

    fn error(&self, error: Error) -> CommandError {
        CommandError::from_client(error, &self.role.file, &self.server)
            .with_context(&self.role.client)
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(clients: Option<u32>, files: Option<u32>, expected: &[&str]) {
        let roles = roles(clients, files, None).unwrap();
        let files: Vec<&str> = roles.iter().map(|role| role.file.as_str()).collect();
        assert_eq!(files, expected);
        assert_eq!(roles[0].client, "client_1");
    }

    #[test]
    fn five_clients_append_to_three_files_by_default() {
        check(None, None, &["file_0", "file_2", "file_0", "file_3", "file_3"]);
        check(None, Some(2), &["file_0", "file_1", "file_0", "file_1", "file_0"]);
        check(Some(4), None, &["file_0", "file_1", "file_2", "file_0"]);
    }

    #[test]
    fn only_an_existing_client_can_crash() {
        let crashing = roles(None, None, Some("client_3")).unwrap();
        assert!(crashing.iter().all(|role| role.crashes == (role.number == 3)));
        assert_eq!(roles(None, None, Some("client_6")).unwrap_err().exit_code(), 2);
    }
}
