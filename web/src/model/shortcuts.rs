//! The keyboard: which key asks for what, and where it doesn't.

/// What one can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    PlayPause,
    Step {
        forward: bool,
    },
    StepImportant {
        forward: bool,
    },
    StepOfNode {
        forward: bool,
    },
    GoToStart,
    GoToEnd,
    Slower,
    Faster,
    AutoPace,
    Nudge {
        forward: bool,
    },
    GoToStop {
        forward: bool,
    },
    ShowView(View),
    Vote(usize),
    /// The last hand is taken back.
    RetractVote,
    Enter,
    Escape,
    /// Does what the menu of the selected thing has under this letter.
    InjectFault(char),
    Search,
    NextViolation,
    ToggleProtection(usize),
    ToggleComparison,
    Undo,
    Redo,
    Scenarios,
    Zoom {
        zoom_in: bool,
    },
    Pan {
        forward: bool,
    },
    FitTime,
    TogglePresenting,
    FullScreen,
    ToggleBlankScreen,
    TogglePointerHalo,
    Legend,
    Export,
    CopyLink,
    ToggleLive,
    ToggleQuiz,
    Help,
    /// What the lecturer reads, in a second window.
    Notes,
    /// To the item above or below, in a picture.
    FocusItem {
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
    pub(crate) const fn test_id(self) -> &'static str {
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
pub(crate) struct KeyPress<'a> {
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
pub(crate) struct KeyContext {
    /// In a field that takes text.
    pub(crate) in_text_field: bool,
    /// On a button, a link, or another thing that is pressed with Enter and Space.
    pub(crate) on_button: bool,
    /// On a view that has time from left to right.
    pub(crate) on_time_axis: bool,
    /// In a picture whose items one goes through.
    pub(crate) in_picture: bool,
    /// A question is asked.
    pub(crate) is_question_open: bool,
    pub(crate) is_presenting: bool,
    /// Single letters are switched off.
    pub(crate) shortcuts_disabled: bool,
}

/// The list of keys, as the page shows it: what one does, and the keys.
pub(crate) const SHORTCUTS: &[(&str, &[(&str, &str)])] = &[
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
pub(crate) fn command_for(press: KeyPress<'_>, context: KeyContext) -> Option<Command> {
    if context.in_text_field {
        return (press.key == "Escape").then_some(Command::Escape);
    }
    if press.alt || (press.control && !press.key.starts_with("Arrow")) {
        return None;
    }
    named_key_command(press, context).or_else(|| {
        if context.shortcuts_disabled { None } else { character_command(press, context) }
    })
}

/// The keys that have names.
fn named_key_command(press: KeyPress<'_>, context: KeyContext) -> Option<Command> {
    Some(match press.key {
        // A button that has the focus is pressed by these.
        " " | "Enter" if context.on_button => return None,
        " " => Command::PlayPause,
        "Enter" => Command::Enter,
        "Escape" => Command::Escape,
        "Home" => Command::GoToStart,
        "End" => Command::GoToEnd,
        "PageDown" => Command::GoToStop { forward: true },
        "PageUp" => Command::GoToStop { forward: false },
        "Backspace" if context.is_question_open => Command::RetractVote,
        "ArrowUp" | "ArrowDown" if context.in_picture => {
            Command::FocusItem { forward: press.key == "ArrowDown" }
        }
        "ArrowLeft" | "ArrowRight" => {
            let forward = press.key == "ArrowRight";
            match (press.control, press.shift) {
                (true, _) => Command::StepOfNode { forward },
                (false, true) => Command::StepImportant { forward },
                (false, false) if context.is_presenting => Command::GoToStop { forward },
                (false, false) => Command::Step { forward },
            }
        }
        _ => return None,
    })
}

/// Single letters and signs.
fn character_command(press: KeyPress<'_>, context: KeyContext) -> Option<Command> {
    if let Some(digit) = press.code.strip_prefix("Digit").and_then(|it| it.parse::<usize>().ok()) {
        return match (digit, press.shift) {
            (1.., true) => Some(Command::ToggleProtection(digit - 1)),
            (0, _) => Some(Command::FitTime),
            (1.., false) if context.is_question_open => Some(Command::Vote(digit - 1)),
            (1.., false) => View::ALL.get(digit - 1).copied().map(Command::ShowView),
        };
    }
    if context.on_time_axis && !press.shift {
        match press.code {
            "KeyW" => return Some(Command::Zoom { zoom_in: true }),
            "KeyS" => return Some(Command::Zoom { zoom_in: false }),
            "KeyA" => return Some(Command::Pan { forward: false }),
            "KeyD" => return Some(Command::Pan { forward: true }),
            _ => {}
        }
    }
    Some(match press.key {
        "k" | "K" => Command::PlayPause,
        "[" => Command::Slower,
        "]" => Command::Faster,
        "\\" => Command::AutoPace,
        "." if context.is_presenting => Command::ToggleBlankScreen,
        "." => Command::Nudge { forward: true },
        "," => Command::Nudge { forward: false },
        "?" => Command::Help,
        "U" => Command::Redo,
        "u" => Command::Undo,
        "E" => Command::CopyLink,
        "e" => Command::Export,
        "D" => Command::InjectFault('D'),
        "c" | "C" => Command::InjectFault('C'),
        "r" | "R" => Command::InjectFault('R'),
        "z" | "Z" => Command::InjectFault('Z'),
        "x" | "X" => Command::InjectFault('X'),
        "y" | "Y" => Command::InjectFault('Y'),
        "n" | "N" => Command::InjectFault('N'),
        "t" | "T" => Command::InjectFault('T'),
        "v" | "V" => Command::Search,
        "g" | "G" => Command::NextViolation,
        "m" | "M" => Command::ToggleComparison,
        "o" | "O" => Command::Scenarios,
        "p" | "P" => Command::TogglePresenting,
        "f" | "F" => Command::FullScreen,
        "b" | "B" => Command::ToggleBlankScreen,
        "h" | "H" => Command::TogglePointerHalo,
        "i" | "I" => Command::Legend,
        "j" | "J" => Command::Notes,
        "l" | "L" => Command::ToggleLive,
        "q" | "Q" => Command::ToggleQuiz,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press<'a>(key: &'a str, code: &'a str) -> KeyPress<'a> {
        KeyPress { key, code, ..KeyPress::default() }
    }

    #[test]
    fn text_field_keeps_its_letters() {
        let in_text_field = KeyContext { in_text_field: true, ..KeyContext::default() };
        assert_eq!(command_for(press("c", "KeyC"), in_text_field), None);
        assert_eq!(command_for(press("Escape", "Escape"), in_text_field), Some(Command::Escape));
        let shortcuts_disabled = KeyContext { shortcuts_disabled: true, ..KeyContext::default() };
        assert_eq!(command_for(press("c", "KeyC"), shortcuts_disabled), None);
        assert_eq!(command_for(press(" ", "Space"), shortcuts_disabled), Some(Command::PlayPause));
    }

    #[test]
    fn time_axis_keys_work_only_there_and_by_position() {
        let on_time_axis = KeyContext { on_time_axis: true, ..KeyContext::default() };
        // On a French keyboard the key of W writes Z.
        assert_eq!(
            command_for(press("z", "KeyW"), on_time_axis),
            Some(Command::Zoom { zoom_in: true })
        );
        assert_eq!(
            command_for(press("z", "KeyW"), KeyContext::default()),
            Some(Command::InjectFault('Z'))
        );
        assert_eq!(command_for(press("d", "KeyD"), KeyContext::default()), None);
        let shift = KeyPress { shift: true, ..press("D", "KeyD") };
        assert_eq!(command_for(shift, on_time_axis), Some(Command::InjectFault('D')));
    }

    #[test]
    fn digits_vote_while_a_question_is_open() {
        let question_open = KeyContext { is_question_open: true, ..KeyContext::default() };
        assert_eq!(command_for(press("2", "Digit2"), question_open), Some(Command::Vote(1)));
        assert_eq!(
            command_for(press("2", "Digit2"), KeyContext::default()),
            Some(Command::ShowView(View::SpaceTime))
        );
        let shift = KeyPress { shift: true, ..press("\"", "Digit2") };
        assert_eq!(command_for(shift, question_open), Some(Command::ToggleProtection(1)));
        assert_eq!(
            command_for(press("Backspace", "Backspace"), question_open),
            Some(Command::RetractVote)
        );
        assert_eq!(command_for(press("Backspace", "Backspace"), KeyContext::default()), None);
    }

    #[test]
    fn presenter_remotes_move_between_stops() {
        let presenting = KeyContext { is_presenting: true, ..KeyContext::default() };
        for key in ["PageDown", "ArrowRight"] {
            assert_eq!(
                command_for(press(key, key), presenting),
                Some(Command::GoToStop { forward: true })
            );
        }
        assert_eq!(command_for(press(".", "Period"), presenting), Some(Command::ToggleBlankScreen));
        assert_eq!(command_for(press("b", "KeyB"), presenting), Some(Command::ToggleBlankScreen));
    }

    #[test]
    fn enter_and_space_press_the_focused_button() {
        let on_button = KeyContext { on_button: true, ..KeyContext::default() };
        assert_eq!(command_for(press(" ", "Space"), on_button), None);
        assert_eq!(command_for(press("Enter", "Enter"), on_button), None);
        let control = KeyPress { control: true, ..press("c", "KeyC") };
        assert_eq!(command_for(control, KeyContext::default()), None, "copying stays copying");
    }
}
