//! The callbacks of the components. They are created once, so that a component whose other
//! properties are unchanged is not drawn again.

use leasehold_sim::{Importance, Protection, RecordId, SearchLimits, VirtualTime};
use web_sys::File;
use yew::Callback;
use yew::html::Scope;

use super::app::App;
use super::dialog::MenuItem;
use super::log_search::SearchAction;
use crate::area::compare::CompareMsg;
use crate::area::inject::InjectMsg;
use crate::area::layout::{LayoutMsg, OpenDialog};
use crate::area::live::LiveMsg;
use crate::area::message::Msg;
use crate::area::panels::PanelsMsg;
use crate::area::player::PlayerMsg;
use crate::area::present::PresentMsg;
use crate::area::question::QuestionMsg;
use crate::area::scenario::ScenarioMsg;
use crate::area::search::SearchMsg;
use crate::area::selection::{Hover, PointerAction, SelectionMsg};
use crate::area::share::{Destination, ExportKind, ShareMsg};
use crate::area::start::StartMsg;
use crate::area::timeline::TimelineMsg;
use crate::area::tour::TourMsg;
use crate::area::why::WhyMsg;
use crate::model::comparison::ComparisonMode;
use crate::model::fault_options::FaultOption;
use crate::model::next_steps::NextStep;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;
use crate::model::workspace::ToastAction;

pub(super) struct Callbacks {
    /// For buttons that do the same as a key.
    pub(super) command: Callback<Command>,

    pub(super) time: Callback<VirtualTime>,
    pub(super) record: Callback<RecordId>,
    pub(super) until: Callback<String>,

    pub(super) scenario: Callback<usize>,
    pub(super) protection: Callback<Protection>,
    pub(super) seed: Callback<u64>,
    pub(super) next_step: Callback<NextStep>,

    pub(super) vote: Callback<usize>,
    pub(super) reveal: Callback<()>,
    pub(super) explain_answer: Callback<()>,
    pub(super) close_answer: Callback<()>,
    pub(super) vote_timer: Callback<()>,
    pub(super) explain: Callback<RecordId>,
    pub(super) step_explanation: Callback<bool>,
    pub(super) close_explanation: Callback<()>,
    pub(super) close_view: Callback<()>,

    pub(super) point_stage: Callback<PointerAction>,
    pub(super) point_gantt: Callback<PointerAction>,
    pub(super) point_spacetime: Callback<PointerAction>,
    pub(super) point_load: Callback<PointerAction>,
    pub(super) hover: Callback<Option<Hover>>,
    pub(super) press: Callback<Option<Target>>,
    pub(super) menu: Callback<()>,
    pub(super) fault: Callback<FaultOption>,

    pub(super) timeline: Callback<View>,
    pub(super) toggle_scale: Callback<()>,
    pub(super) hide_lane: Callback<()>,
    pub(super) show_all_lanes: Callback<()>,

    pub(super) min_importance: Callback<Importance>,
    pub(super) filter_by_selection: Callback<()>,
    pub(super) clear_filter: Callback<()>,
    pub(super) more_rows: Callback<()>,
    pub(super) toggle_file_comparison: Callback<()>,
    pub(super) log_search: Callback<SearchAction>,

    pub(super) show_live: Callback<bool>,
    pub(super) follow: Callback<()>,
    pub(super) record_live: Callback<()>,
    pub(super) switch_clock: Callback<()>,

    pub(super) comparison_mode: Callback<ComparisonMode>,

    pub(super) limits: Callback<SearchLimits>,
    pub(super) start_search: Callback<()>,
    pub(super) stop_search: Callback<()>,
    pub(super) play_result: Callback<()>,
    pub(super) save_test: Callback<()>,
    pub(super) share_result: Callback<()>,

    pub(super) export: Callback<ExportKind>,
    pub(super) import: Callback<File>,

    pub(super) tab: Callback<View>,
    pub(super) theme: Callback<()>,
    pub(super) toggle_shortcuts: Callback<()>,
    pub(super) open: Callback<OpenDialog>,
    pub(super) term: Callback<&'static str>,
    pub(super) menu_item: Callback<MenuItem>,
    pub(super) close_dialog: Callback<()>,
    pub(super) toast_action: Callback<ToastAction>,
    pub(super) dismiss_toast: Callback<()>,

    pub(super) start: Callback<StartMsg>,
    pub(super) repeat: Callback<()>,
    pub(super) tour: Callback<TourMsg>,
}

impl Callbacks {
    pub(super) fn new(link: &Scope<App>) -> Self {
        let point = |view: View| link.callback(move |action| SelectionMsg::Pointed(view, action));
        Self {
            command: link.callback(|command| Msg::from_command(command, None)),
            time: link.callback(PlayerMsg::GoToTime),
            record: link.callback(PlayerMsg::GoToRecord),
            until: link.callback(PlayerMsg::PlayUntil),
            scenario: link.callback(ScenarioMsg::OpenFromLibrary),
            protection: link.callback(ScenarioMsg::ToggleProtection),
            seed: link.callback(ScenarioMsg::SetSeed),
            next_step: link.callback(ScenarioMsg::PerformNextStep),
            vote: link.callback(QuestionMsg::Vote),
            reveal: link.callback(|()| QuestionMsg::Reveal),
            explain_answer: link.callback(|()| WhyMsg::ExplainAnswer),
            close_answer: link.callback(|()| QuestionMsg::CloseAnswer),
            vote_timer: link.callback(|()| QuestionMsg::StartTimer),
            explain: link.callback(WhyMsg::Explain),
            step_explanation: link.callback(|forward| WhyMsg::Step { forward }),
            close_explanation: link.callback(|()| WhyMsg::Close),
            close_view: link.callback(|()| PresentMsg::CloseView),
            point_stage: point(View::Stage),
            point_gantt: point(View::Gantt),
            point_spacetime: point(View::SpaceTime),
            point_load: point(View::Load),
            hover: link.callback(SelectionMsg::Hovered),
            press: link.callback(SelectionMsg::PressStarted),
            menu: link.callback(|()| SelectionMsg::OpenMenu),
            fault: link.callback(InjectMsg::Inject),
            timeline: link.callback(TimelineMsg::Show),
            toggle_scale: link.callback(|()| TimelineMsg::ToggleScale),
            hide_lane: link.callback(|()| TimelineMsg::HideSelectedLane),
            show_all_lanes: link.callback(|()| TimelineMsg::ShowAllLanes),
            min_importance: link.callback(PanelsMsg::SetMinImportance),
            filter_by_selection: link.callback(|()| PanelsMsg::FilterBySelection),
            clear_filter: link.callback(|()| PanelsMsg::ClearFilter),
            more_rows: link.callback(|()| PanelsMsg::ShowMoreRows),
            log_search: link.callback(|action| match action {
                SearchAction::Open => PanelsMsg::OpenSearch,
                SearchAction::Close => PanelsMsg::CloseSearch,
                SearchAction::SetText(text) => PanelsMsg::SetSearchText(text),
                SearchAction::GoTo { older } => PanelsMsg::GoToMatch { older },
            }),
            toggle_file_comparison: link.callback(|()| PanelsMsg::ToggleFileComparison),
            show_live: link.callback(LiveMsg::Show),
            follow: link.callback(|()| LiveMsg::Follow),
            record_live: link.callback(|()| LiveMsg::ToggleRecording),
            switch_clock: link.callback(|()| LiveMsg::SwitchClock),
            comparison_mode: link.callback(CompareMsg::SetMode),
            limits: link.callback(SearchMsg::SetLimits),
            start_search: link.callback(|()| SearchMsg::Start),
            stop_search: link.callback(|()| SearchMsg::Stop),
            play_result: link.callback(|()| SearchMsg::PlayResult),
            save_test: link.callback(|()| SearchMsg::SaveTest(Destination::Clipboard)),
            share_result: link.callback(|()| SearchMsg::ShareResult),
            export: link.callback(ShareMsg::Export),
            import: link.callback(ShareMsg::ImportFile),
            tab: link.callback(LayoutMsg::SelectTab),
            theme: link.callback(|()| LayoutMsg::CycleTheme),
            toggle_shortcuts: link.callback(|()| LayoutMsg::ToggleShortcuts),
            open: link.callback(LayoutMsg::Open),
            term: link.callback(|term| LayoutMsg::Open(OpenDialog::Glossary(Some(term)))),
            menu_item: link.batch_callback(menu_messages),
            close_dialog: link.callback(|()| LayoutMsg::CloseDialog),
            toast_action: link.callback(LayoutMsg::RunToastAction),
            dismiss_toast: link.callback(|()| LayoutMsg::DismissToast),
            start: link.callback(|msg: StartMsg| msg),
            repeat: link.batch_callback(|()| -> Vec<Msg> {
                vec![LayoutMsg::CloseDialog.into(), PlayerMsg::PlayFromStart.into()]
            }),
            tour: link.callback(|msg: TourMsg| msg),
        }
    }
}

/// Returns the messages of an entry of the menu, which closes.
fn menu_messages(item: MenuItem) -> Vec<Msg> {
    let msg = match item {
        MenuItem::Home => StartMsg::Home.into(),
        MenuItem::Command(command) => Msg::from_command(command, None),
        MenuItem::Live(is_live) => LiveMsg::Show(is_live).into(),
        MenuItem::Protections => LayoutMsg::Open(OpenDialog::Protections).into(),
        MenuItem::Seed => LayoutMsg::Open(OpenDialog::Seed).into(),
        MenuItem::Glossary => LayoutMsg::Open(OpenDialog::Glossary(None)).into(),
        MenuItem::Theme => LayoutMsg::CycleTheme.into(),
    };
    vec![LayoutMsg::CloseDialog.into(), msg]
}
