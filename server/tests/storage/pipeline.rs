//! The two storage threads: order, rollbacks, and the end after a failed flush.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::service::{IndexedState, StartParams};
use leasehold_core::state::State;
use leasehold_server::files::FileStore;
use leasehold_server::log::{FileChecksums, Log as _};
use leasehold_server::published::Published;
use leasehold_server::service_loop::{Completion, EventBatch};
use leasehold_server::storage::{Progress, Storage, StorageParts};
use mio::{Poll, Token, Waker};
use tempfile::TempDir;

use super::simulated_medium::SimulatedDisk;
use super::wait_until;
use super::workload::Workload;

const SEGMENT_LEN: u64 = 8_192;

/// Two running storage threads, driven as the service loop does.
struct Pipeline {
    disk: SimulatedDisk,
    dir: TempDir,
    batches: Sender<EventBatch>,
    completions: Receiver<Completion>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
    _poll: Poll,
}

impl Pipeline {
    fn start() -> Self {
        let (disk, mut log) = SimulatedDisk::with_log(SEGMENT_LEN);
        let dir = tempfile::tempdir().unwrap();
        let poll = Poll::new().unwrap();
        let files_path = dir.path().join("files");
        let (completion_sender, completions) = channel();
        let position = log.append(&[]).unwrap();
        let parts = StorageParts {
            log,
            files: FileStore::open(&files_path).unwrap(),
            published: Published::start(State::default(), position),
            completions: completion_sender,
            waker: Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()),
            files_path,
            file_checksums: Arc::new(FileChecksums::new()),
            progress: Progress::default(),
        };
        let (batches, batch_receiver) = channel();
        let storage = Arc::new(Storage::new(parts, batch_receiver));
        let start = |_| {
            let storage = Arc::clone(&storage);
            thread::spawn(move || storage.run())
        };
        let threads = (0..2).map(start).collect();
        Self { disk, dir, batches, completions, threads, _poll: poll }
    }

    fn send(&self, generation: u64, batches: &[Vec<Event>]) {
        for events in batches {
            self.batches.send(EventBatch { generation, events: events.clone() }).unwrap();
        }
    }

    /// Receives acknowledgements, which must be in order, until a rollback or `end`. Returns the
    /// number of acknowledged batches, and the state after the rollback.
    fn receive(&self, workload: &Workload, end: usize) -> (usize, Option<IndexedState>) {
        let mut acknowledged = 0;
        while acknowledged < end {
            match self.completions.recv().unwrap() {
                Completion::Durable(durable) => {
                    acknowledged += 1;
                    assert_eq!(durable.through, workload.last_index(acknowledged));
                }
                Completion::WriteFailed(state) => return (acknowledged, Some(*state)),
                Completion::WritabilityChanged(..) => {}
            }
        }
        (acknowledged, None)
    }

    /// Ends the threads. Returns their results.
    fn stop(self) -> (SimulatedDisk, TempDir, Vec<anyhow::Result<()>>) {
        drop(self.batches);
        let results = self.threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        (self.disk, self.dir, results)
    }
}

fn recovered_state(disk: &SimulatedDisk) -> State {
    disk.open(SEGMENT_LEN).unwrap().1.state
}

#[test]
fn batches_are_acknowledged_in_order_and_written_to_the_files() {
    let workload = Workload::new(41, 300, 6);
    let pipeline = Pipeline::start();
    pipeline.send(0, &workload.batches);
    assert_eq!(pipeline.receive(&workload, 300).0, 300);
    let (disk, dir, results) = pipeline.stop();
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(recovered_state(&disk), *workload.states.last().unwrap());
    for (name, bytes) in &workload.files {
        assert_eq!(std::fs::read(dir.path().join("files").join(name.as_str())).unwrap(), *bytes);
    }
}

#[test]
fn failed_write_rolls_back_the_batches_that_were_decided_after_it() {
    let workload = Workload::new(42, 300, 6);
    let pipeline = Pipeline::start();
    // There is no capacity for a further segment.
    let len = pipeline.disk.files().len();
    pipeline.disk.state().len_max = Some(len + SEGMENT_LEN);
    pipeline.send(0, &workload.batches);
    let (acknowledged, state) = pipeline.receive(&workload, 300);
    assert!(state.is_some() && acknowledged > 10, "{acknowledged}");
    let state = workload.states[acknowledged].clone();
    assert_eq!(recovered_state(&SimulatedDisk::from_files(pipeline.disk.files())), state);
    pipeline.disk.state().len_max = None;
    // The server continues from the durable state, with indices that were not used.
    let index_floor = LogIndex::new(workload.last_index(300).number() + 10);
    let start = StartParams { state, index_floor, ..StartParams::default() };
    let next = Workload::continue_from(start, 43, 100, 6);
    let mut generation = 0;
    wait_until("the log can be written again", || {
        generation += 1;
        pipeline.send(generation, &next.batches);
        let (acknowledged, rolled_back) = pipeline.receive(&next, 100);
        assert!(acknowledged == 100 || acknowledged == 0 && rolled_back.is_some());
        acknowledged == 100
    });
    let (disk, _dir, results) = pipeline.stop();
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(recovered_state(&disk), *next.states.last().unwrap());
}

#[test]
fn failed_flush_ends_both_threads_and_nothing_acknowledged_is_lost() {
    let workload = Workload::new(44, 60, 6);
    for failing in [1, 2, 7, 20] {
        let pipeline = Pipeline::start();
        pipeline.disk.state().failing_flush = Some(failing);
        pipeline.send(0, &workload.batches);
        let mut acknowledged = 0;
        // The sender is dropped when both threads have ended.
        while let Ok(completion) = pipeline.completions.recv() {
            acknowledged += usize::from(matches!(completion, Completion::Durable(_)));
        }
        let files = pipeline.disk.files();
        let (_, _, results) = pipeline.stop();
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1, "{failing}");
        let state = recovered_state(&SimulatedDisk::from_files(files));
        assert!(workload.batch_count_of(&state).unwrap() >= acknowledged, "{failing}");
    }
}
