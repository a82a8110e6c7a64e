//! Lengths of time as people write them on a command line.

use std::time::Duration;

/// Units from the longest name to the shortest, so that none is taken for the end of another.
const UNITS: [(&str, f64); 3] = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];

/// The longest one: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// Reads `500ms`, `1.5s`, `2m`, or a number of seconds.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let found = UNITS.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit)?;
        Some((number, seconds))
    });
    let (number, unit) = found.unwrap_or((text, &1.0));
    let seconds = number.trim().parse::<f64>().ok().map(|number| number * unit);
    match seconds {
        Some(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        Some(_) | None => Err("a time is as 500ms, 2s or 1m, and at most a day".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_or_are_seconds() {
        let millis = |text| span(text).map(|it| it.as_millis());
        let known = [("500ms", 500), ("2s", 2_000), ("1.5", 1_500), ("1m", 60_000), ("0", 0)];
        for (text, expected) in known {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in ["", "s", "-1s", "2 hours", "NaN", "inf", "1e9"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
