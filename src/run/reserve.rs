//! How much of a run's memory budget in the host each request may need.
//!
//! A request to another service first waits for a free slot and then reserves its memory itself. So a call that holds
//! memory never waits for something that another call of its run holds.

use crate::protocol::{BroadcastStep, HostRequest, StoreStep};

use super::files::MAX_READ;
use super::sources::MAX_SOURCE;
use super::store::{PAGE_BYTES, VALUE_BYTES};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The largest list of names in a folder, in bytes.
const NAMES: u64 = 13 * MIB;

/// One page of the service's lists, in bytes.
const LIST: u64 = 256 * KIB;

/// The details of one group, in bytes.
const DETAILS: u64 = KIB;

/// One page of an audience file, in bytes.
const RECIPIENTS: u64 = 2 * MIB;

/// A parsed JSON value takes at most this many times the size of its text.
const READ_JSON: u64 = 16;

/// Bytes that a request holds besides its content, until it is answered.
const CALL: u64 = 6 * KIB;

/// Bytes for each part of a JSON value, besides its text.
const PART: u64 = 48;

/// Returns the bytes that the answer may hold until it is written to the worker. The host reserves them before the
/// work begins, and releases what the answer did not need.
pub(super) fn of_answer(request: &HostRequest) -> u64 {
    match request {
        HostRequest::FileRead(_) => MAX_READ + 1,
        HostRequest::FileList(_) => NAMES,
        HostRequest::Require(_) => MAX_SOURCE,
        HostRequest::Groups { .. } | HostRequest::Members { .. } => LIST,
        HostRequest::GroupDetails { ids, .. } => DETAILS * ids.len() as u64,
        // As JSON, as parsed values, and as the answer.
        HostRequest::Rest(_) => 3 * MIB,
        HostRequest::Store(request) => match request.step {
            StoreStep::List { .. } => (PAGE_BYTES + VALUE_BYTES) as u64 * 2,
            StoreStep::Get(_) => VALUE_BYTES as u64 * 2,
            _ => 0,
        },
        HostRequest::Broadcast(step) => match step {
            BroadcastStep::Page { .. } | BroadcastStep::Take { .. } => RECIPIENTS,
            BroadcastStep::Append { batch, .. } => batch.len() as u64 * READ_JSON,
            BroadcastStep::Begin { spec, .. } => spec.len() as u64 * READ_JSON,
            _ => 0,
        },
        _ => 0,
    }
}

/// Returns the bytes that a request of `size` bytes holds until it is answered.
pub(super) fn of_request(request: &HostRequest, size: usize) -> u64 {
    match request {
        // A checked message waits for its permit both as text and as parsed values.
        HostRequest::Send { message, .. } => {
            let parts = message.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
            CALL + 3 * size as u64 + PART * parts as u64
        }
        _ => CALL + size as u64,
    }
}
