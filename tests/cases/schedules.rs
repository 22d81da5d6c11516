//! Scheduled times, reloads, hooks and alerts.
