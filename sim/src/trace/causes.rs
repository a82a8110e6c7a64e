//! The causes of a record, packed into six bytes because a long run has a million records.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RecordId;

/// The direct cause of a record, and one related earlier record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causes {
    direct: [u8; 3],
    related: [u8; 3],
}

impl Causes {
    /// No causes.
    pub const NONE: Self = Self::new([RecordId::NONE; 2]);

    /// The first record id that does not fit: causes must be smaller.
    pub const ID_LIMIT: RecordId = RecordId(OMITTED);

    /// Packs the direct cause and the related record. Ids from [`Causes::ID_LIMIT`] on are omitted.
    pub const fn new([direct, related]: [RecordId; 2]) -> Self {
        Self { direct: pack(direct), related: pack(related) }
    }

    /// Returns the record that directly caused this one.
    pub const fn direct(self) -> RecordId {
        unpack(self.direct)
    }

    /// Returns the related earlier record.
    pub const fn related(self) -> RecordId {
        unpack(self.related)
    }

    /// Returns both, the direct cause first.
    pub const fn both(self) -> [RecordId; 2] {
        [self.direct(), self.related()]
    }
}

const OMITTED: u32 = 0xff_ffff;

const fn pack(id: RecordId) -> [u8; 3] {
    let [a, b, c, _] = if id.0 < OMITTED { id.0 } else { OMITTED }.to_le_bytes();
    [a, b, c]
}

const fn unpack([a, b, c]: [u8; 3]) -> RecordId {
    match u32::from_le_bytes([a, b, c, 0]) {
        OMITTED => RecordId::NONE,
        id => RecordId(id),
    }
}

/// Omits trailing [`RecordId::NONE`]s.
impl Serialize for Causes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let causes @ [direct, related] = self.both();
        if related == RecordId::NONE {
            causes[..usize::from(direct != RecordId::NONE)].serialize(serializer)
        } else {
            // `null` keeps the related record in second position.
            let direct = (direct != RecordId::NONE).then_some(direct);
            (direct, related).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Causes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let causes = Vec::<Option<RecordId>>::deserialize(deserializer)?;
        if causes.iter().flatten().any(|it| *it >= Self::ID_LIMIT) {
            return Err(D::Error::custom("a cause is out of range"));
        }
        let cause = |index: usize| causes.get(index).copied().flatten().unwrap_or(RecordId::NONE);
        Ok(Self::new([cause(0), cause(1)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Record;

    #[test]
    fn causes_survive_packing_and_a_record_has_44_bytes() {
        for id in [RecordId(0), RecordId(1 << 20), RecordId(OMITTED - 1), RecordId::NONE] {
            let causes = Causes::new([id, RecordId(7)]);
            assert_eq!(causes.both(), [id, RecordId(7)]);
        }
        assert_eq!(Causes::new([RecordId(OMITTED); 2]), Causes::NONE);
        assert_eq!(size_of::<Record>(), 44);
    }
}
