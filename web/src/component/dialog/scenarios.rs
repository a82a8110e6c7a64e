//! The library of scenarios, with the point and the question of each.

use std::rc::Rc;

use leasehold_sim::Scenario;
use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use super::Dialog;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ScenariosProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) current: AttrValue,
    pub(crate) onchoose: Callback<usize>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn ScenariosDialog(props: &ScenariosProps) -> Html {
    let ScenariosProps { library, current, onchoose, onclose } = props.clone();
    let card = |(index, scenario): (usize, &Scenario)| {
        let is_current = current == scenario.name;
        let onclick = onchoose.reform(move |_| index);
        let switches: Vec<&str> = scenario.switches.iter().map(|it| it.name()).collect();
        html! {
            <li key={scenario.name.clone()}>
                <button class={classes!("card", is_current.then_some("current"))} {onclick}
                    autofocus={is_current}
                    data-testid={format!("scenario-item-{}", scenario.name)}
                    aria-current={is_current.then_some("true")}>
                    <span class="number">{ index + 1 }</span>
                    <span class="title">{ scenario.title.clone() }</span>
                    <span class="point">{ scenario.point.clone() }</span>
                    <span class="question-text">{ scenario.question.text.clone() }</span>
                    if !switches.is_empty() {
                        <span class="switches">{ format!("Try without: {}", switches.join(", ")) }
                            </span>
                    }
                </button>
            </li>
        }
    };
    html! {
        <Dialog title="Scenarios" class="scenarios" {onclose}>
            <ol class="cards">{ for library.iter().enumerate().map(card) }</ol>
        </Dialog>
    }
}
