//! A data directory that is damaged after its server was killed: whatever is damaged, the server
//! has everything that was acknowledged, or refuses to start with a sentence.
//!
//! `LEASEHOLD_DAMAGE_BITS` and `LEASEHOLD_DAMAGE_PAGES` set the numbers of damages.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use leasehold_tests::client::{RawClient, number, token};
use leasehold_tests::data_dir::DataDir;
use leasehold_tests::http;
use leasehold_tests::log::log;
use leasehold_tests::rng::{Rng, random_u64};
use leasehold_tests::server::Server;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The flags of all servers of this test: sessions outlive it, and a loss is accepted quickly.
const FLAGS: [&str; 4] = ["--lease-ms", "60000", "--lease-max-ms", "60000"];

const PAGE: usize = 4_096;

/// What a server had acknowledged when it was killed.
#[derive(Debug, Default)]
struct Acknowledged {
    /// The lines of each file.
    lines: BTreeMap<String, Vec<String>>,
    clients: BTreeSet<String>,
    last_token: u64,
}

/// A data directory whose server was killed.
struct Killed {
    directory: TempDir,
    acknowledged: Acknowledged,
}

impl Killed {
    /// Runs a server under appends and kills it. Its log begins with a snapshot.
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let data = DataDir::new(&directory.path().join("original"));
        fs::create_dir_all(data.path().join("files")).unwrap();
        fs::write(data.file_path("older"), "older\n").unwrap();
        let flags = ["--lease-max-ms", "250", "--accept-data-loss"];
        assert_eq!(Server::start_in(data.path(), &flags).terminate().code(), Some(0));
        let mut server = Server::start_in(data.path(), &FLAGS);
        let address = server.udp();
        let is_over = AtomicBool::new(false);
        let is_over = &is_over;
        let mut acknowledged = Acknowledged::default();
        acknowledged.lines.insert("older".to_owned(), vec!["older".to_owned()]);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|client| scope.spawn(move || append_until(is_over, address, client)))
                .collect();
            thread::sleep(Duration::from_millis(700));
            server.process().signal(Signal::KILL);
            is_over.store(true, Ordering::Relaxed);
            for (client, thread) in clients.into_iter().enumerate() {
                let (lines, last_token) = thread.join().unwrap();
                acknowledged.last_token = acknowledged.last_token.max(last_token);
                acknowledged.clients.insert(format!("C{client}"));
                acknowledged.lines.insert(format!("f{client}"), lines);
            }
        });
        server.kill();
        let count: usize = acknowledged.lines.values().map(Vec::len).sum();
        log("damage", format_args!("{count} lines were acknowledged"));
        assert!(count > 20, "{count}");
        Self { directory, acknowledged }
    }

    fn original(&self) -> DataDir {
        DataDir::new(&self.directory.path().join("original"))
    }

    /// Starts a server on a damaged copy. Returns the sentence of its refusal, or none if it has
    /// everything that was acknowledged.
    #[track_caller]
    fn start_damaged(&self, description: &str, damage: impl FnOnce(&DataDir)) -> Option<String> {
        let copy = DataDir::new(&self.directory.path().join("copy"));
        self.original().copy_to(copy.path());
        damage(&copy);
        let result = Server::try_start_in(copy.path(), &FLAGS);
        let refusal = match result {
            Ok(mut server) => {
                let state = http::get(server.http(), "/api/state").json();
                self.acknowledged.check(&state["state"], &copy, description);
                server.kill();
                None
            }
            Err(output) => {
                let errors: Vec<&str> =
                    output.lines().filter(|line| line.contains("error:")).collect();
                assert_eq!(errors.len(), 1, "{description}: one sentence in\n{output}");
                assert!(!output.contains("panicked"), "{description}: {output}");
                Some(errors[0].to_owned())
            }
        };
        fs::remove_dir_all(copy.path()).unwrap();
        refusal
    }
}

/// Appends lines until the server no longer replies. Returns the acknowledged ones, and the last
/// token.
fn append_until(
    is_over: &AtomicBool,
    server: std::net::SocketAddr,
    client: usize,
) -> (Vec<String>, u64) {
    let file = format!("f{client}");
    let mut raw = RawClient::connect_with_lease(&format!("C{client}"), server, 60_000);
    let (mut lines, mut last_token) = (Vec::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let mut call = |op: &str, fields: Value| {
            let request = raw.request(op, &fields);
            raw.exchange_within(&request, Duration::from_millis(300))
        };
        let Some(granted) = call("acquire_lock", json!({"lock": file})) else { break };
        last_token = token(&granted);
        for _ in 0..3 {
            let line = format!("line {} under token {last_token}", lines.len());
            let fields = json!({"file": file, "token": last_token, "data": format!("{line}\n")});
            let Some(reply) = call("append_file", fields) else { return (lines, last_token) };
            assert!(number(&reply, "offset") < u64::MAX);
            lines.push(line);
        }
        if call("release_lock", json!({"lock": file, "token": last_token})).is_none() {
            break;
        }
    }
    (lines, last_token)
}

impl Acknowledged {
    /// Checks that a server has everything that was acknowledged, and at most one line per client
    /// more: that of the request whose reply the kill prevented.
    #[track_caller]
    fn check(&self, state: &Value, data: &DataDir, description: &str) {
        let last_token = state["last_token"].as_u64().unwrap();
        assert!(last_token >= self.last_token, "{description}: token {last_token}");
        let sessions = state["sessions"].as_object().unwrap();
        let clients = sessions.values().map(|it| it["client"].as_str().unwrap().to_owned());
        assert_eq!(clients.collect::<BTreeSet<_>>(), self.clients, "{description}");
        for (file, lines) in &self.lines {
            let contents = data.contents(file);
            let found: Vec<&str> = contents.lines().collect();
            assert!(found.len() <= lines.len() + 1, "{description}: {file}");
            assert_eq!(found[..lines.len().min(found.len())], lines[..], "{description}: {file}");
            assert_eq!(state["files"][file]["len"], contents.len(), "{description}: {file}");
        }
    }
}

/// Returns a random offset of a file; usually where it is not zero.
fn random_offset(rng: &mut Rng, path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len(), |last| last + 1);
    let limit = if rng.happens(800_000) { used } else { bytes.len() };
    usize::try_from(rng.below(limit as u64)).unwrap()
}

fn overwrite(path: &Path, offset: usize, change: impl FnOnce(&mut [u8])) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut bytes = vec![0; PAGE.min(len - offset)];
    file.read_exact_at(&mut bytes, offset as u64).unwrap();
    change(&mut bytes);
    file.write_all_at(&bytes, offset as u64).unwrap();
}

fn count(variable: &str, default: usize) -> usize {
    env::var(variable).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// Damages copies at random places, and logs what came of it.
fn damage_randomly(killed: &Killed, count: usize, is_page: bool) {
    let seed = random_u64();
    log("damage", format_args!("seed {seed}"));
    let mut rng = Rng::new(seed);
    let files = killed.original().all_files();
    let (mut refused, mut harmless) = (BTreeMap::new(), 0);
    for number in 0..count {
        let path = rng.choose(&files);
        let offset = random_offset(&mut rng, &path);
        let offset = if is_page { offset / PAGE * PAGE } else { offset };
        let bit = rng.below(8);
        let name = path.strip_prefix(killed.original().path()).unwrap().to_owned();
        let description = format!("damage {number} of {}, offset {offset}", name.display());
        let refusal = killed.start_damaged(&description, |copy| {
            overwrite(&copy.path().join(&name), offset, |bytes| {
                if is_page {
                    bytes.fill(0);
                } else {
                    bytes[0] ^= 1 << bit;
                }
            });
        });
        match refusal {
            Some(_) => *refused.entry(name).or_insert(0) += 1,
            None => harmless += 1,
        }
    }
    let kind = if is_page { "zeroed pages" } else { "flipped bits" };
    log("damage", format_args!("{count} {kind}: {harmless} harmless, refused: {refused:?}"));
}

#[test]
fn no_flipped_bit_is_silent() {
    damage_randomly(&Killed::new(), count("LEASEHOLD_DAMAGE_BITS", 40), false);
}

#[test]
fn no_zeroed_page_is_silent() {
    damage_randomly(&Killed::new(), count("LEASEHOLD_DAMAGE_PAGES", 15), true);
}

#[test]
fn each_missing_file_and_directory_is_refused_or_harmless() {
    let killed = Killed::new();
    let original = killed.original();
    let relative = |path: PathBuf| path.strip_prefix(original.path()).unwrap().to_owned();
    let mut paths: Vec<PathBuf> = original.all_files().into_iter().map(relative).collect();
    paths.extend([PathBuf::from("log"), PathBuf::from("files")]);
    let mut refused = Vec::new();
    for path in paths {
        let refusal = killed.start_damaged(&format!("{} missing", path.display()), |copy| {
            let path = copy.path().join(&path);
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
        });
        if let Some(sentence) = refusal {
            log("damage", format_args!("{} missing: {sentence}", path.display()));
            refused.push(path);
        }
    }
    for must_be_refused in ["log", "files", "files/older"] {
        assert!(refused.contains(&PathBuf::from(must_be_refused)), "{refused:?}");
    }
    assert_eq!(refused.iter().filter(|path| path.starts_with("log")).count(), 3, "{refused:?}");
    let only_files = killed.start_damaged("only the files are left", |copy| {
        fs::remove_dir_all(copy.log_path()).unwrap();
        fs::remove_file(copy.state_path()).unwrap();
    });
    assert!(only_files.is_some());
}

#[test]
fn each_file_of_an_older_copy_is_refused_or_harmless() {
    let killed = Killed::new();
    // The killed server is the older one. Every file of the newer one has changed since.
    let older = killed.directory.path().join("older");
    killed.original().copy_to(&older);
    let older = DataDir::new(&older);
    let mut server = Server::start_in(killed.original().path(), &FLAGS);
    let mut newest = RawClient::connect_with_lease("C9", server.udp(), 60_000);
    let granted = newest.append_under_lock("f9", "line 0\n");
    newest.append_under_lock("f9", "line 1\n");
    server.data_dir().expect_contents("f9", "line 0\nline 1\n");
    server.kill();
    let mut acknowledged = killed.acknowledged;
    acknowledged.clients.insert("C9".to_owned());
    acknowledged.lines.insert("f9".to_owned(), vec!["line 0".to_owned(), "line 1".to_owned()]);
    acknowledged.last_token = acknowledged.last_token.max(granted);
    // The restart may have found lines whose acknowledgement was lost.
    for (file, lines) in &mut acknowledged.lines {
        *lines = server.data_dir().contents(file).lines().map(str::to_owned).collect();
    }
    let killed = Killed { directory: killed.directory, acknowledged };
    let mut refused = Vec::new();
    for path in older.all_files() {
        let name = path.strip_prefix(older.path()).unwrap();
        let refusal = killed.start_damaged(&format!("an older {}", name.display()), |copy| {
            fs::copy(&path, copy.path().join(name)).unwrap();
        });
        if let Some(sentence) = refusal {
            log("damage", format_args!("older {}: {sentence}", name.display()));
            refused.push(name.to_owned());
        }
    }
    assert!(refused.iter().any(|name| name.starts_with("log")), "{refused:?}");
    for keeps_state_file in [true, false] {
        let refusal = killed.start_damaged("an older log", |copy| {
            fs::remove_dir_all(copy.log_path()).unwrap();
            DataDir::new(&older.log_path()).copy_to(&copy.log_path());
            if !keeps_state_file {
                fs::copy(older.state_path(), copy.state_path()).unwrap();
            }
        });
        assert!(refusal.is_some(), "with the state file: {keeps_state_file}");
    }
}
