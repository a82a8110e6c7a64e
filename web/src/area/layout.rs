//! The arrangement of the page: the open dialog, the selected panel, the theme, the toast, and the
//! sizes of the picture areas.

use super::compare::CompareMsg;
use super::context::{Context, PageArea, Redraw};
use super::effect::Effect;
use super::message::Msg;
use super::panels::PanelsMsg;
use super::player::PlayerMsg;
use super::present::PresentMsg;
use super::scenario::ScenarioMsg;
use super::search::START_BUTTON;
use super::share::{ExportKind, ShareMsg};
use super::timeline::TimelineMsg;
use crate::model::glossary::Term;
use crate::model::shortcuts::View;
use crate::model::workspace::ToastAction;
use crate::picture::workspace_pictures::Sizes;

/// The open dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenDialog {
    Scenarios,
    /// All protections.
    Protections,
    /// What to do with the seed.
    Seed,
    /// Everything that the header offers, if the screen has no space for it.
    Menu,
    /// The glossary, at the term with this name.
    Glossary(Option<&'static str>),
    /// How to start a server for the live view.
    StartServer,
    FaultMenu,
    Help,
    Legend,
    Exports,
    Search,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

pub(crate) enum LayoutMsg {
    Open(OpenDialog),
    CloseDialog,
    /// Shows a panel, and focuses it.
    ShowView(View),
    /// Shows the log, and opens its search.
    SearchLog,
    /// Shows a panel, if the screen has space for only one.
    SelectTab(View),
    /// Enables or disables single-letter shortcuts.
    ToggleShortcuts,
    CycleTheme,
    SetTheme(Theme),
    RunToastAction(ToastAction),
    DismissToast,
    /// The window has another size.
    Resized,
    /// Measures the picture areas.
    Measure,
    SizesMeasured(Sizes),
}

pub(crate) struct LayoutArea {
    pub(crate) open_dialog: Option<OpenDialog>,
    /// The panel that is shown if the screen has space for only one.
    pub(crate) selected_tab: View,
    pub(crate) shortcuts_disabled: bool,
    pub(crate) theme: Theme,
    pub(crate) sizes: Sizes,
}

impl Default for LayoutArea {
    fn default() -> Self {
        Self {
            open_dialog: None,
            selected_tab: View::Gantt,
            shortcuts_disabled: false,
            theme: Theme::System,
            sizes: Sizes::default(),
        }
    }
}

impl PageArea for LayoutArea {
    type Msg = LayoutMsg;

    fn update(&mut self, msg: LayoutMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            LayoutMsg::Open(dialog) => self.open(dialog, cx),
            LayoutMsg::CloseDialog => {
                self.open_dialog = None;
                cx.workspace.player.resume();
            }
            LayoutMsg::ShowView(view) => {
                self.select_tab(view, cx);
                if cx.settings.is_presenting {
                    cx.send(PresentMsg::ShowView(view));
                }
                let panel = format!("#panel-{}", view.test_id());
                cx.request(Effect::Focus(vec![
                    format!("{panel} :is([tabindex='0'], button)"),
                    panel,
                ]));
            }
            LayoutMsg::SearchLog => {
                self.select_tab(View::Log, cx);
                cx.send(PanelsMsg::OpenSearch);
            }
            LayoutMsg::SelectTab(view) => self.select_tab(view, cx),
            LayoutMsg::ToggleShortcuts => self.shortcuts_disabled = !self.shortcuts_disabled,
            LayoutMsg::CycleTheme => {
                let next = match self.theme {
                    Theme::System => Theme::Light,
                    Theme::Light => Theme::Dark,
                    Theme::Dark => Theme::System,
                };
                self.set_theme(next, cx);
            }
            LayoutMsg::SetTheme(theme) => self.set_theme(theme, cx),
            LayoutMsg::RunToastAction(action) => {
                cx.workspace.toast = None;
                cx.send(match action {
                    ToastAction::Undo => Msg::from(ScenarioMsg::Undo),
                    ToastAction::Compare => CompareMsg::Restart.into(),
                    ToastAction::PlayFromStart => PlayerMsg::PlayFromStart.into(),
                    ToastAction::SaveRecording => ShareMsg::Export(ExportKind::Trace).into(),
                });
            }
            LayoutMsg::DismissToast => cx.workspace.toast = None,
            LayoutMsg::Resized => cx.request(Effect::Measure),
            LayoutMsg::Measure => {
                cx.request(Effect::MeasureNow);
                return Redraw::Nothing;
            }
            LayoutMsg::SizesMeasured(sizes) => {
                if std::mem::replace(&mut self.sizes, sizes) == sizes {
                    return Redraw::Nothing;
                }
            }
        }
        Redraw::Page
    }
}

impl LayoutArea {
    /// Opens a dialog. The run pauses behind it.
    fn open(&mut self, dialog: OpenDialog, cx: &mut Context<'_>) {
        self.open_dialog = Some(dialog);
        cx.workspace.player.suspend();
        match dialog {
            OpenDialog::Search => cx.request(Effect::Focus(vec![START_BUTTON.to_owned()])),
            OpenDialog::Glossary(term) => {
                let entry = term.and_then(Term::from_name).map(|term| format!("#{}", term.id()));
                cx.request(Effect::Focus(entry.into_iter().collect()));
            }
            OpenDialog::Scenarios
            | OpenDialog::Protections
            | OpenDialog::Seed
            | OpenDialog::Menu
            | OpenDialog::StartServer
            | OpenDialog::FaultMenu
            | OpenDialog::Help
            | OpenDialog::Legend
            | OpenDialog::Exports => {}
        }
    }

    fn select_tab(&mut self, view: View, cx: &mut Context<'_>) {
        self.selected_tab = view;
        cx.send(TimelineMsg::Show(view));
    }

    fn set_theme(&mut self, theme: Theme, cx: &mut Context<'_>) {
        self.theme = theme;
        cx.request(Effect::SetTheme(theme));
    }
}
