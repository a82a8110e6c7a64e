//! The keyboard: which key asks for what, and where it doesn't.

/// What one can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    PlayPause,
    Step {
        forward: bool,
    },
    Interesting {
        forward: bool,
    },
    OfNode {
        forward: bool,
    },
    Start,
    End,
    Slower,
    Faster,
    AutoPace,
    Nudge {
        forward: bool,
    },
    Stop {
        forward: bool,
    },
    View(View),
    Vote(usize),
    /// The last hand is taken back.
    TakeBack,
    Enter,
    Escape,
    /// Does what the menu of the selected thing has under this letter.
    Fault(char),
    Search,
    NextViolation,
    Protection(usize),
    Compare,
    Undo,
    Redo,
    Scenarios,
    Zoom {
        closer: bool,
    },
    Pan {
        forward: bool,
    },
    FitTime,
    Present,
    FullScreen,
    Blank,
    Halo,
    Legend,
    Export,
    CopyLink,
    Live,
    Quiz,
    Help,
    /// What the lecturer reads, in a second window.
    Notes,
    /// To the item above or below, in a picture.
    Item {
        forward: bool,
    },
}

/// What can be looked at, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Stage,
    SpaceTime,
    Gantt,
    Inspector,
    Log,
    Invariants,
    Files,
}

impl View {
    pub(crate) const ALL: [Self; 7] = [
        Self::Stage,
        Self::SpaceTime,
        Self::Gantt,
        Self::Inspector,
        Self::Log,
        Self::Invariants,
        Self::Files,
    ];

    /// The test hook of its panel, and its id.
    pub(crate) const fn hook(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::SpaceTime => "spacetime",
            Self::Gantt => "gantt",
            Self::Inspector => "inspector",
            Self::Log => "log",
            Self::Invariants => "invariants",
            Self::Files => "files",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Stage => "Stage",
            Self::SpaceTime => "Space-time",
            Self::Gantt => "Leases",
            Self::Inspector => "Inspector",
            Self::Log => "Log",
            Self::Invariants => "Invariants",
            Self::Files => "Files",
        }
    }
}

/// A key as it was pressed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Press<'a> {
    /// What it writes.
    pub(crate) key: &'a str,
    /// Where it is on the keyboard.
    pub(crate) code: &'a str,
    pub(crate) shift: bool,
    pub(crate) control: bool,
    pub(crate) alt: bool,
}

/// Where it was pressed.
#[allow(clippy::struct_excessive_bools, reason = "each is so or not, apart from the others")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Where {
    /// In a field that takes text.
    pub(crate) types: bool,
    /// On a button, a link, or another thing that is pressed with Enter and Space.
    pub(crate) presses: bool,
    /// On a view that has time from left to right.
    pub(crate) on_time: bool,
    /// In a picture whose items one goes through.
    pub(crate) in_picture: bool,
    /// A question is asked.
    pub(crate) is_asked: bool,
    pub(crate) presents: bool,
    /// Single letters are switched off.
    pub(crate) is_quiet: bool,
}

/// The list of keys, as the page shows it: what one does, and the keys.
pub(crate) const LIST: &[(&str, &[(&str, &str)])] = &[
    (
        "Time",
        &[
            ("Space, K", "play, pause"),
            ("← →", "one step back, one step on"),
            ("Shift ← →", "to the event before, after, that matters"),
            ("Ctrl ← →", "to what happens to the selected node"),
            ("Home, End", "to the beginning (asks anew), to the end"),
            (", .", "10 ms back, 10 ms on"),
            ("[ ]", "slower, faster"),
            ("\\", "pace by itself: slow for messages, quick when idle"),
            ("Page Up, Page Down", "to the stop before, to the next stop"),
            ("G", "to the next violation"),
        ],
    ),
    (
        "Faults, on what is selected",
        &[
            ("C · R · Z", "crash, restart, pause a node"),
            ("N · T", "cut or heal a node or link, slow clock"),
            ("X · Shift D · Y", "lose, double, hold up a packet"),
            ("Enter", "all that can be done to it"),
            ("U · Shift U", "undo, redo"),
            ("Shift 1 – 9", "take a protection away, give it back"),
        ],
    ),
    (
        "Views",
        &[
            ("1 – 7", "stage, space-time, leases, inspector, log, invariants, files"),
            ("Tab, ↑ ↓", "into a view, from item to item"),
            ("W S · A D · 0", "on a time line: zoom, move, fit"),
            ("M", "compare with the same run, one protection different"),
            ("V", "find a violation"),
            ("I", "what the signs mean"),
            ("Esc", "close, select nothing"),
        ],
    ),
    (
        "Lecture",
        &[
            ("O", "scenarios"),
            ("Q", "stops and question on, off"),
            ("1 – 4, Enter", "at a question: count a hand (presenting) or guess, reveal"),
            ("Backspace", "takes the last hand back"),
            ("P · F", "present, full screen"),
            ("J", "notes for the lecturer, in a second window"),
            ("B", "blank screen (a remote's «.» too, while presenting)"),
            ("H", "a halo around the pointer"),
            ("E · Shift E", "export, copy a link to this moment"),
            ("L", "the live server; to its live edge"),
            ("?", "this list"),
        ],
    ),
];

/// What a key asks for there; nothing where it is none of the page's.
pub(crate) fn act(press: Press<'_>, at: Where) -> Option<Act> {
    if at.types {
        return (press.key == "Escape").then_some(Act::Escape);
    }
    if press.alt || (press.control && !press.key.starts_with("Arrow")) {
        return None;
    }
    named(press, at).or_else(|| if at.is_quiet { None } else { lettered(press, at) })
}

/// The keys that have names.
fn named(press: Press<'_>, at: Where) -> Option<Act> {
    Some(match press.key {
        // A button that has the focus is pressed by these.
        " " | "Enter" if at.presses => return None,
        " " => Act::PlayPause,
        "Enter" => Act::Enter,
        "Escape" => Act::Escape,
        "Home" => Act::Start,
        "End" => Act::End,
        "PageDown" => Act::Stop { forward: true },
        "PageUp" => Act::Stop { forward: false },
        "Backspace" if at.is_asked => Act::TakeBack,
        "ArrowUp" | "ArrowDown" if at.in_picture => Act::Item { forward: press.key == "ArrowDown" },
        "ArrowLeft" | "ArrowRight" => {
            let forward = press.key == "ArrowRight";
            match (press.control, press.shift) {
                (true, _) => Act::OfNode { forward },
                (false, true) => Act::Interesting { forward },
                (false, false) if at.presents => Act::Stop { forward },
                (false, false) => Act::Step { forward },
            }
        }
        _ => return None,
    })
}

/// Single letters and signs.
fn lettered(press: Press<'_>, at: Where) -> Option<Act> {
    if let Some(digit) = press.code.strip_prefix("Digit").and_then(|it| it.parse::<usize>().ok()) {
        return match (digit, press.shift) {
            (1.., true) => Some(Act::Protection(digit - 1)),
            (0, _) => Some(Act::FitTime),
            (1.., false) if at.is_asked => Some(Act::Vote(digit - 1)),
            (1.., false) => View::ALL.get(digit - 1).copied().map(Act::View),
        };
    }
    if at.on_time && !press.shift {
        match press.code {
            "KeyW" => return Some(Act::Zoom { closer: true }),
            "KeyS" => return Some(Act::Zoom { closer: false }),
            "KeyA" => return Some(Act::Pan { forward: false }),
            "KeyD" => return Some(Act::Pan { forward: true }),
            _ => {}
        }
    }
    Some(match press.key {
        "k" | "K" => Act::PlayPause,
        "[" => Act::Slower,
        "]" => Act::Faster,
        "\\" => Act::AutoPace,
        "." if at.presents => Act::Blank,
        "." => Act::Nudge { forward: true },
        "," => Act::Nudge { forward: false },
        "?" => Act::Help,
        "U" => Act::Redo,
        "u" => Act::Undo,
        "E" => Act::CopyLink,
        "e" => Act::Export,
        "D" => Act::Fault('D'),
        "c" | "C" => Act::Fault('C'),
        "r" | "R" => Act::Fault('R'),
        "z" | "Z" => Act::Fault('Z'),
        "x" | "X" => Act::Fault('X'),
        "y" | "Y" => Act::Fault('Y'),
        "n" | "N" => Act::Fault('N'),
        "t" | "T" => Act::Fault('T'),
        "v" | "V" => Act::Search,
        "g" | "G" => Act::NextViolation,
        "m" | "M" => Act::Compare,
        "o" | "O" => Act::Scenarios,
        "p" | "P" => Act::Present,
        "f" | "F" => Act::FullScreen,
        "b" | "B" => Act::Blank,
        "h" | "H" => Act::Halo,
        "i" | "I" => Act::Legend,
        "j" | "J" => Act::Notes,
        "l" | "L" => Act::Live,
        "q" | "Q" => Act::Quiz,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press<'a>(key: &'a str, code: &'a str) -> Press<'a> {
        Press { key, code, ..Press::default() }
    }

    #[test]
    fn a_field_keeps_its_letters() {
        let typing = Where { types: true, ..Where::default() };
        assert_eq!(act(press("c", "KeyC"), typing), None);
        assert_eq!(act(press("Escape", "Escape"), typing), Some(Act::Escape));
        let quiet = Where { is_quiet: true, ..Where::default() };
        assert_eq!(act(press("c", "KeyC"), quiet), None);
        assert_eq!(act(press(" ", "Space"), quiet), Some(Act::PlayPause));
    }

    #[test]
    fn letters_of_time_lines_count_only_there_and_by_their_place() {
        let on_time = Where { on_time: true, ..Where::default() };
        // On a French keyboard the key of W writes Z.
        assert_eq!(act(press("z", "KeyW"), on_time), Some(Act::Zoom { closer: true }));
        assert_eq!(act(press("z", "KeyW"), Where::default()), Some(Act::Fault('Z')));
        assert_eq!(act(press("d", "KeyD"), Where::default()), None);
        let shift = Press { shift: true, ..press("D", "KeyD") };
        assert_eq!(act(shift, on_time), Some(Act::Fault('D')));
    }

    #[test]
    fn digits_vote_where_there_is_a_question() {
        let asked = Where { is_asked: true, ..Where::default() };
        assert_eq!(act(press("2", "Digit2"), asked), Some(Act::Vote(1)));
        assert_eq!(act(press("2", "Digit2"), Where::default()), Some(Act::View(View::SpaceTime)));
        let shift = Press { shift: true, ..press("\"", "Digit2") };
        assert_eq!(act(shift, asked), Some(Act::Protection(1)));
        assert_eq!(act(press("Backspace", "Backspace"), asked), Some(Act::TakeBack));
        assert_eq!(act(press("Backspace", "Backspace"), Where::default()), None);
    }

    #[test]
    fn remotes_go_from_stop_to_stop() {
        let presents = Where { presents: true, ..Where::default() };
        for key in ["PageDown", "ArrowRight"] {
            assert_eq!(act(press(key, key), presents), Some(Act::Stop { forward: true }));
        }
        assert_eq!(act(press(".", "Period"), presents), Some(Act::Blank));
        assert_eq!(act(press("b", "KeyB"), presents), Some(Act::Blank));
    }

    #[test]
    fn a_button_is_pressed_by_its_own_keys() {
        let on_button = Where { presses: true, ..Where::default() };
        assert_eq!(act(press(" ", "Space"), on_button), None);
        assert_eq!(act(press("Enter", "Enter"), on_button), None);
        let control = Press { control: true, ..press("c", "KeyC") };
        assert_eq!(act(control, Where::default()), None, "copying stays copying");
    }
}
