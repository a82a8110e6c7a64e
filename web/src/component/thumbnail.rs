//! Miniatures of the scenarios, and the picture of the start screen.
//!
//! A miniature shows a simulated run. It is drawn after the page, one at a time, so that the page
//! appears at once and stays responsive.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use leasehold_sim::Scenario;
use yew::{Callback, Html, Properties, component, html, use_effect_with, use_state};

use super::figure::shape_view;
use crate::picture::hero::hero;
use crate::picture::shape::Picture;
use crate::picture::thumbnail::{THUMBNAIL_AREA, thumbnail};

/// The scenario that the picture of the start screen shows.
const HERO: &str = "gc-pause";

thread_local! {
    /// The pictures that have been drawn, by the name of the scenario. The library never changes.
    static DRAWN: RefCell<BTreeMap<String, Rc<Picture>>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ThumbnailProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    /// The index of the scenario in the library.
    pub(crate) index: usize,
}

/// The miniature of a scenario.
#[component]
pub(crate) fn Thumbnail(props: &ThumbnailProps) -> Html {
    let name = props.library.get(props.index).map(|it| it.name.clone()).unwrap_or_default();
    let picture = use_drawn(name, &props.library, |it| thumbnail(it, THUMBNAIL_AREA));
    html! {
        <span class="thumbnail" aria-hidden="true">
            { for picture.as_deref().map(picture_view) }
        </span>
    }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct HeroProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) onchoose: Callback<usize>,
}

/// The picture of the start screen: the point of the project in one run.
#[component]
pub(crate) fn Hero(props: &HeroProps) -> Html {
    let key = format!("hero {HERO}");
    let picture = use_drawn(key, &props.library, hero);
    let index = props.library.iter().position(|it| it.name == HERO);
    let onclick = {
        let onchoose = props.onchoose.clone();
        move |_| index.into_iter().for_each(|index| onchoose.emit(index))
    };
    html! {
        <figure class="hero">
            <button {onclick} data-testid="start-hero">
                <span class="hero-picture">{ for picture.as_deref().map(picture_view) }</span>
                <span class="hero-caption">
                    { "A paused client wakes up after its lease has expired, and appends. Without \
                       fencing the server accepts the stale line." }
                </span>
            </button>
        </figure>
    }
}

/// Returns the picture with this key once it has been drawn. The last word of the key is the name
/// of the scenario.
#[yew::hook]
fn use_drawn(
    key: String,
    library: &Rc<Vec<Scenario>>,
    draw: fn(&Scenario) -> Picture,
) -> Option<Rc<Picture>> {
    let drawn = use_state(|| None::<String>);
    let known = DRAWN.with_borrow(|pictures| pictures.get(&key).cloned());
    let (library, is_known) = (Rc::clone(library), known.is_some());
    let done = drawn.setter();
    use_effect_with((key, is_known), move |(key, is_known)| {
        let key = key.clone();
        let drawing = (!is_known).then(|| {
            Timeout::new(0, move || {
                let name = key.rsplit(' ').next().unwrap_or_default();
                if let Some(scenario) = library.iter().find(|it| it.name == name) {
                    let picture = Rc::new(draw(scenario));
                    DRAWN.with_borrow_mut(|pictures| pictures.insert(key.clone(), picture));
                    done.set(Some(key));
                }
            })
        });
        move || drop(drawing)
    });
    known
}

fn picture_view(picture: &Picture) -> Html {
    let view_box = format!("0 0 {} {}", picture.width, picture.height);
    html! {
        <svg class="picture" viewBox={view_box} preserveAspectRatio="xMinYMid" role="img"
            aria-label={picture.label.clone()}>
            { for picture.shapes.iter().map(shape_view) }
        </svg>
    }
}
