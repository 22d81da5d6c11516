//! The app's own backend takes half of the quota: we take what is left, and leave it its half.
//!
//! One phase of the backend is played for each case. There are phases in which this does not hold at 20 a second: an
//! even backend whose last message of every second comes just before the second's end is refused in our place each
//! time, and nobody tells us (see `pace`).

use std::time::Duration;

use super::model::{Backend, Counting};
use super::scene::{Outcome, Scene};

fn beside(backend: Backend, per_second: u32, counting: Counting) -> Outcome {
    let scene = Scene {
        backend: Some(backend),
        counting: vec![counting],
        counted: 10.0..70.0,
        seed: 7,
        ..Scene::new(per_second, 2.5..40.0)
    };
    scene.play()
}

fn converges(backend: Backend, per_second: u32) {
    let mut failed = Vec::new();
    for counting in Counting::ALL {
        let outcome = beside(backend, per_second, counting);
        let ours = outcome.refused as f64 / (outcome.taken + outcome.refused) as f64;
        let backends =
            outcome.backend_refused as f64 / (outcome.backend_taken + outcome.backend_refused) as f64;
        let used = outcome.taken as f64 / (f64::from(per_second) * 30.0);
        let line = format!(
            "{per_second}/s, {counting:?}, {backend:?}: {:.2}% of ours and {:.2}% of the backend's refused, {:.1}% used",
            ours * 100.0,
            backends * 100.0,
            used * 100.0
        );
        println!("{line}");
        if ours > 0.03 || backends > 0.01 || used < 0.9 {
            failed.push(line);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn with_an_even_backend_at_20() {
    converges(Backend::Even, 20);
}

#[test]
fn with_an_even_backend_at_100() {
    converges(Backend::Even, 100);
}

#[test]
fn with_an_even_backend_at_1000() {
    converges(Backend::Even, 1000);
}

#[test]
fn with_an_uneven_backend_at_100() {
    converges(Backend::Late(Duration::from_millis(100)), 100);
}

#[test]
fn with_a_random_backend_at_1000() {
    converges(Backend::Poisson, 1000);
}
