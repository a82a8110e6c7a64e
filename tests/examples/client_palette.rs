//! Searches for the colours of clients: eight hues for each theme that stay apart from each other,
//! from the red of what is wrong, from the neutral fill and from ink, for every kind of colour
//! vision.
//!
//! Run with `cargo run --release -p leasehold-tests --example client_palette`. It prints the tokens
//! for `web/style/tokens.css`; the test `palette` checks the result.

use leasehold_tests::color::{
    Color, VISIONS, contrast, from_hex, lab_difference, simulate, to_hex, to_lab,
};
use leasehold_tests::rng::Rng;

/// The number of hues.
const HUES: usize = 8;

/// The least contrast of a hue with each background, and with the text on a bar that it fills.
const CONTRAST_MIN: f64 = 4.6;

/// The hue angles in CIE L*a*b*, in the order of the clients: each has a name of its own (blue,
/// orange, teal, purple, green, pink, olive, sky), so that a lecturer can name it.
const HUE_ANGLES: [f64; HUES] = [288.0, 68.0, 185.0, 314.0, 138.0, 348.0, 102.0, 250.0];

/// The largest distance of a hue from its angle, in degrees.
const HUE_SHIFT_MAX: f64 = 16.0;

/// Normal vision tells more colours apart, so that the hues shall differ more for it.
const NORMAL_WEIGHT: f64 = 0.6;

/// Palettes with a smaller least difference are not of interest.
const DIFFERENCE_MIN: f64 = 6.0;

/// The steps of one run of simulated annealing, and the number of runs.
const STEPS: usize = 60_000;
const RUNS: u64 = 6;

struct Theme {
    name: &'static str,
    /// The backgrounds of text in a client's colour.
    grounds: &'static [&'static str],
    /// The text on a bar that has a client's colour.
    on_fill: &'static str,
    /// What the hues must stay apart from: red, the neutral fill, ink.
    others: [&'static str; 3],
    /// The least lightness of each hue, and the largest of all.
    lightness: ([f64; HUES], f64),
    /// The least chroma of each hue: the first clients, which most runs have, are vivid.
    chroma_min: [f64; HUES],
}

const THEMES: [Theme; 2] = [
    Theme {
        name: "light",
        grounds: &["#ffffff", "#f4f5f8", "#fdeaed", "#e7f1fd", "#eef1f6"],
        on_fill: "#ffffff",
        others: ["#c8102e", "#5f6673", "#11151c"],
        lightness: ([34.0, 35.0, 30.0, 36.0, 28.0, 28.0, 28.0, 28.0], 60.0),
        chroma_min: [70.0, 48.0, 33.0, 60.0, 36.0, 45.0, 36.0, 32.0],
    },
    Theme {
        name: "dark",
        grounds: &["#0f172a", "#0a101e", "#17213a", "#2a0f19", "#0a152e", "#151e35"],
        on_fill: "#06101f",
        others: ["#ff5a5f", "#98a2b5", "#e8ecf4"],
        lightness: ([55.0; HUES], 88.0),
        chroma_min: [45.0, 60.0, 40.0, 45.0, 40.0, 38.0, 55.0, 30.0],
    },
];

/// The seen colours: CIE L*a*b* for each kind of colour vision.
type Seen = [[f64; 3]; 4];

#[derive(Clone, Copy)]
struct Candidate {
    color: Color,
    seen: Seen,
    lightness: f64,
    hue: f64,
    chroma: f64,
    /// The least difference to what the hues must stay apart from.
    to_others: f64,
}

fn see(color: Color) -> Seen {
    VISIONS.map(|vision| to_lab(simulate(color, &vision)))
}

/// Returns the least difference over all kinds of colour vision.
fn least_difference(one: &Seen, two: &Seen) -> f64 {
    let differences = one.iter().zip(two).map(|(a, b)| lab_difference(*a, *b));
    let weights = [NORMAL_WEIGHT, 1.0, 1.0, 1.0];
    differences.zip(weights).map(|(it, weight)| it * weight).fold(f64::INFINITY, f64::min)
}

fn candidates(theme: &Theme) -> Vec<Candidate> {
    let grounds: Vec<Color> = theme.grounds.iter().map(|hex| from_hex(hex)).collect();
    let on_fill = from_hex(theme.on_fill);
    let others = theme.others.map(|hex| see(from_hex(hex)));
    let levels = || (0..=255_u8).step_by(5);
    let mut found = Vec::new();
    for (r, g, b) in
        levels().flat_map(|r| levels().flat_map(move |g| levels().map(move |b| (r, g, b))))
    {
        let color = from_hex(&format!("#{r:02x}{g:02x}{b:02x}"));
        let [lightness, a, b] = to_lab(color);
        let is_readable = grounds.iter().all(|ground| contrast(color, *ground) >= CONTRAST_MIN)
            && contrast(color, on_fill) >= CONTRAST_MIN;
        if is_readable && lightness <= theme.lightness.1 {
            let chroma = a.hypot(b);
            let hue = b.atan2(a).to_degrees().rem_euclid(360.0);
            let seen = see(color);
            let to_others = others
                .iter()
                .map(|other| least_difference(&seen, other))
                .fold(f64::INFINITY, f64::min);
            if to_others >= DIFFERENCE_MIN {
                found.push(Candidate { color, seen, lightness, hue, chroma, to_others });
            }
        }
    }
    found
}

/// Returns the angle between two hues, in degrees.
fn angle(one: f64, two: f64) -> f64 {
    let angle = (one - two).rem_euclid(360.0);
    angle.min(360.0 - angle)
}

/// Eight hues and the least difference of each to the others.
#[derive(Clone)]
struct Palette {
    hues: Vec<Candidate>,
    /// The least difference of each pair.
    pairs: Vec<Vec<f64>>,
}

impl Palette {
    fn new(hues: Vec<Candidate>) -> Self {
        let mut palette = Self { hues, pairs: vec![vec![f64::INFINITY; HUES]; HUES] };
        for index in 0..HUES {
            palette.replace(index, palette.hues[index]);
        }
        palette
    }

    fn replace(&mut self, index: usize, hue: Candidate) {
        self.hues[index] = hue;
        for other in (0..HUES).filter(|other| *other != index) {
            let least = least_difference(&hue.seen, &self.hues[other].seen);
            (self.pairs[index][other], self.pairs[other][index]) = (least, least);
        }
    }

    fn least_at(&self, index: usize) -> f64 {
        self.pairs[index].iter().copied().fold(self.hues[index].to_others, f64::min)
    }

    fn score(&self) -> f64 {
        (0..HUES).map(|index| self.least_at(index)).fold(f64::INFINITY, f64::min)
    }

    fn worst(&self) -> usize {
        let indices = 0..HUES;
        indices.min_by(|a, b| self.least_at(*a).total_cmp(&self.least_at(*b))).unwrap_or(0)
    }
}

/// Finds the palette with the largest least difference.
fn search(theme: &Theme, seed: u64) -> (Vec<Candidate>, f64) {
    let all = candidates(theme);
    let pools: Vec<Vec<Candidate>> = (0..HUES)
        .map(|index| {
            let fits = |it: &&Candidate| {
                angle(it.hue, HUE_ANGLES[index]) <= HUE_SHIFT_MAX
                    && it.chroma >= theme.chroma_min[index]
                    && it.lightness >= theme.lightness.0[index]
            };
            all.iter().filter(fits).copied().collect()
        })
        .collect();
    let mut rng = Rng::new(seed);
    let mut palette = Palette::new(pools.iter().map(|pool| rng.choose(pool)).collect());
    let mut current = palette.score();
    let (mut best, mut best_score) = (palette.hues.clone(), current);
    for step in 0..STEPS {
        // Mostly, the hue that is closest to another one is replaced.
        let index = if step % 3 == 0 { step / 3 % HUES } else { palette.worst() };
        let before = palette.clone();
        palette.replace(index, rng.choose(&pools[index]));
        let next = palette.score();
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let tolerance = 1.5 * (1.0 - step as f64 / STEPS as f64).powi(3);
        if next + tolerance >= current {
            current = next;
        } else {
            palette = before;
        }
        if current > best_score {
            (best, best_score) = (palette.hues.clone(), current);
        }
    }
    (best, best_score)
}

fn main() {
    let best = THEMES.map(|theme| {
        let runs = (1..=RUNS).map(|seed| search(&theme, seed));
        let (palette, score) = runs.max_by(|a, b| a.1.total_cmp(&b.1)).expect("at least one run");
        println!("{}: least difference {score:.2}", theme.name);
        palette
    });
    let [light, dark] = best;
    for (index, (light, dark)) in light.iter().zip(&dark).enumerate() {
        let (light, dark) = (to_hex(light.color), to_hex(dark.color));
        println!("  --client-{}: light-dark({light}, {dark});", index + 1);
    }
}
