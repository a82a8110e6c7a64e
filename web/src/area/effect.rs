//! What the browser must do after a message.

use leasehold_core::id::{LogIndex, Name};
use web_sys::File;

use super::layout::Theme;
use crate::feed::search_protocol::SearchRequest;
use crate::picture::shape::Picture;

/// Something outside of the page's state.
pub(crate) enum Effect {
    /// Focuses the first element that matches one of these selectors, after the next drawing. The
    /// first selector is tried first.
    Focus(Vec<String>),
    /// Moves the focus to the next or previous target in the same picture.
    FocusNeighbour {
        forward: bool,
    },
    /// Measures the picture areas right after the next drawing.
    Measure,
    /// Measures the picture areas at once.
    MeasureNow,
    /// Sets the query of the URL.
    SetQuery(String),
    SetTheme(Theme),
    /// Starts a timer with this delay in milliseconds. A timer that is already running starts
    /// again.
    StartTimer(Timer, u32),
    StopTimer(Timer),

    /// Connects to the server's event stream, after this log index if it is set. An open
    /// connection is closed first.
    OpenSocket(Option<LogIndex>),
    CloseSocket,
    FetchFile(Name),
    /// Fetches the server's state, for a recording.
    FetchState,

    /// Starts a search in a worker.
    StartSearch(Box<SearchRequest>),
    StopSearch,

    /// Copies the URL with this query to the clipboard.
    CopyLink(String),
    SaveText {
        file_name: String,
        media_type: &'static str,
        text: String,
    },
    SavePicture {
        file_name: String,
        picture: Picture,
        format: PictureFormat,
    },
    ReadFile(File),

    OpenNotesWindow,
    /// Sends the notes to the notes window.
    PostNotes(String),
    ToggleFullScreen,
    /// Keeps the screen on.
    KeepAwake,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureFormat {
    Svg,
    /// A bitmap, enlarged by this factor.
    Png(u8),
}

/// A timer. When it fires, the area that it belongs to receives a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Closes the toast, once.
    Toast,
    /// Opens the menu of the pressed target, once.
    LongPress,
    /// Updates the time left for votes, repeatedly.
    Vote,
    /// Checks the connection to the server, repeatedly.
    Connection,
}

impl Timer {
    pub(crate) const fn is_repeated(self) -> bool {
        match self {
            Self::Toast | Self::LongPress => false,
            Self::Vote | Self::Connection => true,
        }
    }
}
