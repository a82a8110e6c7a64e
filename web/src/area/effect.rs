//! What the browser must do after a message.

use leasehold_core::id::Name;
use web_sys::File;

use super::address::Address;
use super::layout::Theme;
use crate::feed::resume_point::ResumePoint;
use crate::feed::search_protocol::SearchRequest;
use crate::picture::shape::Picture;

/// Something outside of the page's state.
pub(crate) enum Effect {
    /// Focuses the first element that matches one of these selectors, after the next drawing. The
    /// first selector is tried first.
    Focus(Vec<String>),
    /// Scrolls the element that matches this selector into view, after the next drawing.
    ScrollTo(&'static str),
    /// Moves the focus to the next or previous target in the same picture.
    FocusNeighbour {
        forward: bool,
    },
    /// Measures the picture areas right after the next drawing.
    Measure,
    /// Measures the picture areas at once.
    MeasureNow,
    /// Sets the URL, and the entry in the browser's history.
    SetAddress(Address),
    SetTheme(Theme),
    /// Starts a timer with this delay in milliseconds. A timer that is already running starts
    /// again.
    StartTimer(Timer, u32),
    StopTimer(Timer),

    /// Connects to the server's event stream, after this log index if it is set. An open
    /// connection is closed first.
    OpenSocket(Option<ResumePoint>),
    CloseSocket,
    FetchFile(Name),
    /// Fetches the server's state, for a recording.
    FetchState,

    /// Loads the worker that searches, so that it can search offline.
    LoadSearch,
    /// Starts a search in a worker.
    StartSearch(Box<SearchRequest>),
    StopSearch,

    /// Copies the URL with this query to the clipboard.
    CopyLink(String),
    /// Copies a test to the clipboard.
    CopyTest(String),
    /// Opens the share sheet of the device, with the URL with this query.
    OpenShareSheet {
        title: String,
        query: String,
    },
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
    /// Stores the user's progress, if the browser allows it.
    StoreProgress(String),
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
    /// Writes the moment into the address, once.
    Moment,
}

impl Timer {
    pub(crate) const fn is_repeated(self) -> bool {
        match self {
            Self::Toast | Self::LongPress | Self::Moment => false,
            Self::Vote | Self::Connection => true,
        }
    }
}
