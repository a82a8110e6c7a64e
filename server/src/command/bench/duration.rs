//! Durations on the command line.

use std::time::Duration;

/// The units. "ms" precedes "s" because it ends with it.
const UNITS: [(&str, f64); 3] = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];

/// The longest duration: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// Parses `500ms`, `1.5s`, `2m`, or a number of seconds.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
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
        Some(_) | None => {
            Err("a duration is a number with a unit, such as 500ms, 2s or 1m, and at most a day"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_unit_is_in_seconds() {
        let millis = |text| parse_duration(text).map(|it| it.as_millis());
        let known = [("500ms", 500), ("2s", 2_000), ("1.5", 1_500), ("1m", 60_000), ("0", 0)];
        for (text, expected) in known {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in ["", "s", "-1s", "2 hours", "NaN", "inf", "1e9"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
