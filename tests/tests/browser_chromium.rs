//! The main paths through the page in Chromium.

mod main_paths;

use leasehold_tests::browser::BrowserKind;

main_paths::main_paths!(BrowserKind::Chromium);
