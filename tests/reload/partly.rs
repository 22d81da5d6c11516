//! A partly written script never becomes active.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Scene, rounds, script};
use crate::support::Project;

/// Declares a job early, so that most prefixes of the script are valid.
fn long(number: usize) -> String {
    let mut text = script("digest", number);
    for job in 0..4 {
        let _ = writeln!(text, "schedule.every(\"1h\", {{ name = \"more {job}\" }}, function() end)");
    }
    text
}

#[test]
fn a_script_written_byte_by_byte_is_in_force_only_as_a_whole() {
    let first = long(0);
    let project = Project::new().file("scripts/digest.lua", &first);
    Scene::play(&project, async |scene| {
        let seen = std::rc::Rc::new(std::cell::RefCell::new(BTreeSet::new()));
        let (watched, registry) = (std::rc::Rc::clone(&seen), scene.registry.clone());
        let mut changed = scene.registry.changed();
        let watching = tokio::task::spawn_local(async move {
            while changed.changed().await.is_ok() {
                for script in registry.scripts() {
                    watched.borrow_mut().insert((script.jobs.len(), script.stale.map(|stale| stale.error)));
                }
            }
        });
        let many = rounds(2, 100);
        let before = scene.registry.decisions();
        for number in 1..=many {
            let (path, text) = (scene.path("scripts/digest.lua"), long(number));
            let whole = text.clone();
            let writing = tokio::task::spawn_blocking(move || {
                let mut random = StdRng::seed_from_u64(number as u64);
                // Longer than the debounce time, at a random position.
                let pauses: Vec<usize> = (0..2).map(|_| random.random_range(1..whole.len())).collect();
                let mut file = std::fs::File::create(path).unwrap();
                for (at, byte) in whole.bytes().enumerate() {
                    file.write_all(&[byte]).unwrap();
                    if pauses.contains(&at) {
                        std::thread::sleep(Duration::from_millis(350));
                    }
                }
            });
            scene.active("digest", &text).await;
            writing.await.unwrap();
        }
        watching.abort();
        assert_eq!(scene.registry.decisions() - before, many as u64);
        assert_eq!(*seen.borrow(), BTreeSet::from([(5, None)]));
    });
}

#[test]
fn a_half_written_library_is_in_no_script() {
    let project = Project::new().file("scripts/lib/texts.lua", "return { name = 'first' } -- whole").file(
        "scripts/a.lua",
        "require('schedule').every('1h', { name = require('texts').name }, function() end)",
    );
    Scene::play(&project, async |scene| {
        let mut library = std::fs::File::create(scene.path("scripts/lib/texts.lua")).unwrap();
        library.write_all(b"return { name = 'half' }").unwrap();
        // The script is saved at the same time: its load would find the partly written module.
        let a = "require('schedule').every('2h', { name = require('texts').name }, function() end)";
        std::fs::write(scene.path("scripts/a.lua"), a).unwrap();
        std::fs::write(scene.path("scripts/sentinel.lua"), script("sentinel", 1)).unwrap();
        scene.active("sentinel", &script("sentinel", 1)).await;
        assert!(scene.registry.find("half").is_none());
        library.write_all(b" .name and { name = 'whole' }").unwrap();
        drop(library);
        std::fs::write(scene.path("scripts/lib/texts.lua"), "return { name = 'whole' }").unwrap();
        scene.active("whole", a).await;
        assert!(scene.registry.find("first").is_none() && scene.registry.find("half").is_none());
    });
}
