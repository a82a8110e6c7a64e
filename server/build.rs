//! Sees to it that there is a folder for the page to be embedded from, and that a page which was
//! built anew is embedded anew.

use std::path::Path;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    std::fs::create_dir_all(&dist).expect("the folder of the page can be made");
    println!("cargo::rerun-if-changed=../dist");
}
