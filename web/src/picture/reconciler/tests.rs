//! The operations of the reconciler, applied to a tree of elements, compared with a full redraw.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use leasehold_sim::{NodeId, PacketId};
use proptest::prelude::*;

use super::*;
use crate::picture::shape::{Anchor, circle, format_tenths, line, path, rect, text};

/// A tree of elements that accepts only valid operations.
#[derive(Default)]
struct Tree {
    elements: BTreeMap<ElementId, FakeElement>,
    root: Vec<ElementId>,
    operations: Vec<&'static str>,
}

#[derive(Default)]
struct FakeElement {
    tag: &'static str,
    attributes: BTreeMap<&'static str, String>,
    text: String,
    children: Vec<ElementId>,
    parent: Option<ElementId>,
}

impl Tree {
    fn children_of(&mut self, parent: ElementId) -> &mut Vec<ElementId> {
        if parent == ElementId::ROOT {
            &mut self.root
        } else {
            &mut self.elements.get_mut(&parent).expect("an existing parent").children
        }
    }

    fn element(&mut self, id: ElementId) -> &mut FakeElement {
        self.elements.get_mut(&id).expect("an existing element")
    }

    fn detach(&mut self, id: ElementId) {
        if let Some(parent) = self.element(id).parent.take() {
            self.children_of(parent).retain(|child| *child != id);
        }
    }

    fn delete(&mut self, id: ElementId) {
        let removed = self.elements.remove(&id).expect("an existing element");
        removed.children.into_iter().for_each(|child| self.delete(child));
    }

    fn apply(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Create { element, tag } => {
                self.operations.push("create");
                let new = FakeElement { tag, ..FakeElement::default() };
                assert!(self.elements.insert(element, new).is_none(), "{element:?} is in use");
                assert_ne!(element, ElementId::ROOT);
            }
            Operation::Insert { element, parent, before } => {
                self.operations.push("insert");
                self.detach(element);
                let children = self.children_of(parent);
                let index = before.map_or(children.len(), |before| {
                    children.iter().position(|it| *it == before).expect("a child of the parent")
                });
                children.insert(index, element);
                self.element(element).parent = Some(parent);
            }
            Operation::Remove { element } => {
                self.operations.push("remove");
                assert!(self.element(element).parent.is_some(), "{element:?} is in the tree");
                self.detach(element);
                self.delete(element);
            }
            Operation::SetAttribute { element, name, value } => {
                self.operations.push("set");
                let attributes = &mut self.element(element).attributes;
                if value.is_empty() {
                    attributes.remove(name);
                } else {
                    attributes.insert(name, value.to_owned());
                }
            }
            Operation::SetNumber { element, name, value } => {
                self.operations.push("set");
                self.element(element).attributes.insert(name, format_tenths(value));
            }
            Operation::SetText { element, text } => {
                self.operations.push("text");
                text.clone_into(&mut self.element(element).text);
            }
            Operation::Translate { element, to, is_first } => {
                self.operations.push("translate");
                let at = format!("{} {}", format_tenths(to.0), format_tenths(to.1));
                let previous = self.element(element).attributes.insert("transform", at);
                assert_eq!(previous.is_none(), is_first);
            }
        }
    }

    fn describe(&self, ids: &[ElementId], indent: usize, out: &mut String) {
        for id in ids {
            let element = &self.elements[id];
            let indentation = " ".repeat(indent);
            let FakeElement { tag, attributes, text, children, .. } = element;
            // Writing to a string can't fail.
            writeln!(out, "{indentation}{tag} {attributes:?} {text:?}").ok();
            self.describe(children, indent + 2, out);
        }
    }
}

/// A reconciler and its tree.
#[derive(Default)]
struct Painting {
    reconciler: Reconciler,
    tree: Tree,
}

impl Painting {
    fn paint(&mut self, shapes: &[Shape], focus: Option<Target>, is_animating: bool) {
        self.tree.operations.clear();
        let tree = &mut self.tree;
        let shapes = shapes.to_vec();
        self.reconciler.reconcile(shapes, focus, is_animating, |operation| tree.apply(operation));
    }

    /// Paints, and returns the names of the operations.
    fn operations(&mut self, shapes: &[Shape]) -> Vec<&'static str> {
        self.paint(shapes, Some(Target::Packet(PacketId(1))), false);
        self.tree.operations.clone()
    }

    fn describe(&self) -> String {
        let mut out = String::new();
        self.tree.describe(&self.tree.root, 0, &mut out);
        out
    }
}

fn full_redraw(shapes: &[Shape], focus: Option<Target>) -> String {
    let mut painting = Painting::default();
    painting.paint(shapes, focus, false);
    painting.describe()
}

fn group(target: Option<Target>, at: (f64, f64), label: &str, shapes: Vec<Shape>) -> Shape {
    Shape::Group(Group { class: "group".into(), at, target, label: label.to_owned(), shapes })
}

fn packet(id: u32, x: f64) -> Shape {
    let shapes = vec![circle("packet", (0.0, 0.0), 6.0)];
    group(Some(Target::Packet(PacketId(id))), (x, 10.0), "packet", shapes)
}

/// Coordinates that often repeat, and often differ by less than a tenth.
fn coordinate() -> impl Strategy<Value = f64> {
    (0..6_i32, 0..3_i32)
        .prop_map(|(units, hundredths)| f64::from(units) * 7.0 + f64::from(hundredths) * 0.02)
}

fn point() -> impl Strategy<Value = (f64, f64)> {
    (coordinate(), coordinate())
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b"]).prop_map(str::to_owned)
}

fn class() -> impl Strategy<Value = Class> {
    prop::sample::select(vec!["", "red", "blue"]).prop_map(Class::Borrowed)
}

fn target() -> impl Strategy<Value = Option<Target>> {
    let node = (0..4_u8).prop_map(|id| Some(Target::Node(NodeId(id))));
    let packet = (0..6_u32).prop_map(|id| Some(Target::Packet(PacketId(id))));
    prop_oneof![1 => Just(None), 2 => node, 2 => packet]
}

fn simple_shape() -> impl Strategy<Value = Shape> {
    let anchor = prop::sample::select(vec![Anchor::Start, Anchor::Middle, Anchor::End]);
    prop_oneof![
        (class(), point(), point()).prop_map(|(class, at, size)| rect(class, at, size)),
        (class(), point(), coordinate()).prop_map(|(class, at, r)| circle(class, at, r)),
        (class(), point(), point()).prop_map(|(class, from, to)| line(class, from, to)),
        (class(), word()).prop_map(|(class, d)| path(class, d)),
        (class(), point(), anchor, coordinate(), word())
            .prop_map(|(class, at, anchor, size, it)| text(class, at, anchor, size, it)),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    simple_shape().prop_recursive(3, 40, 6, |inner| {
        (class(), point(), target(), word(), prop::collection::vec(inner, 0..6)).prop_map(
            |(class, at, target, label, shapes)| {
                Shape::Group(Group { class, at, target, label, shapes })
            },
        )
    })
}

fn pictures() -> impl Strategy<Value = Vec<(Vec<Shape>, Option<Target>)>> {
    let picture = (prop::collection::vec(shape(), 0..12), target());
    prop::collection::vec(picture, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sequence_of_pictures_shows_the_same_as_a_full_redraw(pictures in pictures()) {
        let mut painting = Painting::default();
        for (shapes, focus) in pictures {
            painting.paint(&shapes, focus, false);
            prop_assert_eq!(painting.describe(), full_redraw(&shapes, focus));
            let reachable = painting.tree.elements.len();
            prop_assert_eq!(painting.describe().lines().count(), reachable, "nothing is left over");
            painting.paint(&shapes, focus, false);
            prop_assert_eq!(&painting.tree.operations, &Vec::<&str>::new(), "nothing has changed");
        }
    }
}

#[test]
fn element_with_a_key_is_moved_and_not_created_again() {
    let mut painting = Painting::default();
    painting.operations(&[packet(1, 0.0), packet(2, 0.0), packet(3, 0.0)]);
    assert_eq!(
        painting.operations(&[packet(1, 0.0), packet(2, 7.0), packet(3, 0.0)]),
        ["translate"]
    );
    assert_eq!(
        painting.operations(&[packet(3, 0.0), packet(1, 0.0), packet(2, 7.0)]),
        ["insert"],
        "one element changes its place"
    );
    assert_eq!(
        painting.operations(&[packet(1, 0.0), packet(2, 7.0)]),
        ["remove"],
        "the others keep their elements"
    );
    assert_eq!(painting.operations(&[packet(1, 0.01), packet(2, 7.0)]), Vec::<&str>::new());
}

#[test]
fn new_shape_in_front_does_not_touch_the_others() {
    let mut painting = Painting::default();
    let node = group(Some(Target::Node(NodeId(1))), (5.0, 5.0), "client_1", Vec::new());
    painting.operations(std::slice::from_ref(&node));
    let background = rect("background", (0.0, 0.0), (10.0, 10.0));
    let operations = painting.operations(&[background, node]);
    assert_eq!(operations.iter().filter(|it| **it == "insert").count(), 1);
    assert_eq!(operations[..2], ["create", "insert"]);
}

#[test]
fn crowd_moves_in_every_second_frame_while_it_animates() {
    let count = u32::try_from(PACKETS_CROWDED).unwrap() + 10;
    let crowd = |x: f64| (0..count).map(|id| packet(id, x)).collect::<Vec<_>>();
    let mut painting = Painting::default();
    painting.paint(&crowd(0.0), None, true);
    painting.paint(&crowd(10.0), None, true);
    let moved = painting.tree.operations.len();
    assert_eq!(moved, crowd(0.0).len() / 2);
    painting.paint(&crowd(20.0), None, true);
    assert_eq!(painting.tree.operations.len(), moved);
    painting.paint(&crowd(20.0), None, false);
    assert_eq!(painting.describe(), full_redraw(&crowd(20.0), None), "at rest, all are in place");
}

#[test]
fn tab_key_reaches_the_focus_or_the_first_node_or_the_first_target() {
    let tab_stop = |shapes: &[Shape], focus| {
        let mut painting = Painting::default();
        painting.paint(shapes, focus, false);
        let stops = painting
            .tree
            .elements
            .values()
            .filter(|it| it.attributes.get("tabindex").is_some_and(|it| it == "0"));
        stops.map(|it| it.attributes["data-target"].clone()).collect::<Vec<_>>()
    };
    let node = group(Some(Target::Node(NodeId(1))), (0.0, 0.0), "client_1", Vec::new());
    let shapes = [packet(7, 0.0), node];
    assert_eq!(tab_stop(&shapes, Some(Target::Packet(PacketId(7)))), ["packet-7"]);
    assert_eq!(tab_stop(&shapes, None), ["node-1"]);
    assert_eq!(tab_stop(&shapes[..1], None), ["packet-7"]);
}
