//! The colours of the page, read from its design tokens: text and symbols have enough contrast with
//! their background, and the hues of the clients differ from each other and from red for every kind
//! of colour vision, in both themes.

use std::fs;
use std::path::Path;

use leasehold_tests::color::{Color, VISIONS, contrast, difference, from_hex, simulate};

/// The least contrast of text and symbols, by WCAG 2.
const CONTRAST_MIN: f64 = 4.5;

/// The least difference between two hues by CIEDE2000, for colour blindness in the light and the
/// dark theme. The number doubles the hue everywhere.
const DIFFERENCE_MIN: [f64; 2] = [7.0, 9.5];

/// The least difference for normal vision.
const DIFFERENCE_MIN_NORMAL: [f64; 2] = [11.7, 15.9];

/// The hues of the clients, what has none, and red.
const HUES: [&str; 10] = [
    "client-1",
    "client-2",
    "client-3",
    "client-4",
    "client-5",
    "client-6",
    "client-7",
    "client-8",
    "client-other",
    "reject",
];

/// Returns the colours of a token in the light and the dark theme, in linear RGB.
fn token(name: &str) -> [Color; 2] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/style/tokens.css");
    let css = fs::read_to_string(path).expect("the design tokens of the page");
    let line = css.lines().find(|line| line.trim_start().starts_with(&format!("--{name}:")));
    let line = line.unwrap_or_else(|| panic!("no token {name}"));
    let both = line.split("light-dark(").nth(1).and_then(|it| it.split(')').next());
    let (light, dark) = both.and_then(|it| it.split_once(',')).expect("light-dark(…, …)");
    [from_hex(light.trim()), from_hex(dark.trim())]
}

#[test]
fn text_and_symbols_have_enough_contrast_with_their_background() {
    let text = ["ink", "ink-soft", "accent-text"];
    for theme in 0..2 {
        let check = |name: &str, ground: &str| {
            let found = contrast(token(name)[theme], token(ground)[theme]);
            assert!(found >= CONTRAST_MIN, "{name} on {ground}, theme {theme}: {found:.2}");
        };
        for ground in ["surface", "accent-soft", "reject-soft", "frost"] {
            text.iter().chain(&HUES).for_each(|name| check(name, ground));
        }
        for ground in ["ground", "raised"] {
            ["ink", "ink-soft"].iter().chain(&HUES).for_each(|name| check(name, ground));
        }
        // Text on a filled bar.
        HUES[..9].iter().for_each(|name| check("on-client", name));
        check("on-accent", "accent");
    }
}

#[test]
fn hues_of_clients_differ_from_each_other_and_from_red_for_every_kind_of_vision() {
    for (theme, (least_normal, least_of_theme)) in
        DIFFERENCE_MIN_NORMAL.iter().zip(DIFFERENCE_MIN).enumerate()
    {
        for (kind, vision) in VISIONS.iter().enumerate() {
            let least = if kind == 0 { *least_normal } else { least_of_theme };
            for (index, first) in HUES.iter().enumerate() {
                for second in &HUES[..index] {
                    let colors = [first, second].map(|name| simulate(token(name)[theme], vision));
                    let found = difference(colors[0], colors[1]);
                    // What has no hue only has to look different from what has one.
                    let is_neutral = [first, second].iter().any(|it| **it == "client-other");
                    let least = if is_neutral && kind == 0 { least_of_theme } else { least };
                    let what = format!("{first} and {second}, theme {theme}, vision {kind}");
                    assert!(found >= least - 0.05, "{what}: {found:.1}");
                }
            }
        }
    }
}
