//! Texts about keys. Without a keyboard, on a phone, they say "tap", or nothing.
//!
//! The style sheet shows the text for the main pointer: `.for-keys` and `.key-hint` for a mouse,
//! `.for-touch` for a finger.

use yew::{Html, html};

/// Returns the label of a button, with its key.
pub(crate) fn with_key(text: &'static str, key: &'static str) -> Html {
    html! { <>{ text }<span class="key-hint">{ format!(" ({key})") }</span></> }
}

/// Returns the text for a mouse and a keyboard, or that for a finger.
pub(crate) fn by_pointer(keys: &'static str, touch: &'static str) -> Html {
    html! { <>
        <span class="for-keys">{ keys }</span><span class="for-touch">{ touch }</span>
    </> }
}
