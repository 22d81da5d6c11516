//! Where a run reads the groups and members of its apps.

use std::rc::Rc;

use crate::clock::{Clock, ClockHold};
use crate::delivery::Delivery;
use crate::protocol::RequestFailure;

/// The deliveries that read the groups and members of the apps.
pub(super) struct GroupLists {
    apps: Vec<Rc<Delivery>>,
    /// A simulated clock that stands still while a list is read in real time.
    held: Option<Clock>,
    /// Returns the failure for an app whose lists are not read.
    missing: fn() -> RequestFailure,
}

impl GroupLists {
    /// Reads the lists of the run's apps.
    pub(super) const fn of(apps: Vec<Rc<Delivery>>, missing: fn() -> RequestFailure) -> Self {
        Self { apps, held: None, missing }
    }

    /// Reads lists in real time, while `clock` stands still.
    pub(super) const fn in_real_time(
        apps: Vec<Rc<Delivery>>,
        clock: Clock,
        missing: fn() -> RequestFailure,
    ) -> Self {
        Self { apps, held: Some(clock), missing }
    }

    /// Returns the delivery that reads an app's lists, and the hold of the clock to keep meanwhile.
    pub(super) fn open(&self, app: u32) -> Result<(&Delivery, Option<ClockHold>), RequestFailure> {
        let delivery = self.apps.get(app as usize).ok_or_else(self.missing)?;
        Ok((delivery, self.held.as_ref().map(Clock::hold)))
    }
}
