//! Records the messages and plans of a rehearsal, and notes what breaks a limit.

use bytes::Bytes;
use serde_json::Value;

use crate::client::RestCall;
use crate::ledger::{Broadcast, BroadcastPlan};
use crate::message::Message;
use crate::protocol::{HostResponse, RequestFailure};
use crate::run::send_policy::{FixedBroadcast, RecallAsked, SendPolicy};

use super::plan::{of_recall, of_request};
use super::{BroadcastOrigin, Rehearsal, RehearsedBroadcast};

impl SendPolicy for Rehearsal {
    /// Notes the problem, and answers with an id for each group that can be read from the message.
    fn invalid(&self, message: &[u8], why: RequestFailure) -> Result<HostResponse, RequestFailure> {
        let message: Value = serde_json::from_slice(message).unwrap_or_default();
        let groups: Vec<String> = match message.get("to") {
            Some(Value::Array(groups)) => groups.iter().filter_map(word).collect(),
            Some(group) => word(group).into_iter().collect(),
            None => Vec::new(),
        };
        let receipts = groups.into_iter().map(|group| (group, self.ids(1).to_string())).collect();
        let number = self.problems.borrow_mut().note(None, None, "", &why);
        Ok(HostResponse::Noted(number, Box::new(HostResponse::Receipts(receipts))))
    }

    fn single(&self, app: &str, message: &Message) -> Result<(), RequestFailure> {
        self.singles.borrow_mut().add(self.files.fingerprint(app, message));
        Ok(())
    }

    fn request(&self, app: &str, call: &RestCall) -> Result<(), RequestFailure> {
        self.requests.borrow_mut().push(of_request(app, call));
        Ok(())
    }

    fn recall(&self, app: &str, recall: &RecallAsked<'_>) -> Result<(), RequestFailure> {
        self.requests.borrow_mut().push(of_recall(app, recall));
        Ok(())
    }

    fn fixed(&self, fixed: FixedBroadcast<'_>) {
        let FixedBroadcast { app, broadcast, spec, how, plan, bad_lines, read, edits } = fixed;
        let is_sent = match how {
            BroadcastOrigin::Built => true,
            BroadcastOrigin::Resumed => broadcast.approval.is_none(),
            BroadcastOrigin::Already | BroadcastOrigin::Cancelled => false,
        };
        let needs_approval = is_sent && spec.approval_over.is_some_and(|over| plan.total > over);
        self.broadcasts.borrow_mut().push(RehearsedBroadcast {
            id: broadcast.id,
            app: app.to_owned(),
            key: broadcast.app_key.clone(),
            name: broadcast.name.clone(),
            run: broadcast.run.clone(),
            how,
            plan,
            spec: spec.clone(),
            needs_approval,
            bad_lines,
            read,
            edits,
            calls: 0,
            sent: 0,
            first: None,
            last: None,
            recipients: Vec::new(),
            samples: Vec::new(),
            largest: None,
        });
    }

    fn reopened(&self, app: &str, broadcast: &Broadcast, how: BroadcastOrigin) -> Result<(), RequestFailure> {
        let skipped = broadcast.counts.skipped;
        let plan = BroadcastPlan {
            total: broadcast.counts.total().saturating_sub(skipped),
            duplicates: broadcast.duplicates,
            excluded: broadcast.excluded,
            skipped,
            suppressed: 0,
            capped: 0,
            largest_message_bytes: broadcast.largest_message_bytes,
            hash: broadcast.plan.clone().unwrap_or_default(),
            details: String::new(),
        };
        let spec = &broadcast.spec;
        self.fixed(FixedBroadcast { app, broadcast, spec, how, plan, bad_lines: 0, read: None, edits: None });
        Ok(())
    }

    fn problem_number(&self) -> Option<u64> {
        Some(self.problems.borrow_mut().number())
    }

    fn note(
        &self,
        number: Option<u64>,
        broadcast: &str,
        recipient: &str,
        why: RequestFailure,
    ) -> Result<(), RequestFailure> {
        self.problems.borrow_mut().note(number, Some(broadcast), recipient, &why);
        Ok(())
    }

    fn awaits_place(&self, number: u64) -> bool {
        self.problems.borrow().awaits_place(number)
    }

    fn place(&self, number: u64, place: &str) {
        self.problems.borrow_mut().place(number, place);
    }

    fn known_as(&self, json: &[u8]) -> Option<Bytes> {
        self.files.known_as(json)
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
