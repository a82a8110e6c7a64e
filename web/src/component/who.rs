//! Clients in texts: a disc in the client's colour with its number, and the name.

use yew::{Html, classes, html};

use crate::model::client_color::{client_color, short_name};
use crate::model::client_names::{ClientNames, TextPart};

/// Returns the name of a client with its disc. The number in the disc is drawn by the style sheet,
/// so that the text stays as it is.
pub(crate) fn client_view(index: usize, name: &str) -> Html {
    html! {
        <span class={classes!("who", client_color(index))}>
            <span class="who-disc" data-number={short_name(name)} aria-hidden="true"></span>
            { name }
        </span>
    }
}

/// Returns a text with the discs of the clients that it mentions.
pub(crate) fn text_with_clients(text: &str, names: &ClientNames) -> Html {
    let view = |part: TextPart<'_>| match part {
        TextPart::Text(text) => html! { { text } },
        TextPart::Client(index, name) => client_view(index, name),
    };
    html! { <>{ for names.parts(text).into_iter().map(view) }</> }
}
