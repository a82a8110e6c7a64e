//! Toggles the membership in a set.

use std::collections::BTreeSet;

/// Adds an element to a set, or removes it if the set contains it.
///
/// Builds a new set to remove the element: sets are small, and `BTreeSet::remove` compiles to
/// about 4 KB for each type of element.
pub(crate) fn toggle<T: Copy + Ord>(set: &mut BTreeSet<T>, element: T) {
    if !set.insert(element) {
        let previous = std::mem::take(set);
        set.extend(previous.into_iter().filter(|it| *it != element));
    }
}
