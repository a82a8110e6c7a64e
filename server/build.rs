//! Creates the directory that the page is embedded from, and rebuilds the program whenever the page
//! changes.

use std::path::Path;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    std::fs::create_dir_all(&dist).expect("cannot create dist, the directory of the page");
    println!("cargo::rerun-if-changed=../dist");
}
