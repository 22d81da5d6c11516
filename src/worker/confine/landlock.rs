//! Landlock: a worker can reach no file, socket or other process by name.

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};

/// The newest version of Landlock whose rights are removed. An older kernel removes those that it knows.
const VERSION: ABI = ABI::V6;

/// Removes every right that Landlock knows from this thread. The error says why this is not possible.
pub(super) fn restrict() -> Result<(), String> {
    match restricted() {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
        Ok(status) => Err(match status.landlock {
            LandlockStatus::NotEnabled => "the kernel has it switched off".to_owned(),
            _ => "the kernel has none".to_owned(),
        }),
        Err(error) => Err(error.to_string()),
    }
}

fn restricted() -> Result<RestrictionStatus, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()?
        .restrict_self()
}
