//! Settings that change while the daemon runs.

use std::time::Duration;

use super::{Scene, script};
use crate::support::Project;

#[test]
fn limits_and_permissions_are_taken_in_and_a_broken_file_is_not() {
    let project = Project::new()
        .file("mooncast.toml", "[scripts]\ntimeout = \"1m\"\n")
        .file("scripts/a.lua", "local name = require('env').get('NAME_OF_JOB') or 'none'\nrequire('schedule').every('1h', { name = name }, function() end)");
    Scene::play(&project, async |scene| {
        assert_eq!(scene.registry.settings().scripts.timeout, Some(Duration::from_mins(1)));
        let refused = scene.stale("scripts/a.lua").await;
        assert!(refused.contains("NAME_OF_JOB"), "{refused}");
        let save = |text: &str| std::fs::write(scene.path("mooncast.toml"), text).unwrap();
        save("[scripts]\ntimeout = \"2m\"\n[permissions]\nenv = [\"NAME_OF_JOB\"]\n");
        scene.until("the permission", |registry| registry.find("none").is_some()).await;
        assert_eq!(scene.registry.settings().scripts.timeout, Some(Duration::from_mins(2)));

        save("[scripts]\ntimeout = 3\nfour = 5\n");
        scene.sentinel(1).await;
        save("[permissions]\nnet = [\"no host\"]\n");
        scene.sentinel(2).await;
        assert_eq!(scene.registry.settings().scripts.timeout, Some(Duration::from_mins(2)));

        // Settings that need a restart are not applied; the others are.
        save("[app.limits]\ngroup_per_second = 7\n[scripts]\ntimeout = \"4m\"\n");
        scene
            .until("the timeout", |registry| {
                registry.settings().scripts.timeout == Some(Duration::from_mins(4))
            })
            .await;
        assert_eq!(scene.registry.settings().apps[0].limits.group_per_second, 20);
    });
}

#[test]
fn everything_is_looked_at_again_when_somebody_asks() {
    let project =
        Project::new().file("scripts/a.lua", script("a", 0)).file("scripts/b.lua", "error('not yet')");
    Scene::play(&project, async |scene| {
        let before = scene.registry.decisions();
        scene.registry.look_again();
        // Scripts that failed to load are tried again. Active ones are left alone.
        scene.until("b was tried", |registry| registry.decisions() > before).await;
        assert_eq!(scene.registry.decisions() - before, 1);
        assert!(scene.registry.find("a").is_some());
    });
}
