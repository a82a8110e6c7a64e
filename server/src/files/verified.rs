//! A cache of file names that were verified since the directory last changed.
//!
//! A directory's change time (`ctime`, which no program can set) advances whenever an entry is
//! created, removed or renamed, so verified names stay valid while it does not change. Timestamps
//! are coarse: while the last change is so recent that another one could have the same time,
//! nothing is cached.
//!
//! Whether a file can be opened may change without the directory, for example through its mode.
//! Then the first append waits until the file can be written, and the next ones are refused.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use leasehold_core::id::Name;

/// Two changes of a directory that are further apart than this have different times: the coarsest
/// file systems count in steps of two seconds.
const CTIME_GRANULARITY: Duration = Duration::from_millis(2_100);

/// The maximum number of cached names.
const NAMES_MAX: usize = 4_096;

/// The verified names.
#[derive(Debug, Default)]
pub(super) struct VerifiedNames {
    /// The directory's change time: seconds and nanoseconds.
    dir_ctime: Option<(i64, i64)>,
    /// Whether another change would have a different time.
    is_stable: bool,
    names: BTreeSet<Name>,
}

impl VerifiedNames {
    /// Clears the cache if the directory has changed.
    pub(super) fn refresh(&mut self, dir: &File) {
        let ctime = dir.metadata().ok().map(|metadata| (metadata.ctime(), metadata.ctime_nsec()));
        self.update(ctime, SystemTime::now());
    }

    fn update(&mut self, ctime: Option<(i64, i64)>, now: SystemTime) {
        if ctime.is_none() || ctime != self.dir_ctime {
            self.names.clear();
            self.dir_ctime = ctime;
            self.is_stable = false;
        }
        if !self.is_stable
            && let Some((seconds, nanos)) = ctime
        {
            let changed_at =
                Duration::new(seconds.unsigned_abs(), u32::try_from(nanos).unwrap_or(0));
            let age = now.duration_since(SystemTime::UNIX_EPOCH + changed_at);
            self.is_stable = seconds >= 0 && age.is_ok_and(|age| age > CTIME_GRANULARITY);
        }
    }

    /// Returns whether the name was verified and cannot have changed since.
    pub(super) fn contains(&self, name: &Name) -> bool {
        self.names.contains(name)
    }

    /// Caches a name that has just been verified, if later changes can be detected.
    pub(super) fn insert(&mut self, name: &Name) {
        if !self.is_stable {
            return;
        }
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cached_only_while_no_change_can_go_unnoticed() {
        let name = Name::new("a").unwrap();
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let mut verified = VerifiedNames::default();
        for (ctime, now, is_cached) in [
            (Some((5, 0)), 5_000, false),
            (Some((5, 0)), 7_100, false),
            (Some((5, 0)), 7_101, true),
            // A wall clock that is set back changes nothing in the directory.
            (Some((5, 0)), 1_000, true),
            (Some((5, 40_000_000)), 7_102, false),
            (Some((5, 40_000_000)), 7_200, true),
            (None, 7_300, false),
            (Some((9, 0)), 8_000, false),
            (Some((-1, 0)), 8_000, false),
        ] {
            verified.update(ctime, at(now));
            verified.insert(&name);
            assert_eq!(verified.contains(&name), is_cached, "{ctime:?} at {now}");
        }
        verified.update(Some((9, 0)), at(12_000));
        for number in 0..=NAMES_MAX {
            verified.insert(&Name::new(&format!("f{number}")).unwrap());
        }
        assert_eq!(verified.names.len(), 1, "the cache is limited");
    }
}
