//! The app's own backend uses half of the quota. This process uses the rest and leaves the backend its half.
//!
//! Each case runs with sixteen seeds for the backend and the network (six at 1000 a second, where each takes seconds;
//! four hundred with `MOONCAST_SOAK` set). Every seed must meet the requirement: after the first ten seconds, at most
//! 3% of this process's messages and 1% of the backend's are refused, and 90% of the free quota is used.

use std::time::Duration;

use super::model::{Backend, Counting};
use super::scene::{Outcome, Scene};

/// The number of seeds for each case.
fn seeds(per_second: u32) -> u64 {
    if std::env::var_os("MOONCAST_SOAK").is_some() {
        400
    } else if per_second < 1000 {
        16
    } else {
        6
    }
}

/// The result of one seed, as parts of one.
#[derive(Debug, Clone, Copy)]
struct Parts {
    ours: f64,
    backends: f64,
    used: f64,
}

fn beside(backend: Backend, per_second: u32, counting: Counting, seed: u64) -> Parts {
    let scene = Scene {
        backend: Some(backend),
        counting: vec![counting],
        counted: 10.0..70.0,
        seed,
        ..Scene::new(per_second, 2.5..40.0)
    };
    let Outcome { taken, refused, backend_taken, backend_refused, .. } = scene.play();
    Parts {
        ours: refused as f64 / (taken + refused) as f64,
        backends: backend_refused as f64 / (backend_taken + backend_refused) as f64,
        used: taken as f64 / (f64::from(per_second) * 30.0),
    }
}

fn converges(backend: Backend, per_second: u32) {
    let mut failed = Vec::new();
    // A second of the strict count that refuses once refuses to its end, so it accepts and refuses the same messages as
    // the plain count.
    for counting in [Counting::WallSecond, Counting::SlidingSecond, Counting::Bucket] {
        let play = |odd| {
            let seeds = (0..seeds(per_second)).filter(move |seed| seed % 2 == odd);
            std::thread::spawn(move || {
                seeds.map(|seed| beside(backend, per_second, counting, seed)).collect::<Vec<_>>()
            })
        };
        let threads = [play(0), play(1)];
        let parts: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let ours = parts.iter().map(|parts| parts.ours).fold(0.0, f64::max);
        let backends = parts.iter().map(|parts| parts.backends).fold(0.0, f64::max);
        let used = parts.iter().map(|parts| parts.used).fold(1.0, f64::min);
        let line = format!(
            "{per_second}/s, {counting:?}, {backend:?}, worst of {}: {:.2}% of ours and {:.2}% of the \
             backend's refused, {:.1}% used",
            seeds(per_second),
            ours * 100.0,
            backends * 100.0,
            used * 100.0,
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
