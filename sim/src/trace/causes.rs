//! What a record rests on, in six bytes: in a long run there are a million of them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RecordNo;

/// What led to a record directly, and what else it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causes {
    direct: [u8; 3],
    also: [u8; 3],
}

impl Causes {
    /// Nothing led to it.
    pub const NONE: Self = Self::new([RecordNo::NONE; 2]);

    /// The first record that can't be one.
    pub const END: RecordNo = RecordNo(LEFT_OUT);

    /// The direct one, and the other. One from [`Causes::END`] on is left out.
    pub const fn new([direct, also]: [RecordNo; 2]) -> Self {
        Self { direct: pack(direct), also: pack(also) }
    }

    /// What led to it directly.
    pub const fn direct(self) -> RecordNo {
        unpack(self.direct)
    }

    /// What else it rests on.
    pub const fn also(self) -> RecordNo {
        unpack(self.also)
    }

    /// Both, the direct one first.
    pub const fn both(self) -> [RecordNo; 2] {
        [self.direct(), self.also()]
    }
}

const LEFT_OUT: u32 = 0xff_ffff;

const fn pack(no: RecordNo) -> [u8; 3] {
    let [a, b, c, _] = if no.0 < LEFT_OUT { no.0 } else { LEFT_OUT }.to_le_bytes();
    [a, b, c]
}

const fn unpack([a, b, c]: [u8; 3]) -> RecordNo {
    match u32::from_le_bytes([a, b, c, 0]) {
        LEFT_OUT => RecordNo::NONE,
        no => RecordNo(no),
    }
}

/// Only the causes that there are are written.
impl Serialize for Causes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let causes @ [direct, also] = self.both();
        if also == RecordNo::NONE {
            causes[..usize::from(direct != RecordNo::NONE)].serialize(serializer)
        } else {
            // Without a direct one the place of the other tells them apart.
            let direct = (direct != RecordNo::NONE).then_some(direct);
            (direct, also).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Causes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let causes = Vec::<Option<RecordNo>>::deserialize(deserializer)?;
        if causes.iter().flatten().any(|it| *it >= Self::END) {
            return Err(D::Error::custom("a cause is out of range"));
        }
        let cause = |index: usize| causes.get(index).copied().flatten().unwrap_or(RecordNo::NONE);
        Ok(Self::new([cause(0), cause(1)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Record;

    #[test]
    fn causes_are_what_they_were_and_records_small() {
        for no in [RecordNo(0), RecordNo(1 << 20), RecordNo(LEFT_OUT - 1), RecordNo::NONE] {
            let causes = Causes::new([no, RecordNo(7)]);
            assert_eq!(causes.both(), [no, RecordNo(7)]);
        }
        assert_eq!(Causes::new([RecordNo(LEFT_OUT); 2]), Causes::NONE);
        assert_eq!(size_of::<Record>(), 44);
    }
}
