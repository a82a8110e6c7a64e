//! What a card beside a mark says, when the pointer or the focus is on the mark.

use leasehold_sim::NodeId;

/// A title and some lines of text. The panel that shows the picture draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) title: String,
    /// The client that the mark is about.
    pub(crate) client: Option<NodeId>,
    pub(crate) lines: Vec<String>,
}

impl Card {
    /// Returns a card without its empty lines.
    pub(crate) fn new(title: &str, client: Option<NodeId>, mut lines: Vec<String>) -> Self {
        lines.retain(|line| !line.is_empty());
        Self { title: title.to_owned(), client, lines }
    }

    /// Returns the text for screen readers.
    pub(crate) fn label(&self) -> String {
        if self.lines.is_empty() {
            return self.title.clone();
        }
        format!("{}: {}", self.title, self.lines.join("; "))
    }
}
