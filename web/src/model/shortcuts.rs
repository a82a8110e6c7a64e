//! Keyboard shortcuts: maps key presses to commands, depending on the focus.

use leasehold_sim::Protection;

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
    /// Goes to the next or previous event of an explanation.
    StepExplanation {
        forward: bool,
    },
    CloseExplanation,
    /// Injects the fault that the menu of the selected target lists under this letter.
    InjectFault(char),
    Search,
    /// Searches in the log.
    SearchLog,
    NextViolation,
    ToggleProtection(Protection),
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
    Load,
}

impl View {
    pub(crate) const ALL: [Self; 8] = [
        Self::Stage,
        Self::SpaceTime,
        Self::Gantt,
        Self::Inspector,
        Self::Log,
        Self::Invariants,
        Self::Files,
        Self::Load,
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
            Self::Load => "load",
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
            Self::Load => "Load",
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
    /// The causes of an event are shown one after the other.
    pub(crate) is_explaining: bool,
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
            (
                "Shift 1 – 9, Shift 0",
                "disable or enable a protection (its number is on its button)",
            ),
            ("Shift A · S · W", "fifo, lock-order, read-lock"),
        ],
    ),
    (
        "Views",
        &[
            ("1 – 8", "stage, space-time, leases, inspector, log, invariants, files, load"),
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
            ("Enter", "on an answer: explain it, one event for each key"),
            ("→ ←, Esc", "in an explanation: next or previous event; close"),
            ("Backspace", "undo the last vote"),
            ("P · F", "presentation mode, full screen"),
            ("4 – 7", "while presenting: show a panel beside the stage, or hide it"),
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
    let explanation = context.is_explaining.then(|| explanation_command(press, context)).flatten();
    explanation.or_else(|| named_key_command(press, context)).or_else(|| {
        if context.shortcuts_disabled { None } else { character_command(press, context) }
    })
}

/// Keys that go through an explanation.
fn explanation_command(press: KeyPress<'_>, context: KeyContext) -> Option<Command> {
    if press.shift || press.control {
        return None;
    }
    Some(match press.key {
        "Enter" if context.on_button => return None,
        "ArrowRight" | "PageDown" | "Enter" => Command::StepExplanation { forward: true },
        "ArrowLeft" | "PageUp" => Command::StepExplanation { forward: false },
        "Escape" => Command::CloseExplanation,
        _ => return None,
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

/// The keys of the protections, in the order of [`Protection::ALL`], each with Shift: digits by
/// their position on the keyboard, then letters that no other command uses.
const PROTECTION_KEYS: [char; Protection::ALL.len()] =
    ['1', '2', '3', '4', '5', '6', '7', '8', '9', '0', 'A', 'S', 'W'];

/// Returns the fixed number of a protection, counted from 1.
pub(crate) fn protection_number(protection: Protection) -> usize {
    protection as usize + 1
}

/// Returns the label of the key that disables and enables a protection, such as "Shift 1".
pub(crate) fn protection_key(protection: Protection) -> String {
    format!("Shift {}", PROTECTION_KEYS[protection as usize])
}

fn protection_of_key(press: KeyPress<'_>) -> Option<Protection> {
    let digit = press.code.strip_prefix("Digit").and_then(|digit| digit.chars().next());
    let mut characters = press.key.chars();
    let letter = characters.next().filter(|_| characters.next().is_none());
    let key = digit.or(letter.filter(char::is_ascii_uppercase))?;
    let index = PROTECTION_KEYS.iter().position(|it| *it == key)?;
    Protection::ALL.get(index).copied()
}

/// Letters, digits and other characters.
fn character_command(press: KeyPress<'_>, context: KeyContext) -> Option<Command> {
    if let Some(digit) = press.code.strip_prefix("Digit").and_then(|it| it.parse::<usize>().ok()) {
        return match (digit, press.shift) {
            (_, true) => protection_of_key(press).map(Command::ToggleProtection),
            (0, false) => Some(Command::FitTime),
            (1.., false) if context.is_question_open => Some(Command::Vote(digit - 1)),
            (1.., false) => View::ALL.get(digit - 1).copied().map(Command::ShowView),
        };
    }
    if press.shift
        && let Some(protection) = protection_of_key(press)
    {
        return Some(Command::ToggleProtection(protection));
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
mod tests;
