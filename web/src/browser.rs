//! Browser APIs: animation frames, URL, clipboard, files, full screen, and focus.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function, Map, Object, Promise, Reflect};
use leasehold_sim::VirtualTime;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{
    Blob, BlobPropertyBag, Document, Element, HtmlAnchorElement, HtmlElement, HtmlInputElement,
    SvgElement, Url, Window,
};
use yew::Callback;
use yew::platform::spawn_local;

pub(crate) fn window() -> Option<Window> {
    web_sys::window()
}

pub(crate) fn document() -> Option<Document> {
    window()?.document()
}

/// Returns the reading of the browser's monotonic clock, in milliseconds.
pub(crate) fn now() -> f64 {
    window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now())
}

/// Returns a random number from 0 (inclusive) to 1 (exclusive).
pub(crate) fn random() -> f64 {
    js_sys::Math::random()
}

/// Returns how far local time is ahead of UTC.
#[allow(clippy::cast_possible_truncation, reason = "at most 14 hours")]
pub(crate) fn utc_offset_minutes() -> i32 {
    -(js_sys::Date::new_0().get_timezone_offset() as i32)
}

/// Returns the text that the browser has stored under this name, if it keeps any.
pub(crate) fn load(name: &str) -> Option<String> {
    window()?.local_storage().ok()??.get_item(name).ok()?
}

/// Stores a text under this name, if the browser allows it. In private windows some do not.
pub(crate) fn store(name: &str, text: &str) {
    if let Some(storage) = window().and_then(|window| window.local_storage().ok().flatten()) {
        storage.set_item(name, text).ok();
    }
}

/// Whether the media query matches, such as a preference for reduced motion.
pub(crate) fn matches_media(query: &str) -> bool {
    let list = window().and_then(|window| window.match_media(query).ok().flatten());
    list.is_some_and(|list| list.matches())
}

/// Animation frames, requested only while they are needed.
pub(crate) struct Frames {
    is_requested: Rc<Cell<bool>>,
    pending_id: Rc<Cell<Option<i32>>>,
    callback: Rc<Closure<dyn FnMut(f64)>>,
}

impl Frames {
    /// Calls `on_frame` with the time of each frame, in milliseconds.
    pub(crate) fn new(on_frame: Callback<f64>) -> Self {
        let (is_requested, pending) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
        let pending_id_of_callback = Rc::clone(&pending);
        let callback = Closure::new(move |at: f64| {
            pending_id_of_callback.set(None);
            on_frame.emit(at);
        });
        Self { is_requested, pending_id: pending, callback: Rc::new(callback) }
    }

    /// Requests the next frame, or cancels the pending request.
    pub(crate) fn set_requested(&self, is_requested: bool) {
        self.is_requested.set(is_requested);
        let Some(window) = window() else { return };
        match (is_requested, self.pending_id.get()) {
            (true, None) => {
                let function: &Function = (*self.callback).as_ref().unchecked_ref();
                self.pending_id.set(window.request_animation_frame(function).ok());
            }
            (false, Some(id)) => {
                window.cancel_animation_frame(id).ok();
                self.pending_id.set(None);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

/// Returns the query of the URL, including the `?`.
pub(crate) fn query() -> String {
    window().and_then(|window| window.location().search().ok()).unwrap_or_default()
}

/// Sets the query of the URL without navigating, and the state of the entry in the browser's
/// history. Adds an entry, or replaces the current one.
pub(crate) fn set_address(query: &str, state: &str, is_new: bool) {
    let Some(window) = window() else { return };
    let Ok(path) = window.location().pathname() else { return };
    let Ok(history) = window.history() else { return };
    let (state, url) = (JsValue::from_str(state), format!("{path}{query}"));
    // Browsers refuse too many changes in a short time; the next change follows.
    if is_new {
        history.push_state_with_url(&state, "", Some(&url)).ok();
    } else {
        history.replace_state_with_url(&state, "", Some(&url)).ok();
    }
}

/// Returns the state of the current entry in the browser's history, if the page has set it.
pub(crate) fn history_state() -> Option<String> {
    window()?.history().ok()?.state().ok()?.as_string()
}

/// Returns a number that identifies this load of the page: when it started, in milliseconds.
pub(crate) fn page_load() -> u64 {
    let origin =
        window().and_then(|window| window.performance()).map_or(0.0, |it| it.time_origin());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date")]
    let millis = origin as u64;
    millis
}

/// Returns the URL of the page with this query.
pub(crate) fn page_url(query: &str) -> String {
    let location = window().map(|window| window.location());
    let location_parts = location.and_then(|it| Some((it.origin().ok()?, it.pathname().ok()?)));
    location_parts.map_or_else(String::new, |(origin, path)| format!("{origin}{path}{query}"))
}

/// Returns the content of a `meta` element of the page.
pub(crate) fn meta_content(name: &str) -> Option<String> {
    let found = document()?.query_selector(&format!("meta[name=\"{name}\"]")).ok()??;
    found.get_attribute("content")
}

/// Copies a text to the clipboard, and reports whether that succeeded.
pub(crate) fn copy_text(text: &str, done: Callback<bool>) {
    let clipboard = window().map(|window| window.navigator().clipboard());
    // Despite its type, it is undefined in an insecure context.
    let Some(clipboard) = clipboard.filter(|it| !it.is_undefined()) else {
        done.emit(false);
        return;
    };
    let writing = clipboard.write_text(text);
    spawn_local(async move {
        done.emit(wasm_bindgen_futures::JsFuture::from(writing).await.is_ok());
    });
}

/// Returns a function of the browser's `navigator`, unless this browser does not have it.
fn navigator_function(name: &str) -> Option<(JsValue, Function)> {
    let navigator: JsValue = window()?.navigator().into();
    let function = Reflect::get(&navigator, &name.into()).ok()?.dyn_into::<Function>().ok()?;
    Some((navigator, function))
}

/// Whether the device has a share sheet, as phones have.
pub(crate) fn has_share_sheet() -> bool {
    navigator_function("share").is_some()
}

/// Opens the share sheet of the device.
pub(crate) fn open_share_sheet(title: &str, url: &str) -> Option<()> {
    let (navigator, share) = navigator_function("share")?;
    let data = Object::new();
    for (key, value) in [("title", title), ("url", url)] {
        Reflect::set(&data, &key.into(), &value.into()).ok()?;
    }
    let promise = share.call1(&navigator, &data).ok()?.dyn_into::<Promise>().ok()?;
    spawn_local(async move {
        // The user may close the sheet.
        wasm_bindgen_futures::JsFuture::from(promise).await.ok();
    });
    Some(())
}

/// Offers a file for download.
pub(crate) fn download(name: &str, kind: &str, parts: &JsValue) -> Option<()> {
    let bag = BlobPropertyBag::new();
    bag.set_type(kind);
    let parts = Array::of1(parts);
    let blob = Blob::new_with_buffer_source_sequence_and_options(&parts, &bag).ok()?;
    let address = Url::create_object_url_with_blob(&blob).ok()?;
    let anchor: HtmlAnchorElement = document()?.create_element("a").ok()?.dyn_into().ok()?;
    anchor.set_href(&address);
    anchor.set_download(name);
    anchor.click();
    Url::revoke_object_url(&address).ok()
}

/// Offers a text as a file.
pub(crate) fn download_text(name: &str, kind: &str, text: &str) {
    download(name, kind, &JsValue::from_str(text));
}

/// Renders an SVG picture as a PNG, enlarged by `scale`, and offers it for download.
pub(crate) fn download_png(name: &str, svg: &str, (width, height): (f64, f64), scale: f64) {
    let name = name.to_owned();
    let source = format!("data:image/svg+xml;charset=utf-8,{}", js_sys::encode_uri_component(svg));
    spawn_local(async move {
        draw_png(&name, &source, (width, height), scale).await;
    });
}

async fn draw_png(name: &str, source: &str, (width, height): (f64, f64), scale: f64) -> Option<()> {
    let image = web_sys::HtmlImageElement::new().ok()?;
    image.set_src(source);
    wasm_bindgen_futures::JsFuture::from(image.decode()).await.ok()?;
    let canvas = document()?.create_element("canvas").ok()?;
    let canvas: web_sys::HtmlCanvasElement = canvas.dyn_into().ok()?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a screen's size")]
    let size = ((width * scale) as u32, (height * scale) as u32);
    canvas.set_width(size.0);
    canvas.set_height(size.1);
    let context = canvas.get_context("2d").ok()??;
    let context: web_sys::CanvasRenderingContext2d = context.dyn_into().ok()?;
    context
        .draw_image_with_html_image_element_and_dw_and_dh(
            &image,
            0.0,
            0.0,
            f64::from(size.0),
            f64::from(size.1),
        )
        .ok()?;
    let data = canvas.to_data_url_with_type("image/png").ok()?;
    let anchor: HtmlAnchorElement = document()?.create_element("a").ok()?.dyn_into().ok()?;
    anchor.set_href(&data);
    anchor.set_download(name);
    anchor.click();
    Some(())
}

/// Reads a file as text. Reports `None` if it cannot be read.
pub(crate) fn read_file(file: &web_sys::File, done: Callback<Option<String>>) {
    let reading = file.text();
    spawn_local(async move {
        let read = wasm_bindgen_futures::JsFuture::from(reading).await;
        done.emit(read.ok().and_then(|text| text.as_string()));
    });
}

/// Enters or leaves full-screen mode.
pub(crate) fn toggle_full_screen() {
    let Some(document) = document() else { return };
    if document.fullscreen_element().is_some() {
        document.exit_fullscreen();
    } else if let Some(root) = document.document_element() {
        // The browser may deny the request; there is no fallback.
        root.request_fullscreen().ok();
    }
}

/// Keeps the screen on until the page is hidden, if the browser supports it.
pub(crate) fn keep_awake() {
    let Some(window) = window() else { return };
    let navigator: JsValue = window.navigator().into();
    let lock = Reflect::get(&navigator, &"wakeLock".into()).ok().filter(JsValue::is_object);
    let Some(lock) = lock else { return };
    let request = Reflect::get(&lock, &"request".into()).ok();
    let Some(request) = request.and_then(|it| it.dyn_into::<Function>().ok()) else { return };
    if let Ok(promise) = request.call1(&lock, &"screen".into())
        && let Ok(promise) = promise.dyn_into::<Promise>()
    {
        spawn_local(async move {
            // The browser may refuse, for example if the battery is low; there is no fallback.
            wasm_bindgen_futures::JsFuture::from(promise).await.ok();
        });
    }
}

/// Returns the element with this id.
pub(crate) fn element(id: &str) -> Option<Element> {
    document()?.get_element_by_id(id)
}

/// Updates the clock and the slider of the tape.
pub(crate) fn show_time(now: VirtualTime, label: &str, end_label: &str) {
    if let Some(clock) = element("time").filter(|it| it.text_content().as_deref() != Some(label)) {
        clock.set_text_content(Some(label));
    }
    let range = element("when").and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
    let value = now.as_millis().to_string();
    if let Some(range) = range.filter(|range| range.value() != value) {
        range.set_value(&value);
        // Cannot fail: the attribute's name is well formed.
        range.set_attribute("aria-valuetext", &format!("{label} of {end_label}")).ok();
    }
}

/// Returns the inner size of an element, in CSS pixels.
pub(crate) fn inner_size(id: &str) -> Option<(f64, f64)> {
    let element = element(id)?;
    Some((f64::from(element.client_width()), f64::from(element.client_height())))
}

/// Places an element below the button with this `data-testid`, inside the window.
pub(crate) fn place_below(element: &HtmlElement, test_id: &str) -> Option<()> {
    let button = document()?.query_selector(&format!("[data-testid={test_id}]")).ok()??;
    let rect = button.get_bounding_client_rect();
    let style = element.style();
    if rect.width() <= 0.0 {
        // The button is hidden. The style sheet has a place for this case.
        style.remove_property("--anchor-left").ok()?;
        return style.remove_property("--anchor-bottom").ok().map(|_| ());
    }
    // The style sheet keeps the element inside the window.
    style.set_property("--anchor-left", &format!("{}px", rect.left())).ok()?;
    style.set_property("--anchor-bottom", &format!("{}px", rect.bottom())).ok()
}

/// Focuses the first element that matches one of the selectors, which are tried in order.
pub(crate) fn focus_first(selectors: &[String]) {
    let Some(document) = document() else { return };
    let find = |selector: &String| document.query_selector(selector).ok().flatten();
    if let Some(element) = selectors.iter().find_map(find) {
        focus(&element);
    }
}

/// Scrolls the list of the first element that matches the selector, so that the element is visible.
/// The page itself does not scroll.
pub(crate) fn scroll_into_view(selector: &str) -> Option<()> {
    let element = document()?.query_selector(selector).ok()??;
    let list = element.parent_element()?;
    let (item, frame) = (element.get_bounding_client_rect(), list.get_bounding_client_rect());
    if item.top() < frame.top() || item.bottom() > frame.bottom() {
        #[allow(clippy::cast_possible_truncation, reason = "a distance on a screen")]
        let distance = (item.top() - frame.top() - frame.height() / 3.0) as i32;
        list.set_scroll_top(list.scroll_top() + distance);
    }
    Some(())
}

/// Marks each occurrence of a text in the elements that match the selector, without changing the
/// document. Browsers that cannot do this show the rows of the matches only.
pub(crate) fn highlight_text(name: &str, selector: &str, text: &str) -> Option<()> {
    let css = Reflect::get(&js_sys::global(), &"CSS".into()).ok()?;
    let highlights = Reflect::get(&css, &"highlights".into()).ok()?.dyn_into::<Map>().ok()?;
    highlights.delete(&name.into());
    if text.is_empty() {
        return Some(());
    }
    let document = document()?;
    let highlight: Function =
        Reflect::get(&js_sys::global(), &"Highlight".into()).ok()?.dyn_into().ok()?;
    let ranges = Array::new();
    let rows = document.query_selector_all(selector).ok()?;
    for index in 0..rows.length() {
        let walker = document.create_tree_walker_with_what_to_show(&rows.item(index)?, SHOW_TEXT);
        let walker = walker.ok()?;
        while let Some(node) = walker.next_node().ok()? {
            let content = node.text_content().unwrap_or_default().to_ascii_lowercase();
            let mut end = 0;
            while let Some(found) = content[end..].find(text) {
                let start = end + found;
                end = start + text.len();
                // The browser counts in UTF-16.
                let offset = |at: usize| content[..at].encode_utf16().count();
                let range = document.create_range().ok()?;
                range.set_start(&node, u32::try_from(offset(start)).ok()?).ok()?;
                range.set_end(&node, u32::try_from(offset(end)).ok()?).ok()?;
                ranges.push(&range);
            }
        }
    }
    let value = Reflect::construct(&highlight, &ranges).ok()?;
    highlights.set(&name.into(), &value);
    Some(())
}

/// Text nodes, for a walk through a document.
const SHOW_TEXT: u32 = 4;

/// Focuses an element of the page or of a picture. Only elements of the page are `HtmlElement`s.
fn focus(element: &Element) {
    if let Some(element) = element.dyn_ref::<HtmlElement>() {
        element.focus().ok();
    } else if let Some(element) = element.dyn_ref::<SvgElement>() {
        element.focus().ok();
    }
}

/// Moves the focus to the next or previous target in the same picture.
pub(crate) fn focus_neighbour(forward: bool) -> Option<()> {
    move_focus("svg", "[data-target]", forward)
}

/// Moves the focus to the next or previous item in the list of a dialog.
pub(crate) fn focus_next_in_list(forward: bool) -> Option<()> {
    move_focus("dialog", "li > button", forward)
}

fn move_focus(container: &str, item: &str, forward: bool) -> Option<()> {
    let focused = document()?.active_element()?;
    let items = focused.closest(container).ok()??.query_selector_all(item).ok()?;
    let count = items.length();
    let same = |index: &u32| items.item(*index).is_some_and(|it| it == *focused.as_ref());
    let focused_index = (0..count).find(same);
    let next = match (focused_index, forward) {
        (Some(focused_index), true) => (focused_index + 1) % count.max(1),
        (Some(focused_index), false) => (focused_index + count.saturating_sub(1)) % count.max(1),
        (None, _) => 0,
    };
    focus(items.item(next)?.dyn_ref()?);
    Some(())
}

/// Returns the style rules of pictures with the current values of all colours, for exported
/// pictures.
pub(crate) fn picture_style() -> String {
    let mut style = String::new();
    let Some(document) = document() else { return style };
    let sheets = document.style_sheets();
    for index in 0..sheets.length() {
        let rules = sheets.item(index).map(|sheet| Object::from(JsValue::from(sheet)));
        let rules = rules.and_then(|sheet| Reflect::get(&sheet, &"cssRules".into()).ok());
        let Some(rules) = rules.and_then(|it| js_sys::try_iter(&it).ok().flatten()) else {
            continue;
        };
        for rule in rules.flatten() {
            let text = Reflect::get(&rule, &"cssText".into()).ok().and_then(|it| it.as_string());
            style.extend(text.filter(|text| text.contains(".picture")));
        }
    }
    resolve_variables(&style)
}

/// Replaces each `var(--name)` by its current value.
fn resolve_variables(style: &str) -> String {
    let root = document().and_then(|document| document.document_element());
    let computed = root.and_then(|root| window()?.get_computed_style(&root).ok().flatten());
    let Some(computed) = computed else { return style.to_owned() };
    let scheme = computed.get_property_value("color-scheme").unwrap_or_default();
    let is_dark = match scheme.as_str() {
        "dark" => true,
        "light" => false,
        _ => matches_media("(prefers-color-scheme: dark)"),
    };
    let mut out = String::new();
    let mut rest = style;
    while let Some((before, after)) = rest.split_once("var(") {
        out.push_str(before);
        let (name, after_name) = after.split_once(')').unwrap_or((after, ""));
        let name = name.split(',').next().unwrap_or_default().trim();
        let value = computed.get_property_value(name).unwrap_or_default();
        out.push_str(active_color(value.trim(), is_dark));
        rest = after_name;
    }
    out.push_str(rest);
    out
}

/// Resolves `light-dark(…)` to the colour of the current scheme.
fn active_color(value: &str, is_dark: bool) -> &str {
    let both = value.strip_prefix("light-dark(").and_then(|it| it.strip_suffix(')'));
    match both.and_then(|both| both.split_once(',')) {
        Some((_, dark)) if is_dark => dark.trim(),
        Some((light, _)) => light.trim(),
        None => value,
    }
}

/// Whether the focused element or one of its ancestors matches the selector.
pub(crate) fn focus_is_in(selector: &str) -> bool {
    let focused = document().and_then(|document| document.active_element());
    focused.is_some_and(|it| it.closest(selector).ok().flatten().is_some())
}

/// Whether the focused element itself matches the selector.
pub(crate) fn focus_matches(selector: &str) -> bool {
    let focused = document().and_then(|document| document.active_element());
    focused.is_some_and(|it| it.matches(selector).unwrap_or(false))
}
