//! The one registry of commands: what can be done, under which name, by which key. The keyboard, the menus, the help page and
//! the table in the manual come from it.

use egui::{Event, InputState, Key, Modifiers};

/// What can be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "each is described by its row in the registry")]
pub enum Command {
    ZoomIn,
    ZoomOut,
    PanLeft,
    PanRight,
    FitAll,
    FitSelection,
    GoToEnd,
    NextConvoy,
    PreviousConvoy,
    NextStall,
    PreviousStall,
    GoToHolder,
    GoBack,
    NextMatch,
    Mark,
    NextMark,
    ClearMarks,
    Search,
    ClearSelection,
    PinThread,
    HideIdle,
    NextSort,
    TallerLanes,
    LowerLanes,
    WallClock,
    SwitchTheme,
    TogglePanels,
    Open,
    CloseFile,
    Help,
}

/// A key with its modifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortcut {
    /// The key.
    pub key: Key,
    /// Whether Shift is held.
    pub shift: bool,
    /// Whether Ctrl (⌘ on macOS) is held.
    pub ctrl: bool,
    /// Whether the key is known by where it is on the keyboard, as W, A, S and D are, and not by what is printed on it.
    pub by_place: bool,
}

/// A row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The command.
    pub command: Command,
    /// The heading it stands under.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its keys; the first one is shown in menus.
    pub keys: &'static [Shortcut],
}

const fn place(key: Key) -> Shortcut {
    Shortcut { key, shift: false, ctrl: false, by_place: true }
}

const fn key(key: Key) -> Shortcut {
    Shortcut { key, shift: false, ctrl: false, by_place: false }
}

const fn shift(key: Key) -> Shortcut {
    Shortcut { key, shift: true, ctrl: false, by_place: false }
}

const fn ctrl(key: Key) -> Shortcut {
    Shortcut { key, shift: false, ctrl: true, by_place: false }
}

const fn entry(
    command: Command,
    group: &'static str,
    name: &'static str,
    keys: &'static [Shortcut],
) -> Entry {
    Entry { command, group, name, keys }
}

const MOVE: &str = "Move";
const FIND: &str = "Find";
const SHOW: &str = "Show";
const FILE: &str = "File";

/// All commands, in the order of the help page.
pub const COMMANDS: &[Entry] = &[
    entry(Command::ZoomIn, MOVE, "Zoom in at the pointer", &[place(Key::W), key(Key::Plus)]),
    entry(Command::ZoomOut, MOVE, "Zoom out", &[place(Key::S), key(Key::Minus)]),
    entry(Command::PanLeft, MOVE, "Move left", &[place(Key::A), key(Key::ArrowLeft)]),
    entry(Command::PanRight, MOVE, "Move right", &[place(Key::D), key(Key::ArrowRight)]),
    entry(Command::FitSelection, MOVE, "Fit the selection, or everything", &[place(Key::F)]),
    entry(Command::FitAll, MOVE, "Show the whole trace", &[key(Key::Home), key(Key::Num0)]),
    entry(Command::GoToEnd, MOVE, "Go to the end, and stay there while the trace grows", &[key(Key::End)]),
    entry(Command::NextConvoy, FIND, "Next convoy", &[key(Key::N)]),
    entry(Command::PreviousConvoy, FIND, "Previous convoy", &[key(Key::P)]),
    entry(Command::NextStall, FIND, "Next stall of the thread", &[key(Key::Period)]),
    entry(Command::PreviousStall, FIND, "Previous stall of the thread", &[key(Key::Comma)]),
    entry(Command::GoToHolder, FIND, "Go from a stall to who held the GIL", &[key(Key::CloseBracket)]),
    entry(Command::GoBack, FIND, "Go back to where you were", &[key(Key::OpenBracket)]),
    entry(Command::Search, FIND, "Search threads by name", &[key(Key::Slash), ctrl(Key::F)]),
    entry(Command::NextMatch, FIND, "Select the next thread shown", &[key(Key::ArrowDown)]),
    entry(Command::Mark, FIND, "Mark the time at the pointer or of the selection", &[key(Key::M)]),
    entry(Command::NextMark, FIND, "Go to the next mark", &[shift(Key::M)]),
    entry(Command::ClearMarks, FIND, "Remove all marks", &[]),
    entry(Command::ClearSelection, FIND, "Clear selection and search", &[key(Key::Escape)]),
    entry(Command::PinThread, SHOW, "Pin the selected thread on top, or let it go", &[key(Key::Y)]),
    entry(Command::HideIdle, SHOW, "Hide threads that never used a GIL, or show them", &[key(Key::I)]),
    entry(Command::NextSort, SHOW, "Sort lanes by the next order", &[key(Key::O)]),
    entry(Command::TallerLanes, SHOW, "Taller lanes", &[key(Key::H)]),
    entry(Command::LowerLanes, SHOW, "Lower lanes", &[shift(Key::H)]),
    entry(Command::WallClock, SHOW, "Time of day, or time since the begin", &[key(Key::T)]),
    entry(Command::SwitchTheme, SHOW, "Light or dark", &[key(Key::L)]),
    entry(Command::TogglePanels, SHOW, "Show or hide the panels", &[key(Key::B)]),
    entry(Command::Open, FILE, "Open a trace", &[ctrl(Key::O)]),
    entry(Command::CloseFile, FILE, "Close the trace, or stop loading it", &[ctrl(Key::W)]),
    entry(Command::Help, SHOW, "Show all commands", &[key(Key::Questionmark), key(Key::F1)]),
];

/// What the pointer does; for the help page and the manual.
pub const POINTER: &[(&str, &str)] = &[
    ("Ctrl + wheel", "Zoom at the pointer"),
    ("Wheel", "Scroll the lanes"),
    ("Shift + wheel", "Move left and right"),
    ("Drag", "Select a range of time"),
    ("Shift + drag, middle drag", "Move"),
    ("Click", "Select a stall, a hold or a call"),
    ("Double click", "Fit what is under the pointer"),
    ("Drag on the overview", "Move or resize the visible range"),
];

impl Command {
    /// Its row in the registry.
    pub fn entry(self) -> &'static Entry {
        // Every command has a row; a test says so.
        COMMANDS.iter().find(|entry| entry.command == self).unwrap_or(&COMMANDS[0])
    }
}

impl Shortcut {
    /// How it is written, such as `Ctrl+F`.
    pub fn text(&self) -> String {
        let name = match self.key {
            Key::Questionmark => "?",
            Key::Slash => "/",
            Key::OpenBracket => "[",
            Key::CloseBracket => "]",
            Key::Period => ".",
            Key::Comma => ",",
            Key::Plus => "+",
            Key::Minus => "-",
            Key::ArrowLeft => "Left",
            Key::ArrowRight => "Right",
            Key::ArrowDown => "Down",
            Key::Escape => "Esc",
            key => key.name(),
        };
        let ctrl = if self.ctrl { "Ctrl+" } else { "" };
        let shift = if self.shift { "Shift+" } else { "" };
        format!("{ctrl}{shift}{name}")
    }

    fn matches(&self, logical: Key, physical: Option<Key>, modifiers: Modifiers) -> bool {
        let pressed = if self.by_place { physical.unwrap_or(logical) } else { logical };
        // Signs such as `?` need Shift on some keyboards and none on others.
        let is_sign = matches!(
            self.key,
            Key::Questionmark
                | Key::Slash
                | Key::OpenBracket
                | Key::CloseBracket
                | Key::Plus
                | Key::Period
                | Key::Comma
        );
        pressed == self.key
            && modifiers.command == self.ctrl
            && (is_sign || modifiers.shift == self.shift)
            && (!modifiers.alt || is_sign)
    }
}

/// The commands whose keys were pressed in this frame, in order.
pub fn pressed(input: &InputState) -> Vec<Command> {
    let mut commands = Vec::new();
    for event in &input.events {
        let Event::Key { key, physical_key, pressed: true, modifiers, .. } = event else { continue };
        let found = COMMANDS.iter().find(|entry| {
            entry.keys.iter().any(|shortcut| shortcut.matches(*key, *physical_key, *modifiers))
        });
        commands.extend(found.map(|entry| entry.command));
    }
    commands
}

/// The table of commands for the manual.
pub fn markdown() -> String {
    let mut out = String::from("| Key | Command |\n|---|---|\n");
    for entry in COMMANDS {
        let keys: Vec<String> = entry.keys.iter().map(|shortcut| format!("`{}`", shortcut.text())).collect();
        let keys = if keys.is_empty() { String::from("(menu)") } else { keys.join(", ") };
        out.push_str(&format!("| {keys} | {} |\n", entry.name));
    }
    for (gesture, what) in POINTER {
        out.push_str(&format!("| {gesture} | {what} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_commands_share_a_key() {
        for (place, one) in COMMANDS.iter().enumerate() {
            for other in &COMMANDS[place + 1..] {
                let shared = one.keys.iter().find(|key| {
                    other
                        .keys
                        .iter()
                        .any(|other| (key.key, key.shift, key.ctrl) == (other.key, other.shift, other.ctrl))
                });
                assert!(shared.is_none(), "{:?} and {:?} share {shared:?}", one.command, other.command);
                assert_ne!(one.command, other.command);
            }
        }
    }

    #[test]
    fn moving_keys_go_by_place_and_letters_by_what_is_printed() {
        // On a French keyboard the key at the place of W is labelled Z.
        let none = Modifiers::NONE;
        assert!(Command::ZoomIn.entry().keys[0].matches(Key::Z, Some(Key::W), none));
        assert!(!Command::ZoomIn.entry().keys[0].matches(Key::W, Some(Key::Z), none));
        assert!(Command::Mark.entry().keys[0].matches(Key::M, Some(Key::Semicolon), none));
    }

    #[test]
    fn the_table_in_the_manual_is_that_of_the_registry() {
        let manual = include_str!("../../docs/manual.md");
        let (_, rest) = manual.split_once("<!-- commands -->\n").expect("a mark where the table begins");
        let (table, _) = rest.split_once("<!-- /commands -->").expect("a mark where it ends");
        assert_eq!(
            table,
            markdown(),
            "replace the table by what `gilscope-viewer --commands-markdown` prints"
        );
    }
}
