//! Logs that are damaged, incomplete, or composed of parts of different ages.

use std::panic::{AssertUnwindSafe, catch_unwind};

use leasehold_core::id::{LogIndex, Token};
use leasehold_core::rng::Rng;
use leasehold_core::service::StartParams;
use leasehold_core::state::State;
use leasehold_server::log::{
    Chain, EmbeddedLog, FileChecksums, Genesis, Log, LogId, LogPosition, OpenError, Recovered,
    Witness, encode_state,
};

use super::simulated_medium::{Files, SimulatedDisk, options};
use super::workload::Workload;

/// Segments that are filled several times.
const SEGMENT_LEN: u64 = 8_192;

/// The name of the file with the acknowledged position.
const ACKNOWLEDGED: &str = "acknowledged";

/// Returns the files of a log after each batch of a workload, with a snapshot in the middle.
fn write_log(workload: &Workload) -> (Vec<Files>, LogPosition) {
    let (disk, mut log) = SimulatedDisk::with_log(SEGMENT_LEN);
    let mut files = Vec::new();
    for (number, batch) in workload.batches.iter().enumerate() {
        let position = log.append(batch).unwrap();
        if number == workload.batches.len() / 2 {
            let state = encode_state(&workload.states[number + 1], FileChecksums::new());
            log.begin_snapshot().write(&position, &state).unwrap();
        }
        files.push(disk.files());
    }
    (files, log.append(&[]).unwrap())
}

fn open(files: Files) -> Result<Recovered, OpenError> {
    SimulatedDisk::from_files(files).open(SEGMENT_LEN).map(|(_, recovered)| recovered)
}

/// Checks that damage was reported or did no harm. Returns whether it was reported.
#[track_caller]
fn expect_reported_or_harmless(files: Files, states: &[State], description: &str) -> bool {
    let result = catch_unwind(AssertUnwindSafe(|| open(files.clone())));
    match result.unwrap_or_else(|_| panic!("{description} causes a panic")) {
        Ok(recovered) => {
            assert!(states.contains(&recovered.state), "{description} yields another state");
            expect_usable(files, description);
            false
        }
        Err(OpenError::Damaged { reason, .. }) => {
            assert!(!reason.is_empty());
            true
        }
        Err(error @ OpenError::Io(_)) => panic!("{description}: {error}"),
    }
}

/// Checks that a log which was opened despite damage can be used.
#[track_caller]
fn expect_usable(files: Files, description: &str) {
    let disk = SimulatedDisk::from_files(files);
    let (mut log, recovered) = disk.open(SEGMENT_LEN).unwrap();
    let Recovered { state, last_index, .. } = recovered;
    let start = StartParams { state, index_floor: last_index, ..StartParams::default() };
    let workload = Workload::continue_from(start, 1, 4, 6);
    for batch in &workload.batches {
        log.append(batch).expect(description);
    }
    drop(log);
    assert_eq!(open(disk.files()).unwrap().state, workload.states[4], "{description}");
}

/// Damages parts of each file, and checks each result. Returns how often damage was reported.
fn damage_everything(files: &Files, allowed: &[State], step: usize) -> usize {
    let (mut reported, mut rng) = (0, Rng::new(5));
    for name in files.names() {
        let len = files.get(&name).len();
        for offset in (0..len).step_by(step).chain(0..len.min(300)) {
            let (kind, end) =
                (rng.below(3), len.min(offset + usize::try_from(rng.between(1, 40)).unwrap()));
            let mut damaged = files.clone();
            let bytes = &mut damaged.get_mut(&name)[offset..end];
            match kind {
                0 => bytes[0] ^= 1 << rng.below(8),
                1 => bytes.fill(0),
                _ => bytes.iter_mut().for_each(|byte| *byte ^= rng.next_u64().to_le_bytes()[0] | 1),
            }
            let description = format!("{name} {offset}..{end} damaged ({kind})");
            reported += usize::from(expect_reported_or_harmless(damaged, allowed, &description));
        }
    }
    reported
}

#[test]
fn no_damage_after_a_crash_of_the_server_is_silent() {
    let workload = Workload::new(21, 120, 6);
    let (files, _) = write_log(&workload);
    let last = workload.states.last().unwrap().clone();
    let reported = damage_everything(files.last().unwrap(), &[last], 23);
    println!("{reported} damages reported");
    assert!(reported > 500, "{reported}");
}

#[test]
fn without_the_acknowledged_position_only_the_last_batches_can_be_taken_for_torn() {
    let workload = Workload::new(21, 120, 6);
    let (files, _) = write_log(&workload);
    let mut files = files.last().unwrap().clone();
    files.remove(ACKNOWLEDGED);
    let last_states = &workload.states[workload.states.len() - 3..];
    let (mut reported, mut rng) = (0, Rng::new(6));
    for name in files.names() {
        for _ in 0..300 {
            let mut damaged = files.clone();
            let bytes = damaged.get_mut(&name);
            let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= 1 << rng.below(8);
            let description = format!("{name} {at} flipped");
            let is_reported = expect_reported_or_harmless(damaged, last_states, &description);
            reported += usize::from(is_reported);
        }
    }
    assert!(reported > 100, "{reported}");
}

#[test]
fn each_missing_file_is_reported_or_harmless() {
    let workload = Workload::new(22, 120, 6);
    let (files, _) = write_log(&workload);
    let files = files.last().unwrap();
    assert!(files.names().len() >= 4, "{:?}", files.names());
    let last = [workload.states.last().unwrap().clone()];
    for name in files.names() {
        let mut incomplete = files.clone();
        incomplete.remove(&name);
        let is_reported =
            expect_reported_or_harmless(incomplete, &last, &format!("{name} missing"));
        assert_eq!(is_reported, name != ACKNOWLEDGED && name != "spare", "{name}");
    }
}

#[test]
fn each_truncated_file_is_reported_or_harmless() {
    let workload = Workload::new(22, 120, 6);
    let (files, _) = write_log(&workload);
    let files = files.last().unwrap();
    let last = [workload.states.last().unwrap().clone()];
    for name in files.names() {
        for len in (0..files.get(&name).len()).step_by(509) {
            let mut truncated = files.clone();
            truncated.get_mut(&name).truncate(len);
            let description = format!("{name} truncated to {len}");
            let is_reported = expect_reported_or_harmless(truncated, &last, &description);
            assert_eq!(is_reported, name != ACKNOWLEDGED && name != "spare", "{description}");
        }
    }
}

#[test]
fn older_copies_of_files_are_reported_or_harmless() {
    let workload = Workload::new(25, 120, 6);
    let (history, _) = write_log(&workload);
    let files = history.last().unwrap();
    let last = [workload.states.last().unwrap().clone()];
    let mut reported = 0;
    for older in history.iter().rev().skip(1).step_by(5) {
        for name in older.names() {
            let mut mixed = files.clone();
            mixed.copy_from(older, &name);
            let description = format!("an older {name}");
            reported += usize::from(expect_reported_or_harmless(mixed, &last, &description));
        }
    }
    assert!(reported > 10, "{reported}");
}

#[test]
fn files_of_another_log_are_reported_or_harmless() {
    let workload = Workload::new(26, 120, 6);
    let (history, _) = write_log(&workload);
    // The same batches at the same indices, in a log with another identity.
    let (other, _) = write_log(&workload);
    let (files, other) = (history.last().unwrap(), other.last().unwrap());
    let last = [workload.states.last().unwrap().clone()];
    for name in files.names() {
        let mut mixed = files.clone();
        mixed.copy_from(other, &name);
        let is_reported = expect_reported_or_harmless(mixed, &last, &format!("a foreign {name}"));
        assert_eq!(is_reported, name != "spare", "{name}");
    }
}

#[test]
fn log_that_a_witness_is_ahead_of_is_reported() {
    let workload = Workload::new(27, 120, 6);
    let (history, position) = write_log(&workload);
    let witness = |position| [Witness { source: "server_state.json".to_owned(), position }];
    let check = |files: &Files, position| {
        let disk = SimulatedDisk::from_files(files.clone());
        disk.open_with_witnesses(SEGMENT_LEN, &witness(position)).map(|(_, recovered)| recovered)
    };
    let files = history.last().unwrap();
    assert!(check(files, position).is_ok());
    let ahead = LogPosition { record: position.record + 1, ..position };
    for (files, position) in [
        (files, ahead),
        (&history[history.len() - 8], position),
        (files, LogPosition { chain: Chain::default(), ..position }),
        (files, LogPosition { log_id: LogId::default(), ..position }),
    ] {
        let error = check(files, position).unwrap_err().to_string();
        assert!(error.contains("server_state.json"), "{error}");
    }
}

#[test]
fn log_after_a_loss_reports_it_until_something_is_stored() {
    let disk = SimulatedDisk::default();
    let state = State::after_data_loss([], LogIndex::new(40), Token::new(7));
    let last_index = LogIndex::new(90);
    let genesis = Genesis {
        state: &state,
        file_checksums: &FileChecksums::new(),
        last_index,
        follows_data_loss: true,
    };
    EmbeddedLog::create_on(&disk, &genesis, options(SEGMENT_LEN)).unwrap();
    for _ in 0..2 {
        let (_, recovered) = disk.open(SEGMENT_LEN).unwrap();
        assert!(recovered.follows_data_loss);
        assert_eq!((&recovered.state, recovered.last_index), (&state, last_index));
    }
    let (mut log, _) = disk.open(SEGMENT_LEN).unwrap();
    let start = StartParams { state, index_floor: last_index, ..StartParams::default() };
    let next = Workload::continue_from(start, 3, 2, 6);
    log.append(&next.batches[0]).unwrap();
    drop(log);
    assert!(!disk.open(SEGMENT_LEN).unwrap().1.follows_data_loss);
}

#[test]
fn garbage_is_rejected_as_a_log() {
    let workload = Workload::new(28, 20, 6);
    let (history, _) = write_log(&workload);
    let files = history.last().unwrap();
    let segment = files.names().into_iter().find(|name| name.ends_with(".segment")).unwrap();
    let mut rng = Rng::new(9);
    let noise = |len| (0..len).map(|_| rng.next_u64().to_le_bytes()[0]).collect::<Vec<u8>>();
    let garbage = [
        Vec::new(),
        b"not a log at all".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        [100, 4_096, 1 << 20].map(noise).concat(),
    ];
    for bytes in garbage {
        let mut files = files.clone();
        let len = bytes.len();
        *files.get_mut(&segment) = bytes;
        let result = open(files);
        assert!(matches!(result, Err(OpenError::Damaged { .. })), "{len} bytes: {result:?}");
    }
    assert!(matches!(open(Files::default()), Err(OpenError::Damaged { .. })));
}
