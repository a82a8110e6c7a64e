//! Pictures of the page, made from the page itself: `cargo xtask screenshots`, `cargo xtask
//! pictures` and `cargo xtask animation` build the page and run this program.

mod animation;
mod gif_file;
mod png_file;
mod screenshots;
mod stills;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "Makes pictures of the page")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Takes a picture of every view that the visual audit looks at
    Screenshots {
        /// Only views whose name contains this text, such as `gc-pause` or `390x844`
        #[arg(long, default_value = "")]
        filter: String,
        /// The folder of the pictures
        #[arg(long, default_value = "target/screenshots")]
        folder: PathBuf,
    },
    /// Makes the pictures of the documents, in docs/images
    Pictures,
    /// Records the animation of the README, docs/images/gc-pause.gif
    Animation,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Screenshots { filter, folder } => screenshots::take(&filter, &top().join(folder)),
        Task::Pictures => stills::make(&images()),
        Task::Animation => animation::record(&images().join("gc-pause.gif")),
    }
}

/// Returns the top folder of the project.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the project").to_owned()
}

fn images() -> PathBuf {
    top().join("docs/images")
}
