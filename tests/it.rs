//! The one integration test binary: a file a feature.
mod client;
