//! The names of the clients of a run, and where a text mentions them.

use std::collections::BTreeMap;

use leasehold_sim::Run;

/// The index of each client in the configuration, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientNames(BTreeMap<String, usize>);

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextPart<'a> {
    Text(&'a str),
    /// The name of the client with this index, counted from 0.
    Client(usize, &'a str),
}

impl ClientNames {
    pub(crate) fn of_run(run: &Run) -> Self {
        let clients = run.config.clients.iter().enumerate();
        let mut indices = BTreeMap::new();
        indices.extend(clients.map(|(index, client)| (client.name.to_string(), index)));
        Self(indices)
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    /// Splits a text at the names of clients. Together, the parts are the text.
    pub(crate) fn parts<'a>(&self, text: &'a str) -> Vec<TextPart<'a>> {
        let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
        let mut parts = Vec::new();
        // The end of the parts so far, and of the text that was searched.
        let (mut done, mut searched) = (0, 0);
        while let Some(start) = text[searched..].find(is_name).map(|found| searched + found) {
            let length = text[start..].find(|char| !is_name(char));
            let end = length.map_or(text.len(), |length| start + length);
            if let Some(index) = self.index_of(&text[start..end]) {
                if done < start {
                    parts.push(TextPart::Text(&text[done..start]));
                }
                parts.push(TextPart::Client(index, &text[start..end]));
                done = end;
            }
            searched = end;
        }
        if done < text.len() {
            parts.push(TextPart::Text(&text[done..]));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Scenario;

    #[test]
    fn names_are_found_as_whole_words() {
        let run = Scenario::from_name("thundering-herd").unwrap().resolve_run();
        let names = ClientNames::of_run(&run);
        let text = "server rejects client_2's append: client_1, not client_22 (client_2)";
        let parts = names.parts(text);
        assert_eq!(
            parts,
            [
                TextPart::Text("server rejects "),
                TextPart::Client(1, "client_2"),
                TextPart::Text("'s append: "),
                TextPart::Client(0, "client_1"),
                TextPart::Text(", not client_22 ("),
                TextPart::Client(1, "client_2"),
                TextPart::Text(")"),
            ]
        );
        assert_eq!(names.parts(""), []);
        assert_eq!(names.parts("§ é"), [TextPart::Text("§ é")]);
    }
}
