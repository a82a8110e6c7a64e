//! The page: clients, locks and leases, stepping through simulated runs, or live from the server
//! that served it.

#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a browser runs it"))]

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
        // The same program, loaded as a worker.
        feed::search_worker::run_worker();
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("this is a page: build it with `cargo xtask build-page`");
}
