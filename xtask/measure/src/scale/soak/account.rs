//! Compares the replies that the clients of a soak have received with the content of the files.
//!
//! - An acknowledged line is in its file once, at its offset. A refused line is in no file. A line
//!   without a reply is in its file at most once. The files contain nothing else.
//! - Each line is `TOKEN CLIENT NUMBER`. In every file, neither the tokens nor the numbers of a
//!   client decrease.

use std::collections::BTreeMap;
use std::io::BufRead;

/// How many violations are described; the others are only counted.
const DESCRIBED_MAX: usize = 10;

/// The outcome of an append, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has acknowledged the append at this offset.
    Applied {
        file: u16,
        token: u64,
        offset: u64,
    },
    /// The client has received no reply that settles it.
    Unknown {
        file: u16,
        token: u64,
    },
    Refused,
}

/// The outcomes of a client's appends, by their numbers.
pub(super) type Account = Vec<Outcome>;

/// The result of the comparison.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    accounts: Vec<Account>,
    found: Vec<Vec<bool>>,
    /// The number of lines in all files.
    pub(super) lines: u64,
    /// The number of lines whose clients have received no reply.
    pub(super) unconfirmed: u64,
    pub(super) violations: u64,
    /// The first violations.
    pub(super) descriptions: Vec<String>,
}

/// Formats the `number`-th line of a client.
pub(super) fn format_line(token: u64, client: u16, number: usize) -> String {
    format!("{token} {client} {number}\n")
}

impl Audit {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        let found = accounts.iter().map(|account| vec![false; account.len()]).collect();
        Self { accounts, found, ..Self::default() }
    }

    /// Checks all lines of a file.
    pub(super) fn read(&mut self, file: u16, mut contents: impl BufRead) -> std::io::Result<()> {
        let (mut offset, mut last_token) = (0, 0);
        let mut last_numbers = BTreeMap::new();
        let mut bytes = Vec::new();
        while contents.read_until(b'\n', &mut bytes)? > 0 {
            self.lines += 1;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((token, client, number)) = parse_line(&text) {
                if token < last_token {
                    self.report(format!("file {file}, {offset}: token {token} after {last_token}"));
                }
                last_token = token;
                let last = last_numbers.insert(client, number);
                if last.is_some_and(|last| last >= number) {
                    self.report(format!("file {file}, {offset}: out of order: {text:?}"));
                }
                self.check(file, offset, token, (client, number));
            } else {
                self.report(format!("file {file}, {offset}: no client has sent {text:?}"));
            }
            offset += bytes.len() as u64;
            bytes.clear();
        }
        Ok(())
    }

    /// Reports acknowledged lines that are in none of the files.
    pub(super) fn finish(&mut self) {
        for client in 0..self.accounts.len() {
            for number in 0..self.accounts[client].len() {
                let outcome = self.accounts[client][number];
                if matches!(outcome, Outcome::Applied { .. }) && !self.found[client][number] {
                    self.report(format!("lost: line {number} of client {client}, {outcome:?}"));
                }
            }
        }
    }

    fn check(&mut self, file: u16, offset: u64, token: u64, (client, number): (usize, usize)) {
        let outcome = self.accounts.get(client).and_then(|account| account.get(number).copied());
        let line = format!("file {file}, {offset}: line {number} of client {client}");
        match outcome {
            None => return self.report(format!("{line}: no client has sent it")),
            Some(Outcome::Refused) => self.report(format!("{line}: it was refused")),
            Some(Outcome::Unknown { file: own, token: sent }) if (own, sent) != (file, token) => {
                self.report(format!("{line}: it was sent to file {own} with token {sent}"));
            }
            Some(Outcome::Unknown { .. }) => self.unconfirmed += 1,
            Some(Outcome::Applied { file: own, token: sent, offset: at }) => {
                if (own, sent, at) != (file, token, offset) {
                    self.report(format!(
                        "{line}: it was acknowledged in file {own} at {at} with token {sent}"
                    ));
                }
            }
        }
        if std::mem::replace(&mut self.found[client][number], true) {
            self.report(format!("{line}: it is a duplicate"));
        }
    }

    fn report(&mut self, violation: String) {
        self.violations += 1;
        if self.descriptions.len() < DESCRIBED_MAX {
            self.descriptions.push(violation);
        }
    }
}

/// Returns the token, the client and the number of a line, or `None` if no client can have sent it.
fn parse_line(text: &str) -> Option<(u64, usize, usize)> {
    let words: Vec<&str> = text.strip_suffix('\n')?.split(' ').collect();
    let [token, client, number] = words[..] else { return None };
    let (token, client, number): (u64, u16, usize) =
        (token.parse().ok()?, client.parse().ok()?, number.parse().ok()?);
    (format_line(token, client, number) == text).then_some((token, client.into(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clients and one file. Its first line is at offset 0, and its third at 12.
    fn accounts() -> Vec<Account> {
        let applied = |token, offset| Outcome::Applied { file: 0, token, offset };
        let unknown = Outcome::Unknown { file: 0, token: 2 };
        vec![vec![applied(1, 0), Outcome::Refused, applied(3, 12)], vec![unknown]]
    }

    const CORRECT: &str = "1 0 0\n2 1 0\n3 0 2\n";

    #[track_caller]
    fn check(contents: &str, violations: &[&str]) {
        let mut audit = Audit::new(accounts());
        audit.read(0, contents.as_bytes()).unwrap();
        audit.finish();
        let text = audit.descriptions.join("\n");
        assert_eq!(audit.violations == 0, violations.is_empty(), "{text}");
        for violation in violations {
            assert!(text.contains(violation), "no {violation} in\n{text}");
        }
    }

    #[test]
    fn correct_files_have_no_violations() {
        check(CORRECT, &[]);
    }

    #[test]
    fn each_kind_of_violation_is_detected() {
        check("1 0 0\n2 1 0\n", &["lost: line 2 of client 0"]);
        check("2 1 0\n3 0 2\n", &["lost: line 0 of client 0"]);
        check(&format!("{CORRECT}3 0 2\n"), &["it is a duplicate"]);
        check(&format!("{CORRECT}4 1 7\n"), &["no client has sent it"]);
        check(&format!("{CORRECT}4 9 0\n"), &["no client has sent it"]);
        check(&format!("{CORRECT}junk\n"), &["no client has sent \"junk"]);
        check(&format!("{CORRECT}4 0 1\n"), &["it was refused", "out of order"]);
        check("1 0 0\n3 1 0\n3 0 2\n", &["it was sent to file 0 with token 2"]);
        check("1 0 0\n2 1 0\n4 0 2\n", &["with token 3"]);
        check(&format!("{CORRECT}4 1"), &["no client has sent \"4 1\""]);
        check("3 0 2\n1 0 0\n2 1 0\n", &["token 1 after 3", "it was acknowledged in file 0 at"]);
    }

    #[test]
    fn a_line_without_a_reply_may_be_missing() {
        let mut audit = Audit::new(vec![vec![Outcome::Unknown { file: 0, token: 1 }]]);
        audit.finish();
        assert_eq!(audit.violations, 0);
        audit.read(1, "1 0 0\n".as_bytes()).unwrap();
        assert_eq!(audit.violations, 1, "it was sent to another file");
    }
}
