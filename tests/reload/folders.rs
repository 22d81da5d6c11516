//! Links; folders that are created, deleted and replaced; deleted scripts.

use std::os::unix::fs::symlink;

use super::{Scene, replace, script};
use crate::support::Project;

#[test]
fn what_a_link_leads_to_is_watched() {
    let project = Project::new()
        .file("deploy/v1/digest.lua", script("digest", 1))
        .file("deploy/v2/digest.lua", script("digest", 2))
        .file("scripts/other.lua", script("other", 0));
    symlink("v1", project.path("deploy/current")).unwrap();
    symlink("../deploy/current/digest.lua", project.path("scripts/digest.lua")).unwrap();
    Scene::play(&project, async |scene| {
        scene.active("digest", &script("digest", 1)).await;
        // The file behind both links changes, in place and by a rename.
        std::fs::write(scene.path("deploy/v1/digest.lua"), script("digest", 3)).unwrap();
        scene.active("digest", &script("digest", 3)).await;
        replace(&scene.path("deploy/v1/digest.lua"), &script("digest", 4));
        scene.active("digest", &script("digest", 4)).await;
        // The link in the middle changes.
        symlink("v2", scene.path("deploy/next")).unwrap();
        std::fs::rename(scene.path("deploy/next"), scene.path("deploy/current")).unwrap();
        scene.active("digest", &script("digest", 2)).await;
        std::fs::write(scene.path("deploy/v2/digest.lua"), script("digest", 5)).unwrap();
        scene.active("digest", &script("digest", 5)).await;
        // A file replaces the link.
        replace(&scene.path("scripts/digest.lua"), &script("digest", 6));
        scene.active("digest", &script("digest", 6)).await;
    });
}

#[test]
fn a_script_that_is_gone_has_no_jobs_and_one_that_comes_has() {
    let project = Project::new().file("scripts/a.lua", script("a", 0)).file("scripts/b.lua", script("b", 0));
    Scene::play(&project, async |scene| {
        std::fs::remove_file(scene.path("scripts/a.lua")).unwrap();
        scene.until("a is gone", |registry| registry.find("a").is_none()).await;
        assert_eq!(scene.registry.scripts().len(), 1);
        // A script in a new folder.
        std::fs::create_dir(scene.path("scripts/team")).unwrap();
        std::fs::write(scene.path("scripts/team/a.lua"), script("a", 1)).unwrap();
        scene.active("a", &script("a", 1)).await;
        std::fs::write(scene.path("scripts/team/a.lua"), script("a", 2)).unwrap();
        scene.active("a", &script("a", 2)).await;
        // Another name, another script, the same job.
        std::fs::rename(scene.path("scripts/team/a.lua"), scene.path("scripts/c.lua")).unwrap();
        scene
            .until("c has the job", |registry| {
                registry.find("a").is_some_and(|found| found.version.name() == "scripts/c.lua")
                    && registry.scripts().len() == 2
                    && registry.scripts().iter().all(|script| script.stale.is_none())
            })
            .await;
        // Files that editors leave behind are not scripts.
        for name in [".#b.lua", "b.lua~", ".b.lua.swp", "b_test.lua", "notes.txt"] {
            std::fs::write(scene.path(&format!("scripts/{name}")), "error('never loaded')").unwrap();
        }
        scene.sentinel(1).await;
        assert_eq!(scene.registry.scripts().len(), 3);
    });
}

#[test]
fn a_folder_that_is_replaced_is_watched_on() {
    let project = Project::new()
        .file("scripts/a.lua", script("a", 0))
        .file("scripts/lib/x.lua", "return 1")
        .file("next/a.lua", script("a", 1))
        .file("next/b.lua", script("b", 1));
    Scene::play(&project, async |scene| {
        std::fs::rename(scene.path("scripts"), scene.path("before")).unwrap();
        std::fs::rename(scene.path("next"), scene.path("scripts")).unwrap();
        scene.active("a", &script("a", 1)).await;
        scene.active("b", &script("b", 1)).await;
        // The new folder is watched, and the old one no longer matters.
        let before = scene.registry.decisions();
        std::fs::write(scene.path("before/a.lua"), script("a", 9)).unwrap();
        std::fs::write(scene.path("scripts/a.lua"), script("a", 2)).unwrap();
        scene.active("a", &script("a", 2)).await;
        assert_eq!(scene.registry.decisions() - before, 1);
        // Without a folder there are no scripts. When it is back, they are too.
        std::fs::remove_dir_all(scene.path("scripts")).unwrap();
        scene.until("all are gone", |registry| registry.scripts().is_empty()).await;
        std::fs::create_dir(scene.path("scripts")).unwrap();
        std::fs::write(scene.path("scripts/a.lua"), script("a", 3)).unwrap();
        scene.active("a", &script("a", 3)).await;
    });
}

#[test]
fn a_change_that_no_event_tells_is_found_by_the_slow_scan() {
    let project = Project::new().file("scripts/a.lua", script("a", 0));
    std::fs::create_dir(project.path("elsewhere")).unwrap();
    // A write through the other name causes an event only in that folder, which is not watched.
    std::fs::hard_link(project.path("scripts/a.lua"), project.path("elsewhere/a.lua")).unwrap();
    Scene::play(&project, async |scene| {
        std::fs::write(scene.path("elsewhere/a.lua"), script("a", 1)).unwrap();
        scene.active("a", &script("a", 1)).await;
        assert_eq!(scene.registry.decisions(), 2);
    });
}
