//! Keyboard shortcuts: maps key presses to commands, depending on the focus.

/// An action that the user can invoke.
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
    /// Removes the most recent vote.
    RetractVote,
    Enter,
    Escape,
    /// Injects the fault that the menu of the selected target lists under this letter.
    InjectFault(char),
    Search,
    /// Searches in the log.
    SearchLog,
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
    /// Opens the lecturer's notes in a second window.
    Notes,
    /// Moves the focus to the next or previous item of a picture.
    FocusItem {
        forward: bool,
    },
}

/// The views of the page, in the order of their keys.
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

    /// Returns the `data-testid` of its panel, which is also its id.
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

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyPress<'a> {
    /// The character that it types, or the name of the key.
    pub(crate) key: &'a str,
    /// Its physical position on the keyboard.
    pub(crate) code: &'a str,
    pub(crate) shift: bool,
    pub(crate) control: bool,
    pub(crate) alt: bool,
}

/// The focus and state of the page when a key is pressed.
#[allow(clippy::struct_excessive_bools, reason = "independent conditions")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyContext {
    /// A text field has the focus.
    pub(crate) in_text_field: bool,
    /// A button, a link, or another control that Enter and Space activate has the focus.
    pub(crate) on_button: bool,
    /// A view with a horizontal time axis has the focus.
    pub(crate) on_time_axis: bool,
    /// A picture with focusable items has the focus.
    pub(crate) in_picture: bool,
    pub(crate) is_question_open: bool,
    pub(crate) is_presenting: bool,
    /// The user has disabled single-character shortcuts.
    pub(crate) shortcuts_disabled: bool,
}

/// The list of shortcuts in the help dialog: for each area, keys and what they do.
pub(crate) const SHORTCUTS: &[(&str, &[(&str, &str)])] = &[
    (
        "Time",
        &[
            ("Space, K", "play or pause"),
            ("← →", "previous or next step"),
            ("Shift ← →", "previous or next key event"),
            ("Ctrl ← →", "previous or next event of the selected node"),
            ("Home, End", "go to the start (resets the question) or the end"),
            (", .", "10 ms back or forward"),
            ("[ ]", "slower or faster"),
            ("\\", "automatic speed: slow for messages, fast when idle"),
            ("Page Up, Page Down", "previous or next stop"),
            ("G", "next violation"),
        ],
    ),
    (
        "Faults (apply to the selection)",
        &[
            ("C · R · Z", "crash, restart or pause a node"),
            ("N · T", "partition or heal a node or link; slow clock"),
            ("X · Shift D · Y", "drop, duplicate or delay a packet"),
            ("Enter", "open the fault menu"),
            ("U · Shift U", "undo or redo"),
            ("Shift 1 – 9", "disable or enable a protection"),
        ],
    ),
    (
        "Views",
        &[
            ("1 – 7", "stage, space-time, leases, inspector, log, invariants, files"),
            ("Tab, ↑ ↓", "focus a view; move between its items"),
            ("W S · A D · 0", "on a timeline: zoom, pan, fit"),
            ("M", "compare with the same run under other protections"),
            ("V", "search for a violation"),
            ("/", "search in the log"),
            ("I", "legend"),
            ("Esc", "close, or clear the selection"),
        ],
    ),
    (
        "Lecture",
        &[
            ("O", "scenarios"),
            ("Q", "turn stops and question on or off"),
            ("1 – 4, Enter", "on a question: count a vote (presenting) or guess; reveal"),
            ("Backspace", "undo the last vote"),
            ("P · F", "presentation mode, full screen"),
            ("J", "lecturer's notes in a second window"),
            ("B", "blank the screen (while presenting, also «.», as remotes send it)"),
            ("H", "highlight the pointer"),
            ("E · Shift E", "export, or copy a link to the current time"),
            ("L", "live server; jump to the latest event"),
            ("?", "keyboard shortcuts"),
        ],
    ),
];

/// Returns the command for a key press, or `None` if the page does not handle the key.
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

/// Keys that have names, such as arrows and Enter.
fn named_key_command(press: KeyPress<'_>, context: KeyContext) -> Option<Command> {
    Some(match press.key {
        // These keys activate the focused button.
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

/// Letters, digits and other characters.
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
        "/" => Command::SearchLog,
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
    fn letters_are_not_shortcuts_in_text_fields() {
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
        assert_eq!(command_for(control, KeyContext::default()), None, "Control C still copies");
    }
}
