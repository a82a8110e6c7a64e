//! PNG: reads the pictures that the browser takes, and writes them smaller.

use std::io::Cursor;

use anyhow::{Context as _, bail};

/// The pixels of a picture, three bytes each, row by row.
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgb: Vec<u8>,
}

/// # Errors
/// If the picture is not a PNG with eight bits per channel.
pub(crate) fn decode(png: &[u8]) -> anyhow::Result<Pixels> {
    let mut reader = png::Decoder::new(Cursor::new(png)).read_info()?;
    let size = reader.output_buffer_size().context("the picture is too large")?;
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes)?;
    bytes.truncate(frame.buffer_size());
    let rgb = match (frame.color_type, frame.bit_depth) {
        (png::ColorType::Rgb, png::BitDepth::Eight) => bytes,
        (png::ColorType::Rgba, png::BitDepth::Eight) => {
            bytes.chunks_exact(4).flat_map(|it| [it[0], it[1], it[2]]).collect()
        }
        (color, depth) => bail!("a picture of an unexpected format: {color:?}, {depth:?}"),
    };
    Ok(Pixels { width: frame.width, height: frame.height, rgb })
}

/// Encodes a picture as small as PNG can be.
pub(crate) fn encode(pixels: &Pixels) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width, pixels.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.write_header()?.write_image_data(&pixels.rgb)?;
    Ok(bytes)
}
