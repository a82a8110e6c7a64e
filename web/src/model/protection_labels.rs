//! How the page names protections, and in which order. Each has a number that never changes, and
//! the number is its key.

use std::collections::BTreeSet;

use leasehold_sim::Protection;

use super::shortcuts::{protection_key, protection_number};

/// A protection, as the header and the menu show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProtectionLabel {
    pub(crate) protection: Protection,
    /// The number, from 1.
    pub(crate) number: usize,
    /// The name as a label, such as `Holder check`.
    pub(crate) name: String,
    /// What it does, as a sentence with a full stop.
    pub(crate) sentence: String,
    pub(crate) is_on: bool,
    /// The key that switches it, such as `Shift 1`.
    pub(crate) key: String,
    /// Whether the scenario is about it.
    pub(crate) is_own: bool,
}

/// Returns all protections in the order of their numbers.
pub(crate) fn protection_labels(
    without: &BTreeSet<Protection>,
    switches: &[Protection],
) -> Vec<ProtectionLabel> {
    let label = |protection: Protection| ProtectionLabel {
        protection,
        number: protection_number(protection),
        key: protection_key(protection),
        name: capitalized(&protection.name().replace('-', " ")),
        sentence: format!("{}.", capitalized(protection.sentence())),
        is_on: !without.contains(&protection),
        is_own: switches.contains(&protection),
    };
    Protection::ALL.into_iter().map(label).collect()
}

/// Returns the sentence with its first letter capitalized. The sentences of this project begin with
/// ASCII letters, so the page does not need the Unicode tables.
pub(crate) fn capitalized(sentence: &str) -> String {
    let mut sentence = sentence.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::library;

    #[test]
    fn numbers_are_the_same_in_every_scenario() {
        let numbers = |switches: &[Protection]| -> Vec<(usize, Protection)> {
            let labels = protection_labels(&BTreeSet::new(), switches);
            labels.iter().map(|label| (label.number, label.protection)).collect()
        };
        for scenario in library() {
            assert_eq!(numbers(&scenario.switches), numbers(&[]), "{}", scenario.name);
        }
        assert_eq!(numbers(&[])[0], (1, Protection::Fencing));
    }

    #[test]
    fn labels_are_in_words() {
        let labels = protection_labels(&[Protection::HolderCheck].into(), &[]);
        let label = &labels[2];
        assert_eq!((label.name.as_str(), label.is_on), ("Holder check", false));
        assert_eq!((label.number, label.key.as_str()), (3, "Shift 3"));
        assert_eq!(label.sentence, "Only the holder can release a lock.");
    }
}
