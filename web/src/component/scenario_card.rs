//! A card of the library: a picture, number and title, the point, and the user's progress.

use std::rc::Rc;

use leasehold_sim::{Scenario, ScenarioGroup, groups_of};
use yew::{Callback, Html, Properties, classes, component, html};

use super::icon::drawn;
use super::thumbnail::Thumbnail;
use crate::model::progress::{Achievement, Progress};
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ScenarioCardProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    /// The index in the library.
    pub(crate) index: usize,
    pub(crate) achievement: Option<Achievement>,
    /// Whether the scenario is open.
    pub(crate) is_current: bool,
    pub(crate) onchoose: Callback<usize>,
}

/// The question stays hidden until the run asks it.
#[component]
pub(crate) fn ScenarioCard(props: &ScenarioCardProps) -> Html {
    let index = props.index;
    let Some(scenario) = props.library.get(index) else { return Html::default() };
    let onclick = props.onchoose.reform(move |_| index);
    html! {
        <button class={classes!("card", props.is_current.then_some("current"))} {onclick}
            autofocus={props.is_current}
            data-testid={format!("scenario-item-{}", scenario.name)}
            aria-current={props.is_current.then_some("true")}>
            <Thumbnail library={Rc::clone(&props.library)} {index} />
            <span class="title">
                <span class="number">{ format!("{} · ", index + 1) }</span>
                { scenario.title.clone() }
            </span>
            <span class="point">{ scenario.point.clone() }</span>
            { achievement_view(props.achievement) }
        </button>
    }
}

fn achievement_view(achievement: Option<Achievement>) -> Html {
    match achievement {
        None => html! { <span class="achievement new">{ "new" }</span> },
        Some(achievement) => html! {
            <span class={classes!("achievement", achievement.name())}>
                { drawn(Icon::Check) }{ achievement.name() }
            </span>
        },
    }
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct CardsProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) group: ScenarioGroup,
    pub(crate) progress: Progress,
    /// The name of the open scenario.
    pub(crate) current: Option<String>,
    pub(crate) onchoose: Callback<usize>,
}

/// The cards of one group.
#[component]
pub(crate) fn Cards(props: &CardsProps) -> Html {
    let groups = groups_of(&props.library);
    let members = groups.into_iter().find(|(group, _)| *group == props.group);
    let card = |index: usize| {
        let scenario = &props.library[index];
        html! {
            <li key={scenario.name.clone()}>
                <ScenarioCard library={Rc::clone(&props.library)} {index}
                    achievement={props.progress.of(&scenario.name)}
                    is_current={props.current.as_ref() == Some(&scenario.name)}
                    onchoose={props.onchoose.clone()} />
            </li>
        }
    };
    html! { <ol class="cards">{ for members.into_iter().flat_map(|it| it.1).map(card) }</ol> }
}
