//! Which script owns a job's name.

use super::{Scene, script};
use crate::support::Project;

#[test]
fn the_second_to_claim_a_name_is_refused_and_told_who_has_it() {
    let project =
        Project::new().file("scripts/a.lua", script("digest", 1)).file("scripts/b.lua", script("digest", 2));
    Scene::play(&project, async |scene| {
        let error = scene.stale("scripts/b.lua").await;
        assert!(
            error.starts_with(
                "scripts/b.lua:3: a job named `digest` is already active, declared at scripts/a.lua:3"
            ),
            "{error}"
        );
        assert_eq!(scene.status("scripts/b.lua").hash, None);
        // The active script keeps the name when it changes.
        std::fs::write(scene.path("scripts/a.lua"), script("digest", 3)).unwrap();
        scene.active("digest", &script("digest", 3)).await;
        assert!(scene.status("scripts/b.lua").stale.is_some());
        // A third script that changes its job to this name is refused and keeps its earlier name.
        std::fs::write(scene.path("scripts/0.lua"), script("early", 1)).unwrap();
        scene.active("early", &script("early", 1)).await;
        std::fs::write(scene.path("scripts/0.lua"), script("digest", 4)).unwrap();
        scene.stale("scripts/0.lua").await;
        assert!(scene.registry.find("early").is_some());
        // When the name is free, the first waiting script by path gets it.
        std::fs::write(scene.path("scripts/a.lua"), script("other", 1)).unwrap();
        scene.active("digest", &script("digest", 4)).await;
        assert!(scene.registry.find("early").is_none());
        std::fs::remove_file(scene.path("scripts/0.lua")).unwrap();
        scene.active("digest", &script("digest", 2)).await;
        assert!(scene.registry.scripts().iter().all(|script| script.stale.is_none()));
        assert_eq!(scene.registry.jobs().len(), 2);
    });
}

#[test]
fn a_top_level_that_hangs_holds_up_nobody_else() {
    let project = Project::new()
        .file("scripts/a.lua", script("a", 0))
        .file("mooncast.toml", "[scripts]\ncpu = \"2s\"\n");
    Scene::play(&project, async |scene| {
        std::fs::write(scene.path("scripts/hangs.lua"), "while true do end").unwrap();
        scene.sentinel(1).await;
        std::fs::write(scene.path("scripts/a.lua"), script("a", 1)).unwrap();
        scene.active("a", &script("a", 1)).await;
        assert!(scene.registry.scripts().iter().all(|script| script.name != "scripts/hangs.lua"));
        let error = scene.stale("scripts/hangs.lua").await;
        assert!(error.starts_with("scripts/hangs.lua"), "{error}");
    });
}
