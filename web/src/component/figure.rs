//! The SVG elements that hold pictures. One listener for each picture finds the target of an event.
//! Their content is painted by [`super::painter`].

use wasm_bindgen::JsCast as _;
use web_sys::{Element, Event, MouseEvent};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use crate::area::selection::PointerAction;
use crate::model::target::Target;
use crate::picture::shape::{Class, Shape, format_tenths};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct FigureProps {
    /// The id of the picture, which the painter paints.
    pub(crate) id: &'static str,
    #[prop_or_default]
    pub(crate) onpoint: Callback<PointerAction>,
}

/// The empty element of a picture.
#[component]
pub(crate) fn Figure(props: &FigureProps) -> Html {
    let on_click = props.onpoint.clone();
    let onclick = move |event: MouseEvent| {
        let x = f64::from(event.offset_x());
        on_click.emit(PointerAction { target: target_of(&event), is_menu: false, x });
    };
    let on_menu = props.onpoint.clone();
    let oncontextmenu = move |event: MouseEvent| {
        let target = target_of(&event);
        if target.is_some() {
            event.prevent_default();
            on_menu.emit(PointerAction { target, is_menu: true, x: 0.0 });
        }
    };
    html! { <svg id={props.id} class="picture" role="group" {onclick} {oncontextmenu}></svg> }
}

/// Returns the target of an event.
pub(crate) fn target_of(event: &Event) -> Option<Target> {
    let element: Element = event.target()?.dyn_into().ok()?;
    let target_element = element.closest("[data-target]").ok()??;
    Target::from_key(&target_element.get_attribute("data-target")?)
}

#[allow(clippy::ptr_arg, reason = "static classes are not copied")]
fn class_of(class: &Class) -> AttrValue {
    match class {
        Class::Borrowed(class) => AttrValue::Static(class),
        Class::Owned(class) => AttrValue::from(class.clone()),
    }
}

/// Returns a shape outside of a picture, such as a symbol in a line of text.
pub(crate) fn shape_view(shape: &Shape) -> Html {
    match shape {
        Shape::Rect { class, x, y, width, height, corner_radius } => html! {
            <rect class={class_of(class)} x={format_tenths(*x)} y={format_tenths(*y)}
                width={format_tenths(*width)} height={format_tenths(*height)}
                rx={format_tenths(*corner_radius)} />
        },
        Shape::Circle { class, x, y, r } => html! {
            <circle class={class_of(class)} cx={format_tenths(*x)} cy={format_tenths(*y)}
                r={format_tenths(*r)} />
        },
        Shape::Line { class, from: (x1, y1), to: (x2, y2) } => html! {
            <line class={class_of(class)} x1={format_tenths(*x1)} y1={format_tenths(*y1)}
                x2={format_tenths(*x2)} y2={format_tenths(*y2)} />
        },
        Shape::Path { class, d } => html! { <path class={class_of(class)} d={d.clone()} /> },
        Shape::Text { class, x, y, anchor, size, text } => html! {
            <text class={class_of(class)} x={format_tenths(*x)} y={format_tenths(*y)}
                text-anchor={anchor.as_str()} font-size={format_tenths(*size)}>
                { text.clone() }
            </text>
        },
        Shape::Group(group) => html! {
            <g class={class_of(&group.class)}>
                { for group.shapes.iter().map(shape_view) }
            </g>
        },
    }
}
