//! The mathematics of colours: contrast, differences, and how colours look to people with colour
//! blindness. Colours are in linear RGB.

#![allow(clippy::many_single_char_names, reason = "the names of the formulas")]

/// A colour in linear RGB, each channel from 0 to 1.
pub type Color = [f64; 3];

/// The transformations of linear RGB for normal, protanopic, deuteranopic and tritanopic vision.
/// Source: Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color
/// vision deficiency", IEEE TVCG 15(6), 2009, severity 1.
pub const VISIONS: [[[f64; 3]; 3]; 4] = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    [
        [0.152_286, 1.052_583, -0.204_868],
        [0.114_503, 0.786_281, 0.099_216],
        [-0.003_882, -0.048_116, 1.051_998],
    ],
    [
        [0.367_322, 0.860_646, -0.227_968],
        [0.280_085, 0.672_501, 0.047_413],
        [-0.011_820, 0.042_940, 0.968_881],
    ],
    [
        [1.255_528, -0.076_749, -0.178_779],
        [-0.078_411, 0.930_809, 0.147_602],
        [0.004_733, 0.691_367, 0.303_900],
    ],
];

/// Parses `#rrggbb`.
///
/// # Panics
///
/// If the text is not of this form.
pub fn from_hex(hex: &str) -> Color {
    let channel = |index: usize| {
        let digits = &hex[1 + 2 * index..3 + 2 * index];
        let share = f64::from(u8::from_str_radix(digits, 16).expect("two hex digits")) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    [channel(0), channel(1), channel(2)]
}

/// Formats a colour as `#rrggbb`.
pub fn to_hex(color: Color) -> String {
    let byte = |linear: f64| {
        let share = if linear <= 0.003_130_8 {
            linear * 12.92
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let byte = (share.clamp(0.0, 1.0) * 255.0).round() as u8;
        byte
    };
    let [r, g, b] = color.map(byte);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Returns the relative luminance, by WCAG 2.
pub fn luminance([r, g, b]: Color) -> f64 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Returns the contrast of two colours, by WCAG 2, from 1 to 21.
pub fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    if a > b { a / b } else { b / a }
}

/// Returns how a colour looks to one of the [`VISIONS`].
pub fn simulate(color: Color, vision: &[[f64; 3]; 3]) -> Color {
    vision.map(|row| {
        let sum = row[0] * color[0] + row[1] * color[1] + row[2] * color[2];
        sum.clamp(0.0, 1.0)
    })
}

/// Converts linear RGB to CIE L*a*b*, D65.
pub fn to_lab([r, g, b]: Color) -> [f64; 3] {
    let x = (0.412_456 * r + 0.357_576 * g + 0.180_438 * b) / 0.950_47;
    let y = 0.212_673 * r + 0.715_152 * g + 0.072_175 * b;
    let z = (0.019_334 * r + 0.119_192 * g + 0.950_304 * b) / 1.088_83;
    let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    [116.0 * f(y) - 16.0, 500.0 * (f(x) - f(y)), 200.0 * (f(y) - f(z))]
}

/// Returns the difference of two colours by CIEDE2000.
pub fn difference(one: Color, two: Color) -> f64 {
    lab_difference(to_lab(one), to_lab(two))
}

/// Returns the difference of two colours in CIE L*a*b* by CIEDE2000. Source: Sharma, Wu, Dalal,
/// "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005.
pub fn lab_difference([l1, a1, b1]: [f64; 3], [l2, a2, b2]: [f64; 3]) -> f64 {
    let seventh = |c: f64| (c.powi(7) / (c.powi(7) + 25_f64.powi(7))).sqrt();
    let mean = f64::midpoint(a1.hypot(b1), a2.hypot(b2));
    let stretch = 1.0 + 0.5 * (1.0 - seventh(mean));
    let (a1, a2) = (a1 * stretch, a2 * stretch);
    let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
    let hue = |a: f64, b: f64| b.atan2(a).to_degrees().rem_euclid(360.0);
    let (h1, h2) = (hue(a1, b1), hue(a2, b2));
    let turn = match h2 - h1 {
        turn if turn > 180.0 => turn - 360.0,
        turn if turn < -180.0 => turn + 360.0,
        turn => turn,
    };
    let (dl, dc) = (l2 - l1, c2 - c1);
    let dh = 2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin();
    let (l, c) = (f64::midpoint(l1, l2), f64::midpoint(c1, c2));
    let h = if (h1 - h2).abs() > 180.0 { (h1 + h2 + 360.0) / 2.0 } else { f64::midpoint(h1, h2) };
    let cos = |times: f64, off: f64| (times * h + off).to_radians().cos();
    let t = 1.0 - 0.17 * cos(1.0, -30.0) + 0.24 * cos(2.0, 0.0) + 0.32 * cos(3.0, 6.0)
        - 0.20 * cos(4.0, -63.0);
    let sl = 1.0 + 0.015 * (l - 50.0).powi(2) / (20.0 + (l - 50.0).powi(2)).sqrt();
    let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
    let bend = 30.0 * (-((h - 275.0) / 25.0).powi(2)).exp();
    let rt = -2.0 * seventh(c) * (2.0 * bend).to_radians().sin();
    let (l, c, h) = (dl / sl, dc / sc, dh / sh);
    (l * l + c * c + h * h + rt * c * h).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_agree_with_published_examples() {
        // Pure colours, whose difference is published with many implementations.
        let [red, green] = [from_hex("#ff0000"), from_hex("#00ff00")];
        assert!((difference(red, green) - 86.6).abs() < 0.1, "{}", difference(red, green));
        assert!(difference(red, red) < 1e-9);
        assert!((contrast(from_hex("#ffffff"), from_hex("#000000")) - 21.0).abs() < 1e-9);
        assert_eq!(to_hex(from_hex("#0c71e1")), "#0c71e1");
    }
}
