//! Turns and distances. The library's sine is exact for angles beyond all measure, and its tables
//! would weigh more than all that is drawn with it; here a turn is less than one.

use std::f64::consts::FRAC_PI_2;

/// Cosine and sine of this share of a whole turn, to eight digits.
pub(crate) fn cos_sin(fraction: f64) -> (f64, f64) {
    let quarters = (fraction - fraction.floor()) * 4.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 4")]
    let nearest = (quarters + 0.5) as u8;
    let x = (quarters - f64::from(nearest)) * FRAC_PI_2;
    let square = x * x;
    // The series, each term by the one before it.
    let sine = 1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0));
    let sine = x * (1.0 - square / 6.0 * sine);
    let cosine = 1.0 - square / 30.0 * (1.0 - square / 56.0 * (1.0 - square / 90.0));
    let cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * cosine);
    match nearest {
        1 => (-sine, cosine),
        2 => (-cosine, -sine),
        3 => (sine, -cosine),
        _ => (cosine, sine),
    }
}

/// How long a way is that leads so far across and so far down.
pub(crate) fn distance((dx, dy): (f64, f64)) -> f64 {
    (dx * dx + dy * dy).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cos_sin_matches_the_standard_library() {
        for step in -40..=80 {
            let fraction = f64::from(step) / 37.0;
            let (sine, cosine) = (fraction * std::f64::consts::TAU).sin_cos();
            let (x, y) = cos_sin(fraction);
            assert!((x - cosine).abs() < 1e-8 && (y - sine).abs() < 1e-8, "{fraction}: {x} {y}");
        }
        assert!((distance((3.0, -4.0)) - 5.0).abs() < f64::EPSILON);
    }
}
