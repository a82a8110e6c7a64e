//! Texts in JSON, good ones and spoilt ones, read by both readers.

#![allow(unreachable_pub, reason = "what tests share is for nobody else")]

use std::fmt::Debug;

use leasehold_core::json;
use leasehold_core::rng::Rng;
use serde::de::DeserializeOwned;

/// What is put into a good text to spoil it, or not.
const SPOILS: &[u8] = b"{}[],:\"\\ \t\n0123456789-+.eEtfnulasx/\x01";

#[track_caller]
pub fn check<T: DeserializeOwned + PartialEq + Debug>(text: &str) -> bool {
    let ours: Result<T, _> = json::read(text);
    let theirs: Result<T, _> = serde_json::from_str(text);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{text}"),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{ours:?}, but {theirs:?}: {text}"),
    }
    ours.is_ok()
}

/// Checks a good text, and what becomes of it when a byte is put in, taken out, or another.
pub fn check_around<T: DeserializeOwned + PartialEq + Debug>(text: &str, seed: u64) {
    assert!(check::<T>(text), "{text}");
    let mut rng = Rng::new(seed);
    let place = |rng: &mut Rng, len: usize| usize::try_from(rng.below(len as u64)).unwrap();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..400 {
        let mut bytes = text.as_bytes().to_vec();
        let at = place(&mut rng, bytes.len());
        let spoil = SPOILS[place(&mut rng, SPOILS.len())];
        match rng.below(3) {
            0 => bytes[at] = spoil,
            1 => bytes.insert(at, spoil),
            _ => drop(bytes.remove(at)),
        }
        let Ok(text) = String::from_utf8(bytes) else { continue };
        *(if check::<T>(&text) { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 0 && bad > 0, "{good} good, {bad} bad");
}
