//! Keys and commands.

use std::collections::BTreeSet;

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
    assert_eq!(
        command_for(shift, question_open),
        Some(Command::ToggleProtection(Protection::Dedupe))
    );
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

/// Returns a name for each kind of command. Exhaustive, so that a new command needs a name here,
/// and a key.
const fn name(command: Command) -> &'static str {
    match command {
        Command::PlayPause => "play",
        Command::Step { .. } => "step",
        Command::StepImportant { .. } => "key event",
        Command::StepOfNode { .. } => "event of node",
        Command::GoToStart => "start",
        Command::GoToEnd => "end",
        Command::Slower => "slower",
        Command::Faster => "faster",
        Command::AutoPace => "automatic speed",
        Command::Nudge { .. } => "nudge",
        Command::GoToStop { .. } => "stop",
        Command::ShowView(_) => "view",
        Command::Vote(_) => "vote",
        Command::RetractVote => "retract vote",
        Command::Enter => "enter",
        Command::Escape => "escape",
        Command::StepExplanation { .. } => "step explanation",
        Command::CloseExplanation => "close explanation",
        Command::InjectFault(_) => "fault",
        Command::Search => "search",
        Command::SearchLog => "search in the log",
        Command::NextViolation => "next violation",
        Command::ToggleProtection(_) => "protection",
        Command::ToggleComparison => "compare",
        Command::Undo => "undo",
        Command::Redo => "redo",
        Command::Scenarios => "scenarios",
        Command::Zoom { .. } => "zoom",
        Command::Pan { .. } => "pan",
        Command::FitTime => "fit",
        Command::TogglePresenting => "present",
        Command::FullScreen => "full screen",
        Command::ToggleBlankScreen => "blank",
        Command::TogglePointerHalo => "halo",
        Command::Legend => "legend",
        Command::Export => "export",
        Command::CopyLink => "copy link",
        Command::ToggleLive => "live",
        Command::ToggleQuiz => "quiz",
        Command::Help => "help",
        Command::Notes => "notes",
        Command::FocusItem { .. } => "item",
    }
}

/// The number of kinds of commands.
const COMMANDS: usize = 42;

const NAMED_KEYS: [&str; 13] = [
    " ",
    "Enter",
    "Escape",
    "Home",
    "End",
    "PageDown",
    "PageUp",
    "Backspace",
    "ArrowUp",
    "ArrowDown",
    "ArrowLeft",
    "ArrowRight",
    "Tab",
];

/// Returns all key presses of a keyboard with the American layout: key, code, Shift, Control.
fn all_presses() -> Vec<(String, String, bool, bool)> {
    let mut keys: Vec<(String, String, bool)> = Vec::new();
    for key in NAMED_KEYS {
        keys.extend([false, true].map(|shift| (key.to_owned(), key.to_owned(), shift)));
    }
    for letter in 'A'..='Z' {
        let code = format!("Key{letter}");
        keys.push((letter.to_ascii_lowercase().to_string(), code.clone(), false));
        keys.push((letter.to_string(), code, true));
    }
    for (digit, shifted) in ('0'..='9').zip(")!@#$%^&*(".chars()) {
        keys.push((digit.to_string(), format!("Digit{digit}"), false));
        keys.push((shifted.to_string(), format!("Digit{digit}"), true));
    }
    for (plain, shifted) in ["[{", "]}", "\\|", ",<", ".>", "/?", ";:", "'\"", "-_", "=+"]
        .map(|it| (it.chars().next().unwrap(), it.chars().nth(1).unwrap()))
    {
        keys.push((plain.to_string(), "Other".to_owned(), false));
        keys.push((shifted.to_string(), "Other".to_owned(), true));
    }
    let with_control = |(key, code, shift): (String, String, bool)| {
        [false, true].map(|control| (key.clone(), code.clone(), shift, control))
    };
    keys.into_iter().flat_map(with_control).collect()
}

fn all_contexts() -> Vec<KeyContext> {
    let context = |bits: u32| KeyContext {
        in_text_field: bits & 1 != 0,
        on_button: bits & 2 != 0,
        on_time_axis: bits & 4 != 0,
        in_picture: bits & 8 != 0,
        is_question_open: bits & 16 != 0,
        is_explaining: bits & 32 != 0,
        is_presenting: bits & 64 != 0,
        ..KeyContext::default()
    };
    (0..128).map(context).collect()
}

#[test]
fn every_command_has_a_key() {
    let (mut names, mut protections, mut views) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (key, code, shift, control) in &all_presses() {
        let press = KeyPress { key, code, shift: *shift, control: *control, alt: false };
        for command in all_contexts().into_iter().filter_map(|it| command_for(press, it)) {
            names.insert(name(command));
            if let Command::ToggleProtection(protection) = command {
                protections.insert(protection);
            } else if let Command::ShowView(view) = command {
                views.insert(view.test_id());
            }
        }
    }
    assert_eq!(names.len(), COMMANDS, "{names:?}");
    assert_eq!(protections.len(), Protection::ALL.len(), "{protections:?}");
    assert_eq!(views.len(), View::ALL.len(), "{views:?}");
}

#[test]
fn protections_have_fixed_numbers_and_keys_of_their_own() {
    for (index, protection) in Protection::ALL.into_iter().enumerate() {
        assert_eq!(protection as usize, index);
        let key = PROTECTION_KEYS[index];
        let code = if key.is_ascii_digit() { format!("Digit{key}") } else { format!("Key{key}") };
        let key = key.to_string();
        let press = KeyPress { key: &key, code: &code, shift: true, ..KeyPress::default() };
        for context in all_contexts().into_iter().filter(|it| !it.in_text_field) {
            let command = command_for(press, context);
            assert_eq!(command, Some(Command::ToggleProtection(protection)), "{context:?}");
        }
        // With the caps lock the letter is not a shortcut.
        if code.starts_with("Key") {
            let press = KeyPress { shift: false, ..press };
            assert_eq!(command_for(press, KeyContext::default()), None);
        }
    }
}

#[test]
fn help_lists_every_key() {
    let listed: Vec<&str> = SHORTCUTS
        .iter()
        .flat_map(|(_, shortcuts)| *shortcuts)
        .flat_map(|(keys, _)| keys.split([' ', ',']))
        .collect();
    for (key, _, shift, control) in &all_presses() {
        let code = format!("Key{}", key.to_ascii_uppercase());
        let is_letter = key.chars().all(|it| it.is_ascii_alphabetic()) && key.len() == 1;
        let press = KeyPress {
            key,
            code: if is_letter { &code } else { "Other" },
            shift: *shift,
            control: *control,
            alt: false,
        };
        let found = all_contexts().into_iter().any(|it| command_for(press, it).is_some());
        let label = match key.as_str() {
            " " => "Space".to_owned(),
            "Escape" => "Esc".to_owned(),
            "ArrowLeft" => "←".to_owned(),
            "ArrowRight" => "→".to_owned(),
            "ArrowUp" => "↑".to_owned(),
            "ArrowDown" => "↓".to_owned(),
            "PageUp" | "PageDown" => "Page".to_owned(),
            "," => continue,
            key if is_letter => key.to_ascii_uppercase(),
            key => key.to_owned(),
        };
        assert!(!found || listed.contains(&label.as_str()), "{key} is not in the help");
    }
}
