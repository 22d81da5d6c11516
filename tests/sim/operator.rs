//! A person beside the processes, who gives commands through the ledger, and reads at the end what it says.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use mooncast::{
    Actor, ActorKind, AppId, ApprovalResult, BY_ITSELF, BroadcastCommand, BroadcastId, BroadcastStage, Clock,
    Door, Instant, Ledger, LedgerError, RecipientState, SendFilter, TokenRole,
};
use tokio::sync::Notify;

use crate::control::Control;
use crate::story::{Story, What};

/// What the person did to a broadcast, and when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Command(BroadcastCommand),
    Approved,
    Rejected,
}

/// A broadcast at the end, as the ledger has it.
#[derive(Debug, Clone)]
pub struct Ended {
    pub stage: BroadcastStage,
    /// Whether it waits for a person.
    pub waits: bool,
    /// The state of each group's message, and why.
    pub groups: BTreeMap<String, (RecipientState, Option<String>)>,
}

#[derive(Default)]
pub struct Desk {
    orders: RefCell<VecDeque<Order>>,
    ordered: Notify,
    pub acts: RefCell<Vec<(usize, Act, Instant)>>,
    /// Whether everything has ended that does not wait for a person.
    pub is_quiet: RefCell<bool>,
    pub ended: RefCell<BTreeMap<usize, Ended>>,
    /// The states of the single messages, by their groups.
    pub singles: RefCell<Vec<(String, RecipientState)>>,
}

#[derive(Debug)]
enum Order {
    Do(What),
    Look,
    Report,
}

impl Desk {
    fn order(&self, order: Order) {
        self.orders.borrow_mut().push_back(order);
        self.ordered.notify_one();
    }

    pub fn act(&self, what: What) {
        self.order(Order::Do(what));
    }

    pub fn look(&self) {
        self.order(Order::Look);
    }

    pub fn report(&self) {
        self.order(Order::Report);
    }
}

pub struct Operator {
    pub story: Rc<Story>,
    pub clock: Clock,
    pub control: Control,
    pub folder: PathBuf,
    pub desk: Rc<Desk>,
}

impl Operator {
    pub fn begin(self) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(error) = self.run().await {
                self.control.problem(&self.clock, format!("the operator's ledger: {error:?}"));
            }
        })
    }

    async fn run(&self) -> Result<(), LedgerError> {
        let ledger = Ledger::open(&self.folder, self.clock.clone()).await?;
        let app = ledger.app("app").await?;
        loop {
            self.desk.ordered.notified().await;
            loop {
                let Some(order) = self.desk.orders.borrow_mut().pop_front() else { break };
                match order {
                    Order::Do(what) => self.act(&ledger, what).await?,
                    Order::Look => self.look(&ledger).await?,
                    Order::Report => self.report(&ledger, app).await?,
                }
            }
        }
    }

    async fn act(&self, ledger: &Ledger, what: What) -> Result<(), LedgerError> {
        let (index, act) = match what {
            What::Command(index, command) => (index, Act::Command(command)),
            What::Approve(index) => (index, Act::Approved),
            What::Reject(index) => (index, Act::Rejected),
            _ => return Ok(()),
        };
        let Some(id) = self.find(ledger, index).await? else { return Ok(()) };
        let by = Actor {
            name: "ann".to_owned(),
            kind: ActorKind::Token,
            role: TokenRole::Approver,
            door: Door::Api,
            host: "sim".to_owned(),
            address: None,
        };
        let done = match act {
            Act::Command(command) => match ledger.request_command(id, command, Some("a person")).await {
                Ok(()) => true,
                Err(LedgerError::NotNow { .. }) => false,
                Err(error) => return Err(error),
            },
            Act::Approved => ledger.approve(id, &by, None, None).await? == ApprovalResult::Done,
            Act::Rejected => ledger.reject(id, None, "no").await? == ApprovalResult::Done,
        };
        let name = &self.story.broadcasts[index].name;
        self.control.log(&self.clock, format!("operator: {name}: {act:?}: {done}"));
        if done {
            self.desk.acts.borrow_mut().push((index, act, self.clock.now()));
        }
        Ok(())
    }

    async fn find(&self, ledger: &Ledger, index: usize) -> Result<Option<BroadcastId>, LedgerError> {
        let filter = mooncast::BroadcastFilter {
            name: Some(self.story.broadcasts[index].name.clone()),
            ..mooncast::BroadcastFilter::default()
        };
        Ok(ledger.list(&filter).await?.first().map(|broadcast| broadcast.id))
    }

    async fn look(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let mut is_quiet = true;
        for index in 0..self.story.broadcasts.len() {
            let Some(id) = self.find(ledger, index).await? else {
                is_quiet = false;
                continue;
            };
            let shown = ledger.show(id).await?;
            is_quiet &= shown.is_over() || (waits(&shown) && shown.counts.sending == 0);
        }
        self.desk.is_quiet.replace(is_quiet);
        Ok(())
    }

    async fn report(&self, ledger: &Ledger, app: AppId) -> Result<(), LedgerError> {
        for index in 0..self.story.broadcasts.len() {
            let Some(id) = self.find(ledger, index).await? else { continue };
            let shown = ledger.show(id).await?;
            let rows = ledger.export(id, 0, u32::MAX).await?.into_iter();
            let groups = rows.map(|row| (row.group_id, (row.state, row.error))).collect();
            let ended = Ended { stage: shown.stage, waits: waits(&shown), groups };
            self.desk.ended.borrow_mut().insert(index, ended);
        }
        let filter = SendFilter { app: Some(app), ..SendFilter::default() };
        for send in ledger.sends(filter, u32::MAX).await? {
            let groups: Vec<String> = serde_json::from_str(&send.recipients).unwrap();
            let states = groups.into_iter().map(|group| (group, send.state));
            self.desk.singles.borrow_mut().extend(states);
        }
        Ok(())
    }
}

/// Whether a broadcast waits for a person.
fn waits(shown: &mooncast::Broadcast) -> bool {
    let by_itself = shown.command_note.as_deref().is_some_and(|note| note.starts_with(BY_ITSELF));
    shown.awaits_approval() || (shown.command == BroadcastCommand::Pause && !by_itself)
}
