//! Inputs that changed under an unfinished broadcast, and the order in which things leave.
