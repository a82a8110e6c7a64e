//! The main paths through the page in Firefox.

mod main_paths;

use leasehold_tests::browser::BrowserKind;

main_paths::main_paths!(BrowserKind::Firefox);
