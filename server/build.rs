//! Ensures that the folder of the page exists, because the program embeds it, and embeds the page
//! again after each build of it.

use std::path::Path;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    std::fs::create_dir_all(&dist).expect("the build can create the folder of the page");
    println!("cargo::rerun-if-changed=../dist");
}
