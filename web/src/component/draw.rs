//! Pictures in the page: shapes as elements of SVG. Who points at what is found out by one
//! listener for the whole picture.

use std::rc::Rc;

use wasm_bindgen::JsCast as _;
use web_sys::{Element, Event, MouseEvent};
use yew::{AttrValue, Callback, Html, html};

use crate::picture::shape::{Class, Group, Picture, Shape, Target};

/// Somebody points at something in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pointing {
    pub(crate) target: Option<Target>,
    /// The menu is wanted, at this place of the window.
    pub(crate) menu: Option<(f64, f64)>,
    /// Where in the picture, in its pixels.
    pub(crate) x: f64,
}

#[derive(Clone)]
pub(crate) struct FigureProps {
    pub(crate) picture: Rc<Picture>,
    /// What can be reached by the tabulator; all else by the arrows from there.
    pub(crate) focus: Option<Target>,
    pub(crate) onpoint: Callback<Pointing>,
}

/// A picture.
pub(crate) fn figure(props: &FigureProps) -> Html {
    let FigureProps { picture, focus, onpoint } = props.clone();
    let Picture { width, height, label, .. } = &*picture;
    let click = onpoint.clone();
    let onclick = move |event: MouseEvent| {
        let x = f64::from(event.offset_x());
        click.emit(Pointing { target: target_of(&event), menu: None, x });
    };
    let oncontextmenu = move |event: MouseEvent| {
        let target = target_of(&event);
        if target.is_some() {
            event.prevent_default();
            let menu = Some((f64::from(event.client_x()), f64::from(event.client_y())));
            onpoint.emit(Pointing { target, menu, x: 0.0 });
        }
    };
    let first = focus.or_else(|| first_target(&picture.shapes));
    html! {
        <svg
            class="picture" viewBox={format!("0 0 {width:.0} {height:.0}")}
            width={format!("{width:.0}")} height={format!("{height:.0}")}
            role="group" aria-label={label.clone()} {onclick} {oncontextmenu}
        >
            { for picture.shapes.iter().map(|shape| draw(shape, first)) }
        </svg>
    }
}

fn first_target(shapes: &[Shape]) -> Option<Target> {
    let targets = shapes
        .iter()
        .filter_map(|shape| if let Shape::Group(group) = shape { group.target } else { None });
    targets.into_iter().find(|target| matches!(target, Target::Node(_)))
}

/// What an event points at.
pub(crate) fn target_of(event: &Event) -> Option<Target> {
    let element: Element = event.target()?.dyn_into().ok()?;
    let named = element.closest("[data-target]").ok()??;
    Target::of_key(&named.get_attribute("data-target")?)
}

fn number(number: f64) -> String {
    // One decimal is a tenth of a pixel.
    format!("{number:.1}")
}

#[allow(clippy::ptr_arg, reason = "what is static need not be copied")]
fn class_of(class: &Class) -> AttrValue {
    match class {
        Class::Borrowed(class) => AttrValue::Static(class),
        Class::Owned(class) => AttrValue::from(class.clone()),
    }
}

/// A shape by itself.
pub(crate) fn shape(shape: &Shape) -> Html {
    draw(shape, None)
}

fn draw(shape: &Shape, focus: Option<Target>) -> Html {
    match shape {
        Shape::Rect { class, x, y, width, height, round } => html! {
            <rect class={class_of(class)} x={number(*x)} y={number(*y)} width={number(*width)}
                height={number(*height)} rx={number(*round)} />
        },
        Shape::Circle { class, x, y, r } => html! {
            <circle class={class_of(class)} cx={number(*x)} cy={number(*y)} r={number(*r)} />
        },
        Shape::Line { class, from: (x1, y1), to: (x2, y2) } => html! {
            <line class={class_of(class)} x1={number(*x1)} y1={number(*y1)} x2={number(*x2)}
                y2={number(*y2)} />
        },
        Shape::Path { class, d } => html! { <path class={class_of(class)} d={d.clone()} /> },
        Shape::Text { class, x, y, anchor, size, text } => html! {
            <text class={class_of(class)} x={number(*x)} y={number(*y)}
                text-anchor={anchor.word()} font-size={number(*size)}>{ text.clone() }</text>
        },
        Shape::Group(group) => draw_group(group, focus),
    }
}

fn draw_group(group: &Group, focus: Option<Target>) -> Html {
    let Group { class, at: (x, y), target, label, shapes } = group;
    let transform = (*x != 0.0 || *y != 0.0).then(|| format!("translate({x:.1} {y:.1})"));
    let inside = shapes.iter().map(|shape| draw(shape, focus));
    let Some(target) = target else {
        return html! { <g class={class_of(class)} {transform}>{ for inside }</g> };
    };
    let key = target.key();
    let tabindex = if focus == Some(*target) { "0" } else { "-1" };
    html! {
        <g key={key.clone()} class={class_of(class)} {transform} data-target={key} {tabindex}
            role="img" aria-label={label.clone()}>{ for inside }</g>
    }
}
