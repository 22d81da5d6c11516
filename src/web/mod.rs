//! The daemon's listener: the page, its API and its figures, and the requests that hooks take.
//!
//! - `listener`: connections; `guard`: who may ask; `body`: what they say, within bounds; `answer`: refusals;
//! - `view`: what is shown, the same on the page, in the API and in the terminal; `board`: how everything stands now;
//! - `acts`: what can be done; `scripts`: which may be run; `hooks`: requests that begin runs;
//! - `metrics`: figures for Prometheus; `health`: whether the daemon lives and can do its work;
//! - `page`: for people; `words`: its texts; `api`: everything in JSON; `house`: what all of it needs of the daemon.
//!
//! Handlers read the ledger, which knows nearly everything, by themselves; what only the daemon knows is asked of it on
//! its own thread (`Site::on_daemon`), and what people want goes through the ledger, as it does from the command line.
//!
//! May import: `schedule`, `host` and what is below them.

mod acts;
mod answer;
mod api;
mod board;
mod body;
mod guard;
mod health;
mod hooks;
mod house;
mod listener;
mod metrics;
mod page;
mod replan;
mod scripts;
mod view;
mod words;

use std::cell::RefCell;
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::ledger::Ledger;

use answer::Problem;
use board::{Board, Watch};
use guard::{Names, Tokens};
use house::{Office, Work};
use page::Pages;

pub use acts::{BroadcastAct, Done, JobAct, SendAct};
pub use guard::{Minted, mint};
pub use house::{Find, House};
pub use listener::{Listening, Tls};
pub use metrics::Figures;
pub use replan::{NotReplanned, ask_to_replan, continue_as_stored};
pub use scripts::{AskedFor, NotRun, ask_for_script, asked_scripts};
pub use view::*;

/// Work for the daemon's thread that waits at once.
const WORK: usize = 256;

/// Requests whose bodies are read at once.
const READING: usize = 64;

/// What handlers share.
#[derive(Clone)]
struct Site(Arc<Shared>);

struct Shared {
    ledger: Ledger,
    clock: Clock,
    log: Arc<LogTail>,
    names: Names,
    tokens: Tokens,
    pages: Pages,
    watch: Watch,
    /// Places for requests whose bodies are being read.
    reading: Semaphore,
    work: mpsc::Sender<Work>,
}

impl Deref for Site {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Site {
    /// Does something on the daemon's own thread, and gives what came of it.
    async fn on_daemon<T, F>(&self, work: impl FnOnce(Rc<Office>) -> F + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let stops = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon stops");
        let (done, came) = oneshot::channel();
        let work: Work = Box::new(move |office| {
            Box::pin(async move {
                // Who has asked may be gone.
                let _ = done.send(work(office).await);
            })
        });
        self.work.send(work).await.map_err(|_| stops())?;
        came.await.map_err(|_| stops())
    }
}

/// Answers requests for as long as it is polled. Must be called on the daemon's own thread.
///
/// # Errors
///
/// When the listener has no address, the key of sessions can neither be read nor made, or the page's templates make no
/// sense.
pub async fn serve(listening: Listening, house: House) -> std::io::Result<()> {
    let address = listening.address()?;
    let (work, mut wanted) = mpsc::channel(WORK);
    let (board, watch) = Board::new();
    let pages = Pages::new(&house.project, house.simulator).map_err(std::io::Error::other)?;
    let site = Site(Arc::new(Shared {
        ledger: house.ledger.clone(),
        clock: house.clock.clone(),
        log: Arc::clone(&house.log),
        names: Names::new(address, listening.tls.is_some(), &house.serve.hosts),
        tokens: Tokens::new(house.ledger.clone(), &house.state, house.clock.clone())?,
        pages,
        watch,
        reading: Semaphore::new(READING),
        work,
    }));
    let clock = house.clock.clone();
    let office = Rc::new(Office {
        house,
        hooks: hooks::Desk::new(),
        board,
        recalling: RefCell::default(),
        readiness: health::Readiness::default(),
    });
    let answering = listening.answer(router(&site), clock);
    let watching = office.board.keep(&office.house);
    let mut doing = JoinSet::new();
    tokio::pin!(answering, watching);
    loop {
        tokio::select! {
            () = &mut answering => return Ok(()),
            () = &mut watching => {}
            Some(work) = wanted.recv() => {
                doing.spawn_local(work(Rc::clone(&office)));
            }
            Some(_) = doing.join_next() => {}
        }
    }
}

fn router(site: &Site) -> Router {
    let guarded = Router::new()
        .nest("/api/v1", api::routes())
        .merge(metrics::routes())
        .merge(page::routes())
        .layer(from_fn_with_state(site.clone(), guard::watch));
    // A hook is asked for by other services, under whatever name the proxy in front has; and health by address.
    let open = hooks::routes().merge(health::routes());
    open.merge(guarded).layer(from_fn(metrics::count)).with_state(site.clone())
}
