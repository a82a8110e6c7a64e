//! What is above the page: the open dialog, and a word on what was just done.

use std::rc::Rc;

use yew::{AttrValue, Context, Html, html};

use super::app::{App, Msg, Open};
use super::controls::icon;
use super::dialogs::{
    Export, ExportsProps, HelpProps, LegendProps, MenuProps, ScenariosProps, exports, help, legend,
    menu, scenarios,
};
use super::search::{SearchProps, search};
use crate::browser;
use crate::model::compare::title;
use crate::model::fields;
use crate::model::link::LINK_LEN_MAX;
use crate::model::studio::{Offer, Toast};

impl App {
    pub(super) fn toast(&self, ctx: &Context<Self>) -> Html {
        let is_compared = self.studio.compare.is_some();
        let offers = |toast: &Toast| {
            let offers = toast.offers.clone().into_iter();
            offers.filter(move |it| *it != Offer::Compare || !is_compared)
        };
        let offer = |offer: Offer| {
            let text = match offer {
                Offer::Undo => "Undo (U)",
                Offer::Compare => "Compare (M)",
                Offer::FromStart => "From the start",
                Offer::Save => "Save",
            };
            let onclick = ctx.link().callback(move |_| Msg::Offer(offer));
            html! { <button class="small-button" {onclick}>{ text }</button> }
        };
        html! {
            <div class="toasts" role="status" aria-live="polite">
                if let Some(toast) = &self.studio.toast {
                    <div class="toast" data-testid="toast">
                        <span>{ toast.text.clone() }</span>
                        { for offers(toast).map(offer) }
                        <button class="quiet close" aria-label="Close"
                            onclick={ctx.link().callback(|_| Msg::ToastEnds)}>{ icon("close") }
                                </button>
                    </div>
                }
            </div>
        }
    }

    pub(super) fn open(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let studio = &self.studio;
        let onclose = link.callback(|()| Msg::Close);
        match self.ui.open {
            None => Html::default(),
            Some(Open::Scenarios) => scenarios(&ScenariosProps {
                library: Rc::clone(&studio.library),
                current: AttrValue::from(studio.scenario.name.clone()),
                onchoose: link.callback(Msg::Choose),
                onclose,
            }),
            Some(Open::Menu) => {
                let scene = studio.scene();
                let title = studio.selected.map(|it| fields::title(&scene, it)).unwrap_or_default();
                let faults = studio.selected.map(|it| studio.faults(it)).unwrap_or_default();
                menu(&MenuProps {
                    title: AttrValue::from(title),
                    faults: Rc::new(faults),
                    onfault: link.callback(Msg::Fault),
                    onclose,
                })
            }
            Some(Open::Help) => help(&HelpProps {
                is_quiet: self.ui.is_quiet,
                onquiet: link.callback(|()| Msg::Quiet),
                onclose,
            }),
            Some(Open::Legend) => legend(&LegendProps { onclose }),
            Some(Open::Exports) => {
                let query = studio.link().write();
                exports(&ExportsProps {
                    is_too_long: query.len() > LINK_LEN_MAX,
                    address: AttrValue::from(browser::address(&query)),
                    pictures: self.pictures(),
                    onexport: link.callback(Msg::Export),
                    onimport: link.callback(Msg::Import),
                    word: studio.toast.as_ref().map(|it| AttrValue::from(it.text.clone())),
                    onclose,
                })
            }
            Some(Open::Search) => search(&SearchProps {
                hunt: self.hunt.clone(),
                of: AttrValue::from(title(studio.film().run())),
                onbounds: link.callback(Msg::Bounds),
                onsearch: link.callback(|()| Msg::SearchStart),
                oncancel: link.callback(|()| Msg::SearchStop),
                onplay: link.callback(|()| Msg::SearchPlay),
                ontest: link.callback(|()| Msg::Export(Export::Found)),
                onclose,
            }),
        }
    }
}
