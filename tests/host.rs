//! The host survives its workers: several runs in one host, some of them hostile, some of them killed.
//!
//! Store: file

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mooncast::{
    App, AppLimits, Clock, Credentials, DeclaredJobs, Delivery, GrantedVariables, InterruptSwitch, LoadMode,
    LuaSource, MemoryBudget, ModuleSources, OutboundHttp, Permissions, Project as Place, ProjectFiles,
    RunBroadcasts, RunEnd, RunError, RunInputs, RunMode, RunServices, RunSpec, RunStop, ScriptOutput,
    ScriptStore, SendCounters, SendCounts, Timeouts, WorkerLimits, run_script,
};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::gettid;

use crate::support::Project;
use crate::support::service::{Service, accept};

/// Discards what scripts print.
struct Silent;

impl ScriptOutput for Silent {
    fn print(&self, _: &[u8]) {}
}

fn delivery(service: &Service, clock: &Clock) -> Rc<Delivery> {
    let app = App {
        name: "default".into(),
        prefix: format!("{}/org/app", service.url()),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits { group_per_second: 10_000, ..AppLimits::default() },
        timeouts: Timeouts::default(),
    };
    Rc::new(Delivery::new(&app, clock.clone(), None).unwrap())
}

fn services(project: &Project, app: &Rc<Delivery>, clock: &Clock) -> Rc<RunServices> {
    let place = Place::at(&project.path("")).unwrap();
    let none = Permissions::default();
    Rc::new(RunServices {
        console: None,
        apps: vec![Rc::clone(app)],
        origin: "scripts/main.lua".to_owned(),
        clock: clock.clone(),
        sources: ModuleSources::new(&place, &project.path("scripts/main.lua")),
        files: ProjectFiles::new(&place, &none, &[], None).unwrap(),
        variables: GrantedVariables::new(&none),
        outbound: OutboundHttp::new(&none, clock.clone()),
        output: Rc::new(Silent),
        tally: Rc::new(SendCounters::default()),
        broadcasts: RunBroadcasts::default(),
        inputs: RunInputs::default(),
        jobs: DeclaredJobs::default(),
        store: ScriptStore::new("scripts/main.lua"),
        job: None,
        stop: RunStop::default(),
        part: RunMode::default(),
        memory: MemoryBudget::alone(64 << 20),
    })
}

fn spec(source: &str) -> RunSpec {
    RunSpec {
        program: PathBuf::from(env!("CARGO_BIN_EXE_mooncast")),
        script: LuaSource { name: "scripts/main.lua".into(), text: source.to_owned().into() },
        job: None,
        mode: LoadMode::Run,
        args: Vec::new(),
        limits: WorkerLimits { memory: 64 << 20, cpu_ms: 500, tasks: 1000 },
        timeout: Some(Duration::from_mins(1)),
        seed: 1,
    }
}

/// Returns the worker processes that a thread of this process has started.
fn workers(of: Pid) -> Vec<Pid> {
    let started = format!("/proc/self/task/{}/children", of.as_raw_pid());
    let is_worker = |pid: &i32| {
        std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"))
            .is_ok_and(|line| line.starts_with(b"mooncast-worker"))
    };
    let pids = std::fs::read_to_string(started).unwrap();
    let pids = pids.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.filter(is_worker).filter_map(Pid::from_raw).collect()
}

#[test]
fn a_worker_killed_in_the_middle_of_a_send_a_hundred_times_leaves_the_host_whole() {
    // The service kills the worker whose message has just arrived, then answers.
    let killed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&killed);
    let this = gettid();
    let service = Service::answering(move |number, request| {
        if request.json()["body"]["msg"] == "kill" {
            for worker in workers(this) {
                kill_process(worker, Signal::KILL).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
        accept(number, request)
    });
    let clock = Clock::real();
    let project = Project::new().file("scripts/main.lua", "");
    let app = delivery(&service, &clock);
    clock
        .block_on(async {
            for _ in 0..100 {
                let services = services(&project, &app, &clock);
                let (_switch, interrupt) = InterruptSwitch::new();
                let source =
                    "im.group_send { to = '1', type = 'txt', body = { msg = 'kill' } } error('not killed')";
                let ended = run_script(spec(source), Rc::clone(&services), interrupt).await;
                assert!(
                    matches!(&ended, RunEnd::Failed(RunError::Stopped(why)) if why.contains("signal 9")),
                    "{ended:?}"
                );
                // Its message had reached the service, and the host completed the call.
                assert_eq!(services.tally.counts(), SendCounts { sent: 1, ..SendCounts::default() });
            }
            let services = services(&project, &app, &clock);
            let (_switch, interrupt) = InterruptSwitch::new();
            let ended = run_script(
                spec("im.group_send { to = '1', type = 'txt', body = { msg = 'x' } }"),
                services,
                interrupt,
            );
            assert!(matches!(ended.await, RunEnd::Finished));
        })
        .unwrap();
    assert_eq!(killed.load(Ordering::SeqCst), 100);
    assert_eq!(service.messages().len(), 101);
    assert!(workers(gettid()).is_empty());
}

#[test]
fn a_good_script_is_served_while_others_misbehave() {
    let service = Service::accepting();
    let clock = Clock::real();
    let project = Project::new().file("scripts/main.lua", "");
    let app = delivery(&service, &clock);
    let hostile = [
        "while true do end",
        "while true do pcall(error) end",
        "('a'):rep(3000):find(('.-'):rep(12) .. 'b')",
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "while true do print(('x'):rep(60000)) end",
        "for i = 1, 1e9 do require('task').spawn(function() im.group_send { to = '2', type = 'txt', body = { msg = 'x' } } end) end",
    ];
    clock
        .block_on(async {
            let misbehaving: Vec<_> = hostile
                .into_iter()
                .map(|source: &'static str| {
                    let services = services(&project, &app, &clock);
                    tokio::task::spawn_local(async move {
                        let (_switch, interrupt) = InterruptSwitch::new();
                        run_script(spec(source), services, interrupt).await
                    })
                })
                .collect();
            let good = services(&project, &app, &clock);
            let (_switch, interrupt) = InterruptSwitch::new();
            let source =
                "for i = 1, 20 do im.group_send { to = '1', type = 'txt', body = { msg = 'good' } } end";
            let ended = run_script(spec(source), Rc::clone(&good), interrupt).await;
            assert!(matches!(ended, RunEnd::Finished), "{ended:?}");
            assert_eq!(good.tally.counts().sent, 20);
            for ended in misbehaving {
                let ended = ended.await.unwrap();
                assert!(matches!(ended, RunEnd::Failed(_)), "{ended:?}");
            }
        })
        .unwrap();
    assert!(workers(gettid()).is_empty());
}

#[test]
fn many_waits_where_lua_cannot_yield_end_all_the_same() {
    let service = Service::accepting();
    let source = r#"local task = require("task")
        local tasks = {}
        for i = 1, 300 do
          tasks[i] = function()
            return (("x"):gsub("x", function()
              return im.group_send({ to = i, type = "txt", body = { msg = "x" } })[tostring(i)]
            end))
          end
        end
        assert(#task.all(tasks) == 300)"#;
    let project =
        Project::with_script(source).file("mooncast.toml", "[app.limits]\ngroup_per_second = 10000\n");
    project.run_against(&service).exits(0).says("sent to 300 groups");
    assert_eq!(service.requests().len(), 300);
}
