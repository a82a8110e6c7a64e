//! Compresses the files of the page once, at build time, so that no server has to do it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context as _;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

/// The highest quality of brotli.
const BROTLI_QUALITY: i32 = 11;

/// Writes `NAME.br` and `NAME.gz` beside each file of a folder, unless they would be larger.
pub(crate) fn compress_folder(folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_variant = path.extension().is_some_and(|it| it == "br" || it == "gz");
        if path.is_file() && !is_variant {
            files.push(path);
        }
    }
    // One thread for each file: nearly all the time is spent on the program, so that a pool would
    // gain nothing.
    thread::scope(|scope| {
        let threads: Vec<_> =
            files.iter().map(|path| scope.spawn(move || compress(path))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("compression has no panics"))
    })
}

fn compress(path: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    for (suffix, compressed) in [("br", brotli(&bytes)?), ("gz", gzip(&bytes)?)] {
        if compressed.len() < bytes.len() {
            let variant = PathBuf::from(format!("{}.{suffix}", path.display()));
            fs::write(&variant, compressed)
                .with_context(|| format!("cannot write {}", variant.display()))?;
        }
    }
    Ok(())
}

fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let parameters = BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let (mut input, mut compressed) = (bytes, Vec::new());
    brotli::BrotliCompress(&mut input, &mut compressed, &parameters)?;
    Ok(compressed)
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn variants_decompress_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = "lock, append, release\n".repeat(500);
        fs::write(folder.path().join("long.js"), &text).unwrap();
        fs::write(folder.path().join("short.js"), "1").unwrap();
        compress_folder(folder.path()).unwrap();
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let mut from_gzip = String::new();
        let gzipped = read("long.js.gz");
        flate2::read::GzDecoder::new(&*gzipped).read_to_string(&mut from_gzip).unwrap();
        assert_eq!(from_gzip, text);
        let (compressed, mut from_brotli) = (read("long.js.br"), Vec::new());
        brotli::BrotliDecompress(&mut &*compressed, &mut from_brotli).unwrap();
        assert_eq!(from_brotli, text.as_bytes());
        assert!(!folder.path().join("short.js.gz").exists(), "it would be larger");
        compress_folder(folder.path()).unwrap();
        assert!(!folder.path().join("long.js.br.gz").exists(), "a variant has no variants");
    }
}
