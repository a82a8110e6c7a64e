//! Embeds the page again after each build of it.
//!
//! In the repository, the folder of the page is created before its first build, because Cargo
//! regards a watched path that is missing as changed, and would compile the server every time. In
//! a packaged crate there is no page, and nothing is written.

use std::path::Path;

fn main() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if top.join("Trunk.toml").exists() {
        let folder = top.join("dist");
        std::fs::create_dir_all(folder).expect("the build can create the folder of the page");
        println!("cargo::rerun-if-changed=../dist");
    } else {
        println!("cargo::rerun-if-changed=build.rs");
    }
}
