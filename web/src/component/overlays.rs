//! The overlays of the page: the open dialog and the toast.

use std::rc::Rc;

use yew::{AttrValue, Context, Html, html};

use super::app::{App, OpenDialog};
use super::controls::icon;
use super::dialogs::{
    ExportKind, ExportsProps, HelpProps, LegendProps, MenuProps, ScenariosProps, export_dialog,
    fault_menu, help_dialog, legend_dialog, scenario_dialog,
};
use super::messages::{ExportMsg, RunMsg, SearchMsg, ViewMsg};
use super::search_dialog::{SearchProps, search_dialog};
use crate::browser;
use crate::model::comparison::run_title;
use crate::model::inspector;
use crate::model::link::LINK_LEN_MAX;
use crate::model::workspace::{Toast, ToastAction};

impl App {
    pub(super) fn toast_view(&self, ctx: &Context<Self>) -> Html {
        let is_comparing = self.workspace.comparison.is_some();
        let actions = |toast: &Toast| {
            let actions = toast.actions.clone().into_iter();
            actions.filter(move |it| *it != ToastAction::Compare || !is_comparing)
        };
        let button = |action: ToastAction| {
            let text = match action {
                ToastAction::Undo => "Undo (U)",
                ToastAction::Compare => "Compare (M)",
                ToastAction::PlayFromStart => "Play from start",
                ToastAction::SaveRecording => "Save",
            };
            let onclick = ctx.link().callback(move |_| ViewMsg::ToastAction(action));
            html! { <button class="small-button" {onclick}>{ text }</button> }
        };
        html! {
            <div class="toasts" role="status" aria-live="polite">
                if let Some(toast) = &self.workspace.toast {
                    <div class="toast" data-testid="toast">
                        <span>{ toast.text.clone() }</span>
                        { for actions(toast).map(button) }
                        <button class="quiet close" aria-label="Close"
                            onclick={ctx.link().callback(|_| ViewMsg::ToastExpired)}>
                            { icon("close") }
                        </button>
                    </div>
                }
            </div>
        }
    }

    pub(super) fn dialog_view(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let workspace = &self.workspace;
        let onclose = link.callback(|()| ViewMsg::CloseDialog);
        match self.ui.open_dialog {
            None => Html::default(),
            Some(OpenDialog::Scenarios) => scenario_dialog(&ScenariosProps {
                library: Rc::clone(&workspace.library),
                current: AttrValue::from(workspace.scenario.name.clone()),
                onchoose: link.callback(RunMsg::OpenScenario),
                onclose,
            }),
            Some(OpenDialog::Menu) => {
                let scene = workspace.scene();
                let title = workspace
                    .selected
                    .map(|it| inspector::target_title(&scene, it))
                    .unwrap_or_default();
                let faults =
                    workspace.selected.map(|it| workspace.available_faults(it)).unwrap_or_default();
                fault_menu(&MenuProps {
                    title: AttrValue::from(title),
                    faults: Rc::new(faults),
                    onfault: link.callback(RunMsg::InjectFault),
                    onclose,
                })
            }
            Some(OpenDialog::Help) => help_dialog(&HelpProps {
                shortcuts_disabled: self.ui.shortcuts_disabled,
                ontoggle: link.callback(|()| ViewMsg::ToggleShortcuts),
                onclose,
            }),
            Some(OpenDialog::Legend) => legend_dialog(&LegendProps { onclose }),
            Some(OpenDialog::Exports) => {
                let query = workspace.link_to_now().to_query();
                export_dialog(&ExportsProps {
                    is_too_long: query.len() > LINK_LEN_MAX,
                    address: AttrValue::from(browser::page_url(&query)),
                    pictures: self.pictures(),
                    onexport: link.callback(ExportMsg::Export),
                    onimport: link.callback(ExportMsg::ImportFile),
                    notice: workspace.toast.as_ref().map(|it| AttrValue::from(it.text.clone())),
                    onclose,
                })
            }
            Some(OpenDialog::Search) => search_dialog(&SearchProps {
                search: self.search.clone(),
                run_title: AttrValue::from(run_title(workspace.timeline().run())),
                onlimits: link.callback(SearchMsg::SetLimits),
                onsearch: link.callback(|()| SearchMsg::Start),
                oncancel: link.callback(|()| SearchMsg::Stop),
                onplay: link.callback(|()| SearchMsg::PlayResult),
                ontest: link.callback(|()| ExportMsg::Export(ExportKind::FoundTest)),
                onclose,
            }),
        }
    }
}
