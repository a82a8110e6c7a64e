//! The visualizer: shows clients, locks and leases of simulated runs, or of the live server that
//! served the page.

#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "used only in a browser"))]

mod area;
#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
mod component;
mod feed;
mod model;
mod picture;

#[cfg(target_arch = "wasm32")]
fn main() {
    if web_sys::window().is_some() && browser::query().contains("mode=notes") {
        yew::Renderer::<component::notes_window::NotesWindow>::new().render();
    } else if web_sys::window().is_some() {
        yew::Renderer::<component::app::App>::new().render();
    } else {
        // This instance was loaded as a worker.
        feed::search_worker::run_worker();
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("this program runs in a browser; build it with `cargo xtask build-page`");
}
