//! Miniatures of the scenarios.

use std::rc::Rc;

use leasehold_sim::Scenario;
use yew::{Callback, Html, Properties, component, html};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ThumbnailProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    /// The index of the scenario in the library.
    pub(crate) index: usize,
}

/// The miniature of a scenario.
#[component]
pub(crate) fn Thumbnail(_props: &ThumbnailProps) -> Html {
    html! { <span class="thumbnail" aria-hidden="true"></span> }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct HeroProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) onchoose: Callback<usize>,
}

/// The picture of the start screen.
#[component]
pub(crate) fn Hero(_props: &HeroProps) -> Html {
    html! { <figure class="hero"></figure> }
}
