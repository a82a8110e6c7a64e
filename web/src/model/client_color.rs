//! The colours of clients: eight hues, always doubled by the client's number. Further clients have
//! a neutral colour.
//!
//! A class gives its element and the descendants the property `--who`, and shapes of pictures the
//! current colour. Text on a filled shape has the colour `--on-client`.

use leasehold_sim::NodeId;

/// The number of clients that have a hue of their own.
pub(crate) const HUES: usize = 8;

const CLASSES: [&str; HUES] =
    ["who-1", "who-2", "who-3", "who-4", "who-5", "who-6", "who-7", "who-8"];

/// The class of everything that has no hue.
pub(crate) const NEUTRAL: &str = "who-other";

/// Returns the class of the client with this index in the configuration, counted from 0.
pub(crate) fn client_color(index: usize) -> &'static str {
    CLASSES.get(index).copied().unwrap_or(NEUTRAL)
}

/// Returns the class of a node; the server is neutral.
pub(crate) fn node_color(node: NodeId) -> &'static str {
    usize::from(node.0).checked_sub(1).map_or(NEUTRAL, client_color)
}

/// Returns what stands for a client where its name does not fit: the number at the end of its name,
/// or the first two letters.
pub(crate) fn short_name(name: &str) -> String {
    let digits = name.chars().rev().take_while(char::is_ascii_digit).count();
    if (1..=3).contains(&digits) {
        name[name.len() - digits..].to_owned()
    } else {
        name.chars().take(2).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_clients_have_a_hue_and_the_ninth_is_neutral() {
        assert_eq!((client_color(0), client_color(7)), ("who-1", "who-8"));
        assert_eq!((client_color(8), node_color(NodeId::SERVER)), (NEUTRAL, NEUTRAL));
        assert_eq!(node_color(NodeId(1)), client_color(0));
    }

    #[test]
    fn style_sheets_define_every_class() {
        let tokens = include_str!("../../style/tokens.css");
        let picture = include_str!("../../style/picture.css");
        for class in CLASSES.into_iter().chain([NEUTRAL]) {
            let token = class.replace("who-", "--client-");
            assert!(tokens.contains(&format!("{token}: light-dark(")), "{token}");
            assert!(tokens.contains(&format!(".{class} {{\n  --who: var({token});")), "{class}");
            let rule = format!(".picture .{class} {{\n  color: var({token});");
            assert!(picture.contains(&rule), "{rule}");
        }
    }

    #[test]
    fn names_are_shortened() {
        assert_eq!((short_name("client_12"), short_name("ann")), ("12".into(), "an".into()));
    }
}
