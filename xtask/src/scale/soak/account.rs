//! What each client of a soak was told of its appends, and whether the files agree.
//!
//! - What was acknowledged is in its file once, at its place. What was refused is not there. What
//!   was never answered is there once or not at all. Nothing else is.
//! - Each line is `TOKEN CLIENT NUMBER`: tokens never go back, and neither do the numbers of a
//!   client.

use std::collections::BTreeMap;
use std::io::BufRead;

/// How many complaints are told in full.
const TOLD_MAX: usize = 10;

/// What became of one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Acknowledged, as the bytes from there on.
    Applied {
        file: u16,
        token: u64,
        offset: u64,
    },
    /// It was never known.
    Unknown {
        file: u16,
        token: u64,
    },
    Refused,
}

/// A client's appends, by their numbers.
pub(super) type Account = Vec<Fate>;

/// What the files say to the accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    accounts: Vec<Account>,
    seen: Vec<Vec<bool>>,
    /// Lines that were in the files.
    pub(super) lines: u64,
    /// Those of them that were never answered.
    pub(super) unanswered: u64,
    pub(super) complaints: u64,
    /// The first of them.
    pub(super) told: Vec<String>,
}

/// How the `number`-th line of a client reads.
pub(super) fn line(token: u64, client: u16, number: usize) -> String {
    format!("{token} {client} {number}\n")
}

impl Audit {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        let seen = accounts.iter().map(|account| vec![false; account.len()]).collect();
        Self { accounts, seen, ..Self::default() }
    }

    /// Reads a file to its end.
    pub(super) fn read(&mut self, file: u16, mut contents: impl BufRead) -> std::io::Result<()> {
        let (mut offset, mut last_token) = (0, 0);
        let mut last_numbers = BTreeMap::new();
        let mut bytes = Vec::new();
        while contents.read_until(b'\n', &mut bytes)? > 0 {
            self.lines += 1;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((token, client, number)) = parsed(&text) {
                if token < last_token {
                    self.complain(format!(
                        "file {file}, {offset}: token {token} after {last_token}"
                    ));
                }
                last_token = token;
                let last = last_numbers.insert(client, number);
                if last.is_some_and(|last| last >= number) {
                    self.complain(format!("file {file}, {offset}: out of order: {text:?}"));
                }
                self.look(file, offset, token, (client, number));
            } else {
                self.complain(format!("file {file}, {offset}: nobody sent {text:?}"));
            }
            offset += bytes.len() as u64;
            bytes.clear();
        }
        Ok(())
    }

    /// Looks for what was acknowledged and in none of the files.
    pub(super) fn finish(&mut self) {
        for client in 0..self.accounts.len() {
            for number in 0..self.accounts[client].len() {
                let fate = self.accounts[client][number];
                if matches!(fate, Fate::Applied { .. }) && !self.seen[client][number] {
                    self.complain(format!("lost: line {number} of client {client}, {fate:?}"));
                }
            }
        }
    }

    fn look(&mut self, file: u16, offset: u64, token: u64, (client, number): (usize, usize)) {
        let fate = self.accounts.get(client).and_then(|account| account.get(number).copied());
        let what = format!("file {file}, {offset}: line {number} of client {client}");
        match fate {
            None => return self.complain(format!("{what}: nobody sent it")),
            Some(Fate::Refused) => self.complain(format!("{what}: it was refused")),
            Some(Fate::Unknown { file: own, token: sent }) if (own, sent) != (file, token) => {
                self.complain(format!("{what}: it was for file {own}, under token {sent}"));
            }
            Some(Fate::Unknown { .. }) => self.unanswered += 1,
            Some(Fate::Applied { file: own, token: sent, offset: at }) => {
                if (own, sent, at) != (file, token, offset) {
                    self.complain(format!(
                        "{what}: it was acknowledged in file {own} at {at}, under token {sent}"
                    ));
                }
            }
        }
        if std::mem::replace(&mut self.seen[client][number], true) {
            self.complain(format!("{what}: it is there twice"));
        }
    }

    fn complain(&mut self, complaint: String) {
        self.complaints += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(complaint);
        }
    }
}

/// The token, the client and the number of a line, where it reads as one of ours to the byte.
fn parsed(text: &str) -> Option<(u64, usize, usize)> {
    let words: Vec<&str> = text.strip_suffix('\n')?.split(' ').collect();
    let [token, client, number] = words[..] else { return None };
    let (token, client, number): (u64, u16, usize) =
        (token.parse().ok()?, client.parse().ok()?, number.parse().ok()?);
    (line(token, client, number) == text).then_some((token, client.into(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clients and one file, of which the first line is at 0 and the third at 12.
    fn accounts() -> Vec<Account> {
        let applied = |token, offset| Fate::Applied { file: 0, token, offset };
        let unknown = Fate::Unknown { file: 0, token: 2 };
        vec![vec![applied(1, 0), Fate::Refused, applied(3, 12)], vec![unknown]]
    }

    const GOOD: &str = "1 0 0\n2 1 0\n3 0 2\n";

    #[track_caller]
    fn check(contents: &str, complaints: &[&str]) {
        let mut audit = Audit::new(accounts());
        audit.read(0, contents.as_bytes()).unwrap();
        audit.finish();
        let told = audit.told.join("\n");
        assert_eq!(audit.complaints == 0, complaints.is_empty(), "{told}");
        for complaint in complaints {
            assert!(told.contains(complaint), "no {complaint} in\n{told}");
        }
    }

    #[test]
    fn files_that_agree_are_right() {
        check(GOOD, &[]);
    }

    #[test]
    fn each_thing_that_can_be_wrong_is_noticed() {
        check("1 0 0\n2 1 0\n", &["lost: line 2 of client 0"]);
        check("2 1 0\n3 0 2\n", &["lost: line 0 of client 0"]);
        check(&format!("{GOOD}3 0 2\n"), &["it is there twice"]);
        check(&format!("{GOOD}4 1 7\n"), &["nobody sent it"]);
        check(&format!("{GOOD}4 9 0\n"), &["nobody sent it"]);
        check(&format!("{GOOD}junk\n"), &["nobody sent \"junk"]);
        check(&format!("{GOOD}4 0 1\n"), &["it was refused", "out of order"]);
        check("1 0 0\n3 1 0\n3 0 2\n", &["it was for file 0, under token 2"]);
        check("1 0 0\n2 1 0\n4 0 2\n", &["under token 3"]);
        check(&format!("{GOOD}4 1"), &["nobody sent \"4 1\""]);
        check("3 0 2\n1 0 0\n2 1 0\n", &["token 1 after 3", "it was acknowledged in file 0 at"]);
    }

    #[test]
    fn what_was_never_answered_may_be_missing() {
        let mut audit = Audit::new(vec![vec![Fate::Unknown { file: 0, token: 1 }]]);
        audit.finish();
        assert_eq!(audit.complaints, 0);
        audit.read(1, "1 0 0\n".as_bytes()).unwrap();
        assert_eq!(audit.complaints, 1, "it was for another file");
    }
}
