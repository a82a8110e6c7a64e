//! Large and narrow screens, roles and meanings.

use serde_json::json;

use crate::{is_visible, open_page};

#[test]
fn type_is_larger_on_a_larger_screen() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    let sizes = |selectors: &[&str]| -> Vec<f64> {
        browser.wait_until_settled();
        let size = |selector: &&str| {
            let size = browser.run(&format!(
                "return parseFloat(getComputedStyle(document.querySelector('{selector}')).fontSize)"
            ));
            size.as_f64().unwrap_or_default()
        };
        selectors.iter().map(size).collect()
    };
    let pictures = ["#stage text.name", "[data-testid=gantt] text"];
    let presented = ["[data-testid=caption]", "[data-testid=time]"];
    for is_presenting in [false, true] {
        if is_presenting {
            browser.press("p");
        }
        let texts = if is_presenting { [pictures, presented].concat() } else { pictures.to_vec() };
        browser.resize(1280, 720);
        let small = sizes(&texts);
        browser.resize(1920, 1080);
        let large = sizes(&texts);
        for ((text, small), large) in texts.iter().zip(small).zip(large) {
            let text = format!("{text}, presenting: {is_presenting}");
            assert!(large >= small * 1.2, "{text}: {large} px at 1920, {small} px at 1280");
        }
    }
}

#[test]
fn items_of_pictures_that_can_be_activated_are_buttons() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    let roles = browser.run(
        "return [...new Set([...document.querySelectorAll('[data-target]')]
            .map(it => it.getAttribute('role')))]",
    );
    assert_eq!(roles, json!(["button"]));
}

#[test]
fn invariants_say_what_they_mean_without_a_pointer() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    for invariant in ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "L1", "L2"] {
        let text = browser.text(&format!("invariant-{invariant}")).unwrap_or_default();
        let letters = text.chars().filter(|it| it.is_alphabetic()).count();
        assert!(letters > 6, "{invariant} is shown as {text:?}");
    }
}

#[test]
fn a_narrow_screen_offers_every_tool() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    browser.resize(390, 844);
    browser.wait_until_settled();
    let has_menu = is_visible(&browser, "menu");
    if has_menu {
        browser.click("menu");
        browser.wait_until_settled();
    }
    let tools = ["compare", "search", "share", "help", "present", "theme"];
    let is_offered = |id: &str| {
        is_visible(&browser, id) || has_menu && is_visible(&browser, &format!("menu-{id}"))
    };
    let missing: Vec<&str> = tools.into_iter().filter(|id| !is_offered(id)).collect();
    assert!(missing.is_empty(), "out of reach: {missing:?}");
}
