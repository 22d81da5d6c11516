//! The service refuses nothing, however it counts, and nearly all that it can accept is sent.

use super::scene::Scene;

fn refuses_nothing(per_second: u32, delay: std::ops::Range<f64>, cost: fn(u64) -> u32) {
    let spread = (delay.end - delay.start) / 1000.0;
    // The first second is slow, because the sends before it are not known.
    let mut scene = Scene { cost, ..Scene::new(per_second, delay.clone()) };
    scene.counted = 2.0..62.0;
    let outcome = scene.play();
    let possible = f64::from(per_second) / (1.0 + spread) * 60.0;
    let part = outcome.taken as f64 / possible;
    println!(
        "{per_second}/s, {delay:?} ms: {} refused, {:.2}% of what is possible",
        outcome.ever_refused,
        part * 100.0
    );
    assert_eq!(outcome.ever_refused, 0, "{per_second}/s, {delay:?} ms");
    assert!(part >= 0.97, "{per_second}/s, {delay:?} ms: {part}");
}

#[test]
fn with_a_fixed_delay() {
    for per_second in [20, 100, 1000] {
        refuses_nothing(per_second, 2.5..2.5, |_| 1);
    }
}

#[test]
fn with_some_jitter() {
    for per_second in [20, 100, 1000] {
        refuses_nothing(per_second, 2.5..40.0, |_| 1);
    }
}

#[test]
fn with_much_jitter() {
    for per_second in [20, 100, 1000] {
        refuses_nothing(per_second, 20.0..150.0, |_| 1);
    }
}

#[test]
fn with_calls_of_one_to_three_messages() {
    let outcome =
        Scene { cost: |number| 1 + u32::try_from(number % 3).unwrap(), ..Scene::new(20, 2.5..40.0) }.play();
    assert_eq!(outcome.ever_refused, 0);
    assert!(outcome.taken >= 1_000, "{outcome:?}");
}

#[test]
fn with_requests_written_late() {
    for per_second in [20, 100] {
        let outcome = Scene { stall: 60.0, ..Scene::new(per_second, 2.5..40.0) }.play();
        assert_eq!(outcome.ever_refused, 0);
        assert!(outcome.taken >= u64::from(per_second) * 52, "{outcome:?}");
    }
}

#[test]
fn with_restarts_at_full_pace() {
    for (per_second, delay) in [(20, 2.5..2.5), (20, 20.0..150.0), (100, 2.5..40.0), (1000, 20.0..150.0)] {
        for seed in 0..3 {
            let shift = f64::from(u32::try_from(seed).unwrap()) * 0.137;
            let scene = Scene {
                restarts: vec![3.3 + shift, 7.45, 8.0 + shift, 8.8, 11.0 + shift],
                counted: 0.0..14.0,
                seed,
                ..Scene::new(per_second, delay.clone())
            };
            let outcome = scene.play();
            println!("{per_second}/s, {delay:?} ms, restarted: {outcome:?}");
            assert_eq!(outcome.ever_refused, 0, "{per_second}/s, {delay:?} ms, seed {seed}");
        }
    }
}
