//! Each save is loaded once, whatever the way of saving.

use std::time::Instant;

use super::{Latencies, Scene, replace, rounds, script};
use crate::support::Project;

#[test]
fn each_save_in_place_is_in_force_once() {
    let project = Project::new().file("scripts/digest.lua", script("digest", 0));
    Scene::play(&project, async |scene| {
        let before = scene.registry.decisions();
        let (many, mut latencies) = (rounds(6, 220), Latencies::default());
        for number in 1..=many {
            let (text, start) = (script("digest", number), Instant::now());
            std::fs::write(scene.path("scripts/digest.lua"), &text).unwrap();
            scene.active("digest", &text).await;
            latencies.since(start);
        }
        assert_eq!(scene.registry.decisions() - before, many as u64);
        latencies.judge("written in place");
    });
}

#[test]
fn each_save_by_rename_is_in_force_once() {
    let project = Project::new().file("scripts/digest.lua", script("digest", 0));
    Scene::play(&project, async |scene| {
        let before = scene.registry.decisions();
        let (many, mut latencies) = (rounds(6, 220), Latencies::default());
        for number in 1..=many {
            let (text, start) = (script("digest", number), Instant::now());
            replace(&scene.path("scripts/digest.lua"), &text);
            scene.active("digest", &text).await;
            latencies.since(start);
        }
        assert_eq!(scene.registry.decisions() - before, many as u64);
        assert_eq!(scene.registry.scripts().len(), 1);
        latencies.judge("renamed over");
    });
}

#[test]
fn a_touch_changes_nothing() {
    let text = script("digest", 0);
    let project =
        Project::new().file("scripts/digest.lua", &text).file("scripts/sentinel.lua", script("sentinel", 0));
    Scene::play(&project, async |scene| {
        let before = scene.registry.decisions();
        let loaded_at = scene.status("scripts/digest.lua").loaded_at;
        let many = rounds(4, 220);
        for number in 1..=many {
            let path = scene.path("scripts/digest.lua");
            match number % 3 {
                // A change of the times, the same bytes in place, the same bytes in another file.
                0 => std::fs::File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_modified(std::time::SystemTime::now())
                    .unwrap(),
                1 => std::fs::write(path, &text).unwrap(),
                _ => replace(&path, &text),
            }
            scene.sentinel(number).await;
        }
        assert_eq!(scene.registry.decisions() - before, many as u64);
        assert_eq!(scene.status("scripts/digest.lua").loaded_at, loaded_at);
    });
}

#[test]
fn a_broken_version_never_takes_over_and_a_mended_one_does() {
    let first = script("digest", 0);
    let project = Project::new().file("scripts/digest.lua", &first);
    Scene::play(&project, async |scene| {
        let before = scene.registry.decisions();
        let many = rounds(3, 220);
        let (mut held, mut latencies) = (first, Latencies::default());
        for number in 1..=many {
            let path = scene.path("scripts/digest.lua");
            let (broken, reason) = match number % 3 {
                0 => (format!("{held}\nend"), "scripts/digest.lua:5: <eof> expected"),
                1 => (format!("{held}\nerror('no')"), "scripts/digest.lua:5: no"),
                _ => (
                    format!("im.group_send {{ to = '1', type = 'txt', body = {{ msg = 'x' }} }}\n{held}"),
                    "scripts/digest.lua:1: ",
                ),
            };
            std::fs::write(&path, broken).unwrap();
            let error = scene.stale("scripts/digest.lua").await;
            assert!(error.starts_with(reason), "{error}");
            assert_eq!(super::source(&scene.registry.find("digest").unwrap()), held);

            held = script("digest", number);
            let start = Instant::now();
            std::fs::write(&path, &held).unwrap();
            scene.active("digest", &held).await;
            latencies.since(start);
            assert_eq!(scene.status("scripts/digest.lua").stale, None);
        }
        assert_eq!(scene.registry.decisions() - before, 2 * many as u64);
        latencies.judge("broken, then mended");
    });
}

#[test]
fn a_library_takes_all_that_require_it_along() {
    let user = |job: &str| {
        format!(
            "local texts = require('texts')\nrequire('schedule').every('1h', {{ name = '{job}' .. texts.number }}, function() end)"
        )
    };
    let library = |number: usize| format!("return {{ number = {number} }}");
    let project = Project::new()
        .file("scripts/lib/texts.lua", "return require('deep.numbers')")
        .file("scripts/lib/deep/numbers.lua", library(0))
        .file("scripts/a.lua", user("a"))
        .file("scripts/b.lua", user("b"))
        .file("scripts/c.lua", user("c"))
        .file("scripts/other.lua", script("other", 0));
    Scene::play(&project, async |scene| {
        let before = scene.registry.decisions();
        let (many, mut latencies) = (rounds(4, 220), Latencies::default());
        for number in 1..=many {
            let start = Instant::now();
            std::fs::write(scene.path("scripts/lib/deep/numbers.lua"), library(number)).unwrap();
            scene
                .until("all three", |registry| {
                    ["a", "b", "c"].iter().all(|job| registry.find(&format!("{job}{number}")).is_some())
                })
                .await;
            latencies.since(start);
        }
        assert_eq!(scene.registry.decisions() - before, 3 * many as u64);
        latencies.judge("a library of three scripts");

        // A broken module is reported with its own line, and every script keeps its active version.
        std::fs::write(scene.path("scripts/lib/deep/numbers.lua"), "return {\n  number = = 1\n}").unwrap();
        for name in ["scripts/a.lua", "scripts/b.lua", "scripts/c.lua"] {
            let error = scene.stale(name).await;
            assert!(error.contains("scripts/lib/deep/numbers.lua:2:"), "{error}");
        }
        assert!(scene.registry.find(&format!("a{many}")).is_some());
        assert_eq!(scene.status("scripts/other.lua").stale, None);
        // A deleted module is reported as missing. When it is back, all scripts load.
        std::fs::remove_file(scene.path("scripts/lib/deep/numbers.lua")).unwrap();
        scene
            .until("the module is missed", |registry| {
                registry
                    .scripts()
                    .iter()
                    .filter(|script| {
                        script
                            .stale
                            .as_ref()
                            .is_some_and(|stale| stale.error.contains("'deep.numbers' not found"))
                    })
                    .count()
                    == 3
            })
            .await;
        std::fs::write(scene.path("scripts/lib/deep/numbers.lua"), library(7000)).unwrap();
        scene
            .until("all three again", |registry| {
                registry.find("c7000").is_some()
                    && registry.scripts().iter().all(|script| script.stale.is_none())
            })
            .await;
        // A nearer module replaces it, though no required file has changed.
        std::fs::write(scene.path("scripts/texts.lua"), library(8000)).unwrap();
        scene.until("the nearer one", |registry| registry.find("b8000").is_some()).await;
    });
}

#[test]
fn fifty_saves_in_a_second_end_with_the_last_one() {
    let project = Project::new().file("scripts/digest.lua", script("digest", 0));
    Scene::play(&project, async |scene| {
        for turn in 0..rounds(1, 20) {
            let before = scene.registry.decisions();
            let path = scene.path("scripts/digest.lua");
            let last = script("digest", turn * 100 + 50);
            let saving = tokio::task::spawn_blocking(move || {
                for number in 1..=50 {
                    let text = script("digest", turn * 100 + number);
                    if number % 2 == 0 {
                        replace(&path, &text);
                    } else {
                        std::fs::write(&path, text).unwrap();
                    }
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            });
            scene.active("digest", &last).await;
            saving.await.unwrap();
            // A stalled machine may load one on the way, but never all of them.
            let loads = scene.registry.decisions() - before;
            assert!((1..10).contains(&loads), "{loads}");
        }
    });
}
