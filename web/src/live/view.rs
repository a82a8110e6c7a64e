//! The live page as a component: it follows the stream, and draws what the rows say.

use gloo_events::EventListener;
use gloo_timers::callback::Interval;
use leasehold_core::id::Name;
use leasehold_core::time::Time;
use yew::platform::spawn_local;
use yew::{Component, Context, Html, classes, html};

use super::feed::{Feed, Order, Status};
use super::model::Model;
use super::rows::{self, ClientRow, Kind, Left, LockRow, LogRow};
use super::socket::{Brought, Socket, file};
use crate::browser::{now as monotonic, random};

/// How often time is looked at while something runs down.
const TICK_MS: u32 = 125;

/// How many lines of a file are shown.
const LINES_MAX: usize = 40;

/// The whole page.
pub(crate) struct Live {
    model: Model,
    feed: Feed,
    socket: Option<Socket>,
    /// Kept, since they end when they are dropped.
    _ticks: Interval,
    _wakers: Vec<EventListener>,
}

/// What comes in.
pub(crate) enum News {
    Brought(Brought),
    Fetched(Name, Option<Vec<u8>>),
    Tick,
    Wake,
}

impl Component for Live {
    type Message = News;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let tick = ctx.link().callback(|()| News::Tick);
        let mut page = Self {
            model: Model::default(),
            feed: Feed::connecting(monotonic()),
            socket: None,
            _ticks: Interval::new(TICK_MS, move || tick.emit(())),
            _wakers: wakers(ctx),
        };
        page.connect(ctx);
        page
    }

    fn update(&mut self, ctx: &Context<Self>, news: News) -> bool {
        let now = monotonic();
        match news {
            News::Brought(Brought::Message(text)) => {
                if self.model.take(&text, now).is_ok() {
                    self.feed.heard(now);
                    self.fetch_files(ctx);
                } else {
                    // What doesn't follow can't be mended: from a snapshot on it is right again.
                    self.model = Model::default();
                    self.lose(now);
                }
            }
            News::Brought(Brought::Closed) => self.lose(now),
            News::Fetched(name, bytes) => self.model.fetched(&name, bytes.as_deref()),
            News::Tick => {
                let before = self.feed.status(now);
                self.obey(ctx, |feed| feed.tick(now, random()));
                let ran = self.model.is_running();
                self.model.forget(now);
                return ran || before != Status::Live || self.feed.status(now) != Status::Live;
            }
            News::Wake => self.obey(ctx, |feed| feed.wake(now)),
        }
        true
    }

    fn view(&self, _: &Context<Self>) -> Html {
        let now = monotonic();
        let status = self.feed.status(now);
        let at = self.model.now(now);
        html! { <>
            { self.header(status, at) }
            <main class={classes!("live", (status != Status::Live).then_some("not-live"))}>
                { self.locks(at, status) }
                { self.clients(at, status) }
                { self.files() }
                { self.log() }
            </main>
        </> }
    }
}

impl Live {
    fn connect(&mut self, ctx: &Context<Self>) {
        // The old one first: nothing of it may come between.
        self.socket = None;
        self.socket = Socket::open(self.model.index(), &ctx.link().callback(News::Brought));
        if self.socket.is_none() {
            self.feed.lost(monotonic(), random());
        }
    }

    fn lose(&mut self, now: f64) {
        self.socket = None;
        self.feed.lost(now, random());
    }

    fn obey(&mut self, ctx: &Context<Self>, order: impl FnOnce(&mut Feed) -> Order) {
        match order(&mut self.feed) {
            Order::Connect => self.connect(ctx),
            // A connection that was given up is closed.
            Order::Nothing if self.feed.is_pausing() => self.socket = None,
            Order::Nothing => {}
        }
    }

    fn fetch_files(&mut self, ctx: &Context<Self>) {
        for name in self.model.files_to_fetch() {
            let link = ctx.link().clone();
            spawn_local(async move {
                let bytes = file(&name).await;
                link.send_message(News::Fetched(name, bytes));
            });
        }
    }

    fn header(&self, status: Status, at: Time) -> Html {
        let state = &self.model.state;
        let held = state.locks().values().filter(|lock| lock.tenure().is_some()).count();
        let known = self.model.index().is_some();
        html! { <header class="bar">
            <h1>{ "leasehold" }</h1>
            <button class="mode" data-testid="mode-live" aria-pressed="true">{ "Live" }</button>
            <p class="status" data-testid="live-status" data-status={status.word()} role="status">
                { status.sentence() }
            </p>
            if known {
                <dl class="counts">
                    { count("clients", &state.sessions().len()) }
                    { count("held", &held) }
                    { count("waiting", &state.waiters()) }
                    { count("last token", &state.last_token()) }
                </dl>
                <p class="time" title="the server's clock">
                    <span data-testid="time">{ seconds(at) }</span>
                </p>
            }
        </header> }
    }

    fn locks(&self, at: Time, status: Status) -> Html {
        let (rows, all) = rows::locks(&self.model.state, at);
        html! { <section class="panel locks" aria-labelledby="locks">
            <h2 id="locks">{ "Locks" }</h2>
            if rows.is_empty() {
                { nothing("No lock is held. Take one: ", "leasehold lock file_0 -- sleep 20") }
            }
            <ul>{ for rows.iter().map(|row| lock(row, status)) }</ul>
            { more(all, rows.len()) }
        </section> }
    }

    fn clients(&self, at: Time, status: Status) -> Html {
        let (rows, all) = rows::clients(&self.model, at);
        html! { <section class="panel clients" aria-labelledby="clients">
            <h2 id="clients">{ "Clients" }</h2>
            if rows.is_empty() {
                {
                    nothing(
                        "No client has a session. Five that come and go: ",
                        "leasehold demo --loop",
                    )
                }
            }
            <ul>{ for rows.iter().map(|row| client(row, status)) }</ul>
            { more(all, rows.len()) }
        </section> }
    }

    fn files(&self) -> Html {
        let files = &self.model.files;
        html! { <section class="panel files" data-testid="files" aria-labelledby="files">
            <h2 id="files">{ "Files" }</h2>
            if files.is_empty() {
                { nothing("No file yet. Write to one: ", "leasehold append file_0 hello") }
            }
            <div class="sheets">
                { for files.iter().map(|(name, text)| {
                    let unseen = text.unseen();
                    let lines = text.lines(LINES_MAX);
                    html! {
                        <article key={name.to_string()} class="sheet"
                            data-testid={format!("file-{name}")}>
                            <h3>{ name.to_string() }</h3>
                            <div class="end" tabindex="0" role="region"
                                aria-label={format!("the last lines of {name}")}>
                            <ol>
                                if unseen > 0 {
                                    <li key="unseen" class="unseen">
                                        { format!("… {unseen} bytes before") }
                                    </li>
                                }
                                { for lines.into_iter().map(|line| html! {
                                    <li key={line.key}>
                                        <span class="text">{ line.text }</span>
                                        if let Some((_, token)) = line.by {
                                            <span class="token">{ format!("#{token}") }</span>
                                        }
                                    </li>
                                }) }
                            </ol>
                            </div>
                        </article>
                    }
                }) }
            </div>
            { more(self.model.state.files().len(), files.len()) }
        </section> }
    }

    fn log(&self) -> Html {
        let rows = rows::log(&self.model.recent);
        html! { <section class="panel log" aria-labelledby="log">
            <h2 id="log">{ "Log" }<small>{ "newest first" }</small></h2>
            if rows.is_empty() {
                <p class="nothing">{ "What happens from now on is listed here." }</p>
            }
            <ol data-testid="log" tabindex="0" aria-labelledby="log">
                { for rows.iter().map(log_row) }
            </ol>
        </section> }
    }
}

fn count(what: &'static str, number: &impl ToString) -> Html {
    html! { <div><dt>{ what }</dt><dd>{ number.to_string() }</dd></div> }
}

fn nothing(why: &str, command: &str) -> Html {
    html! { <p class="nothing">{ why }<code>{ command }</code></p> }
}

fn more(all: usize, shown: usize) -> Html {
    if all <= shown {
        return html! {};
    }
    html! { <p class="nothing">{ format!("… and {} more", all - shown) }</p> }
}

/// What is left, as a bar and as a number. What isn't live is no time that runs.
fn lease(left: Left, status: Status, of: &str) -> Html {
    #[allow(clippy::cast_precision_loss, reason = "leases are short")]
    let share = left.left.as_millis() as f64 / left.whole.as_millis().max(1) as f64 * 100.0;
    let label = format!("{} left of {of}", left.left);
    let unknown = status != Status::Live;
    let classes = classes!("lease", unknown.then_some("unknown"), (share < 25.0).then_some("low"));
    html! { <span class={classes}>
        <svg
            class="bar" viewBox="0 0 100 6" preserveAspectRatio="none"
            role="img" aria-label={label}
        >
            <rect class="whole" width="100" height="6" />
            if !unknown {
                <rect class="left" width={format!("{share:.1}")} height="6" />
            }
        </svg>
        <span class="number">{ if unknown { "?".to_owned() } else { tenths(left) } }</span>
    </span> }
}

fn lock(row: &LockRow, status: Status) -> Html {
    let state = if row.holder.is_some() { "held" } else { "free" };
    html! { <li key={row.name.to_string()} class={state}>
        <span class="name">{ row.name.to_string() }</span>
        if let Some(holder) = &row.holder {
            <span class="token" title="fencing token">{ format!("#{}", holder.token) }</span>
            <span class="holder">
                { holder.client.clone() }
                if holder.unclaimed { <small>{ " not heard yet" }</small> }
            </span>
            { lease(holder.left, status, "its lease") }
        } else {
            <span class="holder">{ "free" }</span>
        }
        if !row.waiters.is_empty() {
            <ol class="line" aria-label="waiting, in order">
                { for row.waiters.iter().map(|waiter| html! { <li>{ waiter }</li> }) }
                if row.more_waiters > 0 { <li>{ format!("and {} more", row.more_waiters) }</li> }
            </ol>
        }
    </li> }
}

fn client(row: &ClientRow, status: Status) -> Html {
    let names = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let (class, doing) = if let Some(ended) = row.ended {
        ("ended", ended.to_owned())
    } else if !row.holds.is_empty() {
        ("holds", format!("holds {}", names(&row.holds)))
    } else if !row.waits_for.is_empty() {
        ("waits", format!("waits for {}", names(&row.waits_for)))
    } else {
        ("idle", "idle".to_owned())
    };
    html! { <li key={row.key.clone()} class={class}>
        <span class="name">{ row.client.to_string() }</span>
        <span class="doing">{ doing }</span>
        if let Some(left) = row.lease { { lease(left, status, "its lease") } }
    </li> }
}

fn log_row(row: &LogRow) -> Html {
    html! { <li key={row.key.clone()} data-testid="log-row" class={row.kind.word()}>
        <span class="at">{ row.at.map(seconds).unwrap_or_default() }</span>
        <span class="glyph" aria-hidden="true">{ row.kind.glyph() }</span>
        <span class="what">
            if row.kind != Kind::Other || !row.who.is_empty() { <b>{ row.who.clone() }</b>{ " " } }
            { row.what.clone() }
        </span>
    </li> }
}

/// Tenths of a second: more would only flicker.
fn tenths(left: Left) -> String {
    let millis = left.left.as_millis();
    format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
}

fn seconds(at: Time) -> String {
    let millis = at.as_millis();
    format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
}

/// What says that a server that was lost may be there again.
fn wakers(ctx: &Context<Live>) -> Vec<EventListener> {
    let Some(window) = web_sys::window() else { return Vec::new() };
    let wake = |()| News::Wake;
    let mut wakers = Vec::new();
    if let Some(document) = window.document() {
        let callback = ctx.link().callback(wake);
        let listener = move |_: &web_sys::Event| callback.emit(());
        wakers.push(EventListener::new(&document, "visibilitychange", listener));
    }
    let callback = ctx.link().callback(wake);
    wakers.push(EventListener::new(&window, "online", move |_| callback.emit(())));
    wakers
}
