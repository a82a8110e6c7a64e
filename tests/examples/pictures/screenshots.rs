//! A picture of every view that the visual audit looks at, for people to look at.

use std::fs;
use std::path::Path;

use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::visual_audit::views::{SIZES, View, Walk, subjects};

/// Writes the pictures of the views whose name contains `filter`.
pub(crate) fn take(filter: &str, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let page = PageHost::serve("page");
    let browser = Browser::start(1280, 720);
    let all = subjects(&browser, &page.url());
    // A filter that names a subject saves the time of the others.
    let named = |subject: &&String| filter.contains(subject.as_str());
    let is_named = all.iter().any(|subject| named(&subject));
    let mut result = Ok(());
    let mut count = 0;
    for size in SIZES {
        for subject in all.iter().filter(|subject| !is_named || named(subject)) {
            let mut visit = |browser: &Browser, view: &View<'_>| {
                let name = view.to_string();
                if name.contains(filter) && result.is_ok() {
                    result = fs::write(folder.join(format!("{name}.png")), browser.screenshot());
                    count += 1;
                }
            };
            let page = &page.url();
            Walk { browser: &browser, page, size, visit: &mut visit }.visit_subject(subject);
        }
    }
    result?;
    println!("{count} pictures in {}", folder.display());
    Ok(())
}
