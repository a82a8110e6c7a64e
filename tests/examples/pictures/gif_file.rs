//! Writes a looping GIF: one palette for all frames, and of each frame only what has changed.

use std::collections::HashMap;
use std::io::Write;

use color_quant::NeuQuant;
use gif::{DisposalMethod, Encoder, Frame, Repeat};

use crate::png_file::Pixels;

/// The number of colours; one more index is transparent.
const COLORS: usize = 255;

/// The index of a pixel that has not changed.
const UNCHANGED: u8 = 255;

/// A colour that fills much of the picture counts as often as this many others.
const WEIGHT_MAX: u32 = 64;

/// How many pixels one more unit of weight stands for.
const PIXELS_PER_WEIGHT: u32 = 2_000;

type Color = [u8; 3];

/// The palette, and the index of each colour that occurs.
struct Palette {
    rgb: Vec<u8>,
    index: HashMap<Color, u8>,
}

impl Palette {
    /// Chooses the colours. A colour that fills large areas stays exactly as it is, because people
    /// notice a background that differs by one step from that of the document around it.
    fn new(frames: &[Pixels]) -> Self {
        let mut counts: HashMap<Color, u32> = HashMap::new();
        for color in frames.iter().flat_map(|frame| frame.rgb.chunks_exact(3)) {
            *counts.entry([color[0], color[1], color[2]]).or_default() += 1;
        }
        let mut colors: Vec<(Color, u32)> = counts.into_iter().collect();
        colors.sort_by_key(|(color, count)| (std::cmp::Reverse(*count), *color));
        let exact = COLORS / 2;
        let mut rgb: Vec<u8> = colors.iter().take(exact).flat_map(|(color, _)| *color).collect();
        let rest: Vec<u8> = colors
            .iter()
            .skip(exact)
            .flat_map(|([r, g, b], count)| {
                let weight = (count / PIXELS_PER_WEIGHT + 1).min(WEIGHT_MAX);
                [*r, *g, *b, 255].repeat(weight as usize)
            })
            .collect();
        if !rest.is_empty() {
            rgb.extend(NeuQuant::new(1, COLORS - exact, &rest).color_map_rgb());
        }
        rgb.resize(COLORS * 3, 0);
        let index = colors.iter().map(|(color, _)| (*color, nearest(&rgb, *color))).collect();
        rgb.extend([0, 0, 0]);
        Self { rgb, index }
    }
}

/// Returns the index of the colour with the smallest distance.
fn nearest(rgb: &[u8], [r, g, b]: Color) -> u8 {
    let distance = |color: &[u8]| -> i32 {
        let part = |index: usize, value: u8| (i32::from(color[index]) - i32::from(value)).pow(2);
        // The eye is most sensitive to green, and least to blue.
        3 * part(0, r) + 6 * part(1, g) + part(2, b)
    };
    let closest = (0_u8..).zip(rgb.chunks_exact(3)).min_by_key(|(_, color)| distance(color));
    closest.map_or(0, |(index, _)| index)
}

/// A frame that is shown for a while, in hundredths of a second.
pub(crate) struct Timed {
    pub(crate) pixels: Pixels,
    pub(crate) hundredths: u16,
}

/// Writes the frames, which all have the size of the first.
pub(crate) fn write(frames: Vec<Timed>, file: impl Write) -> anyhow::Result<()> {
    let (pixels, delays): (Vec<Pixels>, Vec<u16>) =
        frames.into_iter().map(|it| (it.pixels, it.hundredths)).unzip();
    let (width, height) = (u16::try_from(pixels[0].width)?, u16::try_from(pixels[0].height)?);
    let palette = Palette::new(&pixels);
    let mut encoder = Encoder::new(file, width, height, &palette.rgb)?;
    encoder.set_repeat(Repeat::Infinite)?;
    let mut shown: Vec<u8> = Vec::new();
    for (pixels, delay) in pixels.iter().zip(delays) {
        let colors = pixels.rgb.chunks_exact(3);
        let next: Vec<u8> = colors.map(|it| palette.index[&[it[0], it[1], it[2]]]).collect();
        encoder.write_frame(&difference(&shown, &next, usize::from(width), delay))?;
        shown = next;
    }
    Ok(())
}

/// Returns a frame with the smallest rectangle that contains all changes.
fn difference(shown: &[u8], next: &[u8], width: usize, delay: u16) -> Frame<'static> {
    let has_changed = |at: usize| shown.get(at) != Some(&next[at]);
    let changed: Vec<usize> = (0..next.len()).filter(|at| has_changed(*at)).collect();
    let columns = || changed.iter().map(|at| at % width);
    let rows = || changed.iter().map(|at| at / width);
    let (left, right) = (columns().min().unwrap_or(0), columns().max().unwrap_or(0));
    let (top, bottom) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
    let mut buffer = Vec::with_capacity((right - left + 1) * (bottom - top + 1));
    for row in top..=bottom {
        let row = row * width;
        let inside = row + left..=row + right;
        buffer.extend(inside.map(|at| if has_changed(at) { next[at] } else { UNCHANGED }));
    }
    let length = |from: usize, to: usize| u16::try_from(to - from + 1).unwrap_or(u16::MAX);
    Frame {
        delay,
        dispose: DisposalMethod::Keep,
        transparent: Some(UNCHANGED),
        left: u16::try_from(left).unwrap_or(u16::MAX),
        top: u16::try_from(top).unwrap_or(u16::MAX),
        width: length(left, right),
        height: length(top, bottom),
        buffer: buffer.into(),
        ..Frame::default()
    }
}
