//! The host survives its workers: several runs in one host, some of them hostile, some of them killed.
//!
//! Store: file

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mooncast::{
    App, AppLimits, Clock, Credentials, Delivery, Environment, Interrupt, LuaSource, PreparedRun,
    Project as Place, RunBuilder, RunEnd, RunError, ScriptLimits, SendCounts, Settings, Timeouts,
};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::gettid;

use crate::support::Project;
use crate::support::service::{Service, accept};

fn delivery(service: &Service, clock: &Clock) -> Rc<Delivery> {
    let app = App {
        name: "default".into(),
        prefix: format!("{}/org/app", service.url()),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits { group_per_second: 10_000, ..AppLimits::default() },
        records: mooncast::RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    Rc::new(Delivery::new(&app, clock.clone(), None).unwrap())
}

/// What the runs of one project share.
struct Host {
    project: Place,
    settings: Settings,
    apps: Vec<Rc<Delivery>>,
    clock: Clock,
}

impl Host {
    fn new(project: &Project, service: &Service, clock: &Clock) -> Self {
        let project = Place::at(&project.path("")).unwrap();
        let settings = Settings::load_offline(&project, &Environment::of(Vec::new())).unwrap();
        Self { project, settings, apps: vec![delivery(service, clock)], clock: clock.clone() }
    }

    fn run(&self, source: &str) -> PreparedRun {
        let script = LuaSource { name: "scripts/main.lua".into(), text: source.to_owned().into() };
        let file = self.project.root.join("scripts/main.lua");
        let mut run = RunBuilder::new(&self.project, &self.settings, &self.apps, &self.clock, &file, script);
        run.program = PathBuf::from(env!("CARGO_BIN_EXE_mooncast"));
        run.limits = ScriptLimits {
            memory: 64 << 20,
            cpu: Duration::from_millis(500),
            tasks: 1000,
            timeout: Some(Duration::from_mins(1)),
            host_memory: 64 << 20,
            ..run.limits
        };
        run.seed = 1;
        run.build().unwrap()
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
    let host = Host::new(&project, &service, &clock);
    clock
        .block_on(async {
            for _ in 0..100 {
                let run = host.run(
                    "im.group_send { to = '1', type = 'txt', body = { msg = 'kill' } } error('not killed')",
                );
                let services = Rc::clone(&run.services);
                let ended = run.run_until(Interrupt::default()).await;
                assert!(
                    matches!(&ended, RunEnd::Failed(RunError::Stopped(why)) if why.contains("signal 9")),
                    "{ended:?}"
                );
                // Its message had reached the service, and the host completed the call.
                assert_eq!(
                    services.tally.counts(),
                    SendCounts { recipient: Some("group"), sent: 1, ..SendCounts::default() }
                );
            }
            let run = host.run("im.group_send { to = '1', type = 'txt', body = { msg = 'x' } }");
            assert!(matches!(run.run_until(Interrupt::default()).await, RunEnd::Finished));
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
    let host = Host::new(&project, &service, &clock);
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
                    tokio::task::spawn_local(host.run(source).run_until(Interrupt::default()))
                })
                .collect();
            let good = host.run(
                "for i = 1, 20 do im.group_send { to = '1', type = 'txt', body = { msg = 'good' } } end",
            );
            let services = Rc::clone(&good.services);
            let ended = good.run_until(Interrupt::default()).await;
            assert!(matches!(ended, RunEnd::Finished), "{ended:?}");
            assert_eq!(services.tally.counts().sent, 20);
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
