//! The animation of the README: one run of the page, frame by frame.
//!
//! The page does not play in real time, because taking a picture takes longer than a frame: a
//! script that runs before the page's own replaces its clock and its animation frames, and this
//! program moves that clock by one frame before each picture. So the recording is smooth on any
//! machine.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::PageHost;

use crate::gif_file::{self, Timed};
use crate::png_file;

/// The width of the viewport, in CSS pixels.
const WIDTH: u32 = 1280;

/// The height of the viewport, in CSS pixels.
const HEIGHT: u32 = 720;

/// The size of a CSS pixel in the recording.
const SCALE: f64 = 0.75;

/// The time for which a frame is shown, in hundredths of a second: 12.5 frames a second.
const FRAME_HUNDREDTHS: u16 = 8;

/// The time between two animation frames of the page, in milliseconds.
const STEP_MS: u32 = 16;

/// The size that the file must not exceed, in bytes.
const SIZE_MAX: usize = 2_000_000;

/// The run, and where it begins.
const QUERY: &str = "scenario=gc-pause&without=fencing&t=0";

/// Replaces the page's clock. `advance` moves it and calls the animation frames that are due.
const CLOCK: &str = "
    const realFrame = window.requestAnimationFrame.bind(window);
    let now = 0, last = 0, waiting = new Map();
    window.requestAnimationFrame = it => { waiting.set(++last, it); return last; };
    window.cancelAnimationFrame = it => { waiting.delete(it); };
    performance.now = () => now;
    window.advance = ms => {
        now += ms;
        const due = waiting;
        waiting = new Map();
        due.forEach(it => it(now));
    };
    window.drawn = () => new Promise(done => realFrame(() => realFrame(done)));";

/// One part of the animation.
enum Scene {
    /// Plays to this time of the run, in milliseconds; a speed of 100 is that of the run.
    PlayTo { ms: u32, percent: u32 },
    /// Shows the picture for this long, in hundredths of a second.
    Hold(u16),
}

use Scene::{Hold, PlayTo};

/// client_1 gets the lock and is paused; its lease expires, and client_2 gets the lock and appends;
/// client_1 resumes and appends under its old token. What matters is slow, and waiting is fast.
const STORY: &[Scene] = &[
    Hold(80),
    PlayTo { ms: 2_400, percent: 100 },
    PlayTo { ms: 9_600, percent: 350 },
    PlayTo { ms: 13_000, percent: 110 },
    PlayTo { ms: 15_600, percent: 300 },
    PlayTo { ms: 16_800, percent: 50 },
    Hold(300),
];

/// Records the animation.
pub(crate) fn record(path: &Path) -> anyhow::Result<()> {
    let page = PageHost::serve("page");
    let browser = Browser::start(WIDTH, HEIGHT);
    browser.resize_scaled(WIDTH, HEIGHT, SCALE);
    browser.run_on_every_page(CLOCK);
    browser.open(&format!("{}?{QUERY}", page.url()));
    browser.wait_for_text("scenario", |text| !text.is_empty());
    let mut recorder = Recorder { browser: &browser, frames: Vec::new() };
    recorder.prepare();
    let mut now = 0;
    for scene in STORY {
        match *scene {
            PlayTo { ms, percent } => {
                let step = u32::from(FRAME_HUNDREDTHS) * percent / 10;
                while now < ms {
                    recorder.advance(step.min(ms - now));
                    recorder.take(FRAME_HUNDREDTHS)?;
                    now = (now + step).min(ms);
                }
            }
            Hold(hundredths) => recorder.take(hundredths)?,
        }
    }
    let frames = recorder.frames;
    let count = frames.len();
    let time: u32 = frames.iter().map(|it| u32::from(it.hundredths)).sum();
    let mut file = Vec::new();
    gif_file::write(frames, &mut file)?;
    println!(
        "{}: {count} different frames, {} s, {} KB",
        path.display(),
        f64::from(time) / 100.0,
        file.len() / 1_000
    );
    ensure!(file.len() <= SIZE_MAX, "the animation is larger than {SIZE_MAX} bytes");
    fs::write(path, file)?;
    Ok(())
}

struct Recorder<'a> {
    browser: &'a Browser,
    frames: Vec<Timed>,
}

impl Recorder<'_> {
    /// Presents the run without its stops and its question, at the speed of the run, and starts it.
    fn prepare(&self) {
        for key in ["p", "q", "]"] {
            self.browser.press(key);
            self.advance(0);
        }
        let speed = self.browser.text("speed").unwrap_or_default();
        assert!(speed.starts_with("1 ×") || speed.starts_with("1×"), "the speed is {speed}");
        self.browser.press(" ");
        self.advance(0);
    }

    /// Moves the page's clock, in steps as small as those of a screen, and waits until the page is
    /// drawn.
    fn advance(&self, ms: u32) {
        self.browser.run_async(&format!(
            "(async () => {{
                for (let left = {ms}; left >= 0; left -= {STEP_MS}) {{
                    advance(Math.min(left, {STEP_MS}));
                    await new Promise(it => setTimeout(it));
                }}
                document.getAnimations().forEach(it => it.finish());
                await drawn();
            }})().then(done)"
        ));
    }

    /// Takes a picture, which is shown for this long. The same picture again only prolongs it.
    fn take(&mut self, hundredths: u16) -> anyhow::Result<()> {
        let pixels = png_file::decode(&self.browser.screenshot())?;
        match self.frames.last_mut() {
            Some(last) if last.pixels.rgb == pixels.rgb => last.hundredths += hundredths,
            Some(_) | None => self.frames.push(Timed { pixels, hundredths }),
        }
        Ok(())
    }
}
