//! The glossary: the domain terms, each in two sentences. docs/concepts.md defines the same terms
//! in full; a test compares the two.

use std::ops::Range;

/// A term of the domain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) name: &'static str,
    /// What it means, in two sentences.
    pub(crate) meaning: &'static str,
    /// The words that stand for it in a sentence, in lower case and in the singular; the longest
    /// first.
    words: &'static [&'static str],
}

/// All terms, in alphabetical order.
pub(crate) const TERMS: &[Term] = &[
    Term {
        name: "Belief",
        meaning: "What a client may assume about its tenure: until when it holds the lock, \
                  measured on its own clock from the time it sent the request. It ends before \
                  the server's lease does, if the clocks are within the drift bound.",
        words: &["belief", "believe", "assume"],
    },
    Term {
        name: "Claim",
        meaning: "A sign of life after a grant from the wait queue: the server must hear from the \
                  client within 1.5 seconds. Otherwise the lock goes to the next waiter, because \
                  the client may have died while it waited.",
        words: &["claim"],
    },
    Term {
        name: "Deadlock",
        meaning: "Clients that each hold a lock and wait for one that another of them holds. Their \
                  heartbeats keep their leases, so none of them ever gets further.",
        words: &["deadlock"],
    },
    Term {
        name: "Drift bound",
        meaning: "The largest error of a clock's rate that the protocol tolerates, 1 %. A client \
                  shortens its belief by this much.",
        words: &["drift bound", "clock error", "drift"],
    },
    Term {
        name: "Event",
        meaning: "One thing that happened to the service, such as a grant or an append. Events \
                  are the only way to change the server's state, so replaying them restores it.",
        words: &["event"],
    },
    Term {
        name: "Fencing token",
        meaning: "A number that the server assigns to each tenure, larger than all before it. An \
                  append with the token of an earlier tenure is rejected, so a client that was \
                  paused or cut off cannot damage the file.",
        words: &["fencing token", "fencing", "token"],
    },
    Term {
        name: "Heartbeat",
        meaning: "A request whose only effect is to renew the lease. A client sends one whenever \
                  a third of the lease has passed, so two in a row may be lost.",
        words: &["heartbeat"],
    },
    Term {
        name: "Hold limit",
        meaning: "A time limit for one tenure, even if the client keeps renewing its lease. It \
                  frees the lock of a client whose heartbeats continue while its work is stuck.",
        words: &["hold limit"],
    },
    Term {
        name: "Idempotent retry",
        meaning: "A request may be sent any number of times and takes effect at most once. The \
                  server recognizes a duplicate by its sequence number and repeats the stored \
                  reply.",
        words: &["idempotent retry", "duplicate", "retry", "stored reply", "answered before"],
    },
    Term {
        name: "Invariant",
        meaning: "A statement that must hold in every state of every run. S1 to S8 say that \
                  something bad never happens, L1 and L2 that something good happens eventually.",
        words: &["invariant"],
    },
    Term {
        name: "Lease",
        meaning: "A promise with a time limit: until it expires, the server keeps the client's \
                  session and its locks. Each new request renews it; if the client falls silent, \
                  it expires and the locks become free.",
        words: &["lease"],
    },
    Term {
        name: "Lock",
        meaning: "A named right that at most one client holds at a time. The lock file_0 guards \
                  the file file_0: only its holder can append.",
        words: &["lock"],
    },
    Term {
        name: "Log index",
        meaning: "The position of an event in the history of the service. Indices increase by \
                  one, and none is used twice.",
        words: &["log index"],
    },
    Term {
        name: "Outbox",
        meaning: "Where replies wait until the events that they depend on are on disk. A reply is \
                  a promise, so it must not leave before that.",
        words: &["outbox"],
    },
    Term {
        name: "Poll",
        meaning: "A waiting client repeats its request about every half second. The server \
                  answers with the position in the queue, or with a grant whose reply was lost.",
        words: &["poll"],
    },
    Term {
        name: "Protection",
        meaning: "A mechanism that keeps an invariant. The simulator can disable it, to show what \
                  happens without it; a real server always has all of them.",
        words: &["protection"],
    },
    Term {
        name: "Scenario",
        meaning: "A simulated run with something to teach: clients, faults, stops, and a \
                  question. The answer is computed from the run.",
        words: &["scenario"],
    },
    Term {
        name: "Sequence number",
        meaning: "The number of a request within its session. A retry has the same number, so the \
                  server can distinguish it from a new request.",
        words: &["sequence number"],
    },
    Term {
        name: "Session",
        meaning: "The server's record of one client: its lease, its locks, and its latest \
                  replies. When the session ends, all its locks are released.",
        words: &["session"],
    },
    Term {
        name: "Session key",
        meaning: "A secret number that the server returns when a session opens. A datagram with \
                  this key acts for the session, so the key is never logged or shown.",
        words: &["session key"],
    },
    Term {
        name: "Silent waiter",
        meaning: "A waiting client from which the server has not heard for 1.5 seconds. It keeps \
                  its position in the queue, but a free lock goes to the next one.",
        words: &["silent waiter"],
    },
    Term {
        name: "Snapshot",
        meaning: "The whole state at one log index. It replaces all earlier events, so the log \
                  stays short and a restart is fast.",
        words: &["snapshot", "checkpoint"],
    },
    Term {
        name: "Storm",
        meaning: "A run with random faults, which a seed determines completely. First every \
                  safety invariant must hold; then the faults stop, and every client must be \
                  served.",
        words: &["storm"],
    },
    Term {
        name: "Tenure",
        meaning: "One client's uninterrupted holding of one lock, from the grant to the release \
                  or the expiry. Each tenure has its own fencing token.",
        words: &["tenure"],
    },
    Term {
        name: "Wait queue",
        meaning: "The requests that wait for a lock, in order of arrival. When the lock becomes \
                  free, it goes at once to the first waiter that is not silent.",
        words: &["wait queue", "queue", "waiter"],
    },
    Term {
        name: "Write-ahead log",
        meaning: "The file with all events since the last snapshot. The server appends to it and \
                  flushes it to disk before it sends any reply that depends on them.",
        words: &["write-ahead log", "on disk", "durable"],
    },
];

impl Term {
    /// Returns the term with this name.
    pub(crate) fn from_name(name: &str) -> Option<&'static Self> {
        TERMS.iter().find(|term| term.name == name)
    }

    /// Returns the id of its entry in the glossary.
    pub(crate) fn id(&self) -> String {
        format!("term-{}", self.name.to_ascii_lowercase().replace(' ', "-"))
    }
}

/// A part of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) text: &'a str,
    /// The term that the text stands for.
    pub(crate) term: Option<&'static Term>,
}

/// Splits a sentence at the terms in it. Only the first occurrence of each term counts.
pub(crate) fn split_at_terms(sentence: &str) -> Vec<Segment<'_>> {
    let lower_case = sentence.to_ascii_lowercase();
    let mut found: Vec<(Range<usize>, &'static Term)> = Vec::new();
    let mut words: Vec<(&str, &'static Term)> =
        TERMS.iter().flat_map(|term| term.words.iter().map(move |word| (*word, term))).collect();
    // The longest first.
    words.sort_by_cached_key(|(word, _)| u64::MAX - word.len() as u64);
    for (word, term) in words {
        if found.iter().any(|(_, known)| *known == term) {
            continue;
        }
        let mut ranges = lower_case.match_indices(word).map(|(at, _)| at..at + word.len());
        let range = ranges.find_map(|range| whole_word(&lower_case, range));
        let is_free = |range: &Range<usize>| {
            found.iter().all(|(other, _)| range.end <= other.start || other.end <= range.start)
        };
        found.extend(range.filter(is_free).map(|range| (range, term)));
    }
    found.sort_by_cached_key(|(range, _)| range.start as u64);
    let mut segments = Vec::new();
    let mut done = 0;
    for (range, term) in found {
        segments.push(Segment { text: &sentence[done..range.start], term: None });
        done = range.end;
        segments.push(Segment { text: &sentence[range], term: Some(term) });
    }
    segments.push(Segment { text: &sentence[done..], term: None });
    segments.retain(|segment| !segment.text.is_empty());
    segments
}

/// Returns the range, with the ending of the plural or of a verb, if it is a whole word.
fn whole_word(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'#');
    let bytes = text.as_bytes();
    if range.start.checked_sub(1).is_some_and(|before| is_word(bytes[before])) {
        return None;
    }
    let plural = bytes.get(range.end) == Some(&b's');
    let end = range.end + usize::from(plural);
    (!bytes.get(end).copied().is_some_and(is_word)).then_some(range.start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The domain terms of the project's style guide.
    const DOMAIN_TERMS: [&str; 13] = [
        "session",
        "lease",
        "lock",
        "tenure",
        "fencing token",
        "wait queue",
        "belief",
        "hold limit",
        "outbox",
        "storm",
        "scenario",
        "invariant",
        "protection",
    ];

    #[test]
    fn glossary_contains_the_domain_terms() {
        for name in DOMAIN_TERMS {
            assert!(TERMS.iter().any(|term| term.name.eq_ignore_ascii_case(name)), "{name}");
        }
        assert!(TERMS.is_sorted_by_key(|term| term.name.to_ascii_lowercase()));
    }

    #[test]
    fn concepts_document_defines_the_same_terms() {
        let document = include_str!("../../../docs/concepts.md");
        let defined: BTreeSet<&str> =
            document.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let listed: BTreeSet<&str> = TERMS.iter().map(|term| term.name).collect();
        assert_eq!(listed, defined);
    }

    #[test]
    fn each_meaning_is_two_sentences() {
        for term in TERMS {
            let ends = term.meaning.matches(". ").count() + 1;
            assert!(ends == 2 && term.meaning.ends_with('.'), "{}: {}", term.name, term.meaning);
            assert!(term.meaning.len() < 230, "{}", term.name);
        }
    }

    #[test]
    fn terms_in_a_sentence_are_found_once_and_whole() {
        let terms = |sentence: &'static str| -> Vec<(&str, &str)> {
            let segments = split_at_terms(sentence);
            let joined: String = segments.iter().map(|segment| segment.text).collect();
            assert_eq!(joined, sentence);
            segments.into_iter().filter_map(|it| Some((it.text, it.term?.name))).collect()
        };
        assert_eq!(
            terms("client_1's lease expired, and client_2 was first in the wait queue"),
            [("lease", "Lease"), ("wait queue", "Wait queue")]
        );
        assert_eq!(
            terms("Tokens are not checked: token 1 is older than token 2"),
            [("Tokens", "Fencing token")]
        );
        assert_eq!(terms("the deadlocked clients unlock file_lock"), []);
        assert_eq!(terms(""), []);
    }
}
