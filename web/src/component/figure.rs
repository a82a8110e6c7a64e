//! The SVG elements that hold pictures. One listener for each picture finds the target of an event.
//! Their content is painted by [`super::painter`].

use wasm_bindgen::JsCast as _;
use web_sys::{Element, Event, FocusEvent, MouseEvent, PointerEvent};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use crate::area::selection::{Hover, PointerAction};
use crate::model::shortcuts::View;
use crate::model::target::Target;
use crate::picture::shape::{Class, Shape, format_tenths};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct FigureProps {
    /// The id of the picture, which the painter paints.
    pub(crate) id: &'static str,
    /// The view that the picture shows; `None` if its targets have no cards.
    #[prop_or_default]
    pub(crate) view: Option<View>,
    #[prop_or_default]
    pub(crate) onpoint: Callback<PointerAction>,
    /// The pointer or the focus is on a target, or has left it.
    #[prop_or_default]
    pub(crate) onhover: Callback<Option<Hover>>,
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
    let view = props.view;
    let onpointerover = props.onhover.reform(move |event: PointerEvent| {
        let client = (f64::from(event.client_x()), f64::from(event.client_y()));
        hover_of(view, &event, Some(client))
    });
    let on_hover = props.onhover.clone();
    let onpointerleave = move |event: PointerEvent| {
        // A finger leaves when it is lifted; its card stays until the next tap.
        if event.pointer_type() != "touch" {
            on_hover.emit(None);
        }
    };
    let onfocusin = props.onhover.reform(move |event: FocusEvent| hover_of(view, &event, None));
    let onfocusout = props.onhover.reform(|_: FocusEvent| None);
    html! {
        <svg id={props.id} class="picture" role="group" {onclick} {oncontextmenu} {onpointerover}
            {onpointerleave} {onfocusin} {onfocusout}></svg>
    }
}

/// Returns the target of an event with its position in the picture: that of the pointer, or else
/// that of the target.
fn hover_of(view: Option<View>, event: &Event, pointer: Option<(f64, f64)>) -> Option<Hover> {
    let target = target_of(event)?;
    let element: Element = event.target()?.dyn_into().ok()?;
    let picture = element.closest("svg.picture").ok()??.get_bounding_client_rect();
    let (x, y) = pointer.unwrap_or_else(|| {
        let bounds = element.get_bounding_client_rect();
        (bounds.left() + bounds.width() / 2.0, bounds.top())
    });
    Some(Hover { view: view?, target, at: (x - picture.left(), y - picture.top()) })
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
        Shape::Group(group) => {
            let (x, y) = group.at;
            let transform = (group.at != (0.0, 0.0))
                .then(|| format!("translate({} {})", format_tenths(x), format_tenths(y)));
            html! {
                <g class={class_of(&group.class)} {transform}>
                    { for group.shapes.iter().map(shape_view) }
                </g>
            }
        }
    }
}
