//! Paints pictures into SVG elements. Only the differences to the previous picture are applied to
//! the document, because pictures change too often to be rendered like the panels; the
//! [`reconciler`](crate::picture::reconciler) computes them.

use wasm_bindgen::JsCast as _;
use web_sys::{Document, Element, SvgGraphicsElement, SvgTransform};

use crate::browser;
use crate::model::target::Target;
use crate::picture::reconciler::{ElementId, Operation, Reconciler, to_tenth};
use crate::picture::shape::{Picture, format_tenths};

const SVG: &str = "http://www.w3.org/2000/svg";

/// The painter of one picture.
#[derive(Default)]
pub(super) struct Painter {
    svg: Option<Element>,
    size: (String, String),
    label: String,
    reconciler: Reconciler,
    elements: Elements,
}

/// The elements of the picture, by their ids.
#[derive(Default)]
struct Elements(Vec<Option<PaintedElement>>);

struct PaintedElement {
    element: Element,
    /// The transform of a group that moves. Setting its numbers avoids formatting and parsing text.
    transform: Option<SvgTransform>,
}

impl Painter {
    /// Makes the element show the picture. The Tab key reaches `focus`, or else the first node;
    /// arrow keys reach the rest from there. If `is_animating`, the next picture follows soon.
    pub(super) fn paint(
        &mut self,
        svg: &Element,
        picture: Picture,
        focus: Option<Target>,
        is_animating: bool,
    ) {
        let Some(document) = browser::document() else { return };
        if self.svg.as_ref() != Some(svg) {
            // A new element, which this painter has not painted yet.
            svg.set_inner_html("");
            *self = Self { svg: Some(svg.clone()), ..Self::default() };
        }
        let Picture { width, height, label, shapes } = picture;
        let size = (format_tenths(width.round()), format_tenths(height.round()));
        if size != self.size {
            set_attribute(svg, "viewBox", &format!("0 0 {} {}", size.0, size.1));
            set_attribute(svg, "width", &size.0);
            set_attribute(svg, "height", &size.1);
            self.size = size;
        }
        if label != self.label {
            set_attribute(svg, "aria-label", &label);
            self.label = label;
        }
        let elements = &mut self.elements;
        self.reconciler.reconcile(shapes, focus, is_animating, |operation| {
            // Every element of an operation has been created by an earlier one.
            elements.apply(&document, svg, operation);
        });
    }
}

/// Sets an attribute. The names are well formed, so this cannot fail.
fn set_attribute(element: &Element, name: &str, value: &str) {
    element.set_attribute(name, value).ok();
}

impl Elements {
    fn get(&self, ElementId(id): ElementId) -> Option<&Element> {
        let painted = self.0.get(usize::try_from(id).ok()?)?;
        painted.as_ref().map(|painted| &painted.element)
    }

    fn apply(
        &mut self,
        document: &Document,
        svg: &Element,
        operation: Operation<'_>,
    ) -> Option<()> {
        match operation {
            Operation::Create { element: ElementId(id), tag } => {
                let element = document.create_element_ns(Some(SVG), tag).ok()?;
                let index = usize::try_from(id).ok()?;
                if index >= self.0.len() {
                    self.0.resize_with(index + 1, || None);
                }
                self.0[index] = Some(PaintedElement { element, transform: None });
            }
            Operation::Insert { element, parent, before } => {
                let parent = if parent == ElementId::ROOT { svg } else { self.get(parent)? };
                let before = before.and_then(|before| self.get(before));
                parent.insert_before(self.get(element)?, before.map(|it| &**it)).ok()?;
            }
            Operation::Remove { element } => self.get(element)?.remove(),
            Operation::SetAttribute { element, name, value: "" } => {
                self.get(element)?.remove_attribute(name).ok()?;
            }
            Operation::SetAttribute { element, name, value } => {
                set_attribute(self.get(element)?, name, value);
            }
            Operation::SetNumber { element, name, value } => {
                set_attribute(self.get(element)?, name, &format_tenths(value));
            }
            Operation::SetText { element, text } => {
                self.get(element)?.set_text_content(Some(text));
            }
            Operation::Translate { element: ElementId(id), to, is_first } => {
                self.0.get_mut(usize::try_from(id).ok()?)?.as_mut()?.translate(to, is_first)?;
            }
        }
        Some(())
    }
}

impl PaintedElement {
    #[allow(clippy::cast_possible_truncation, reason = "a coordinate")]
    fn translate(&mut self, (x, y): (f64, f64), is_first: bool) -> Option<()> {
        // The first position is set as an attribute: most groups never move again.
        if is_first {
            let transform = format!("translate({} {})", format_tenths(x), format_tenths(y));
            set_attribute(&self.element, "transform", &transform);
            return Some(());
        }
        if self.transform.is_none() {
            let graphics = self.element.dyn_ref::<SvgGraphicsElement>()?;
            self.transform = graphics.transform().base_val().get_item(0).ok();
        }
        self.transform.as_ref()?.set_translate(to_tenth(x) as f32, to_tenth(y) as f32).ok()
    }
}
