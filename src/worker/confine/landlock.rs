//! Landlock: no file, no socket and no other process can be reached by name.

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};

/// The newest version of Landlock whose rights are taken away. An older kernel takes away those that it knows.
const VERSION: ABI = ABI::V6;

/// Takes every right that Landlock knows from this thread. The error says why that cannot be done.
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
