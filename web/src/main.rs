//! The page: clients, locks and events, live from the server that served it.

#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a browser runs it"))]

mod live;
mod model;
mod picture;

#[cfg(target_arch = "wasm32")]
fn main() {
    yew::Renderer::<live::view::Live>::new().render();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("this is a page: build it with `cargo xtask build-page`");
}
