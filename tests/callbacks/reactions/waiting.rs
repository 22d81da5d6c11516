//! Events that wait: their order, how many may wait, and what becomes of them when the daemon dies or a run fails.

use super::*;

/// Holds the answers to messages of some groups until they are released.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let open = self.open.lock().unwrap();
        let (_open, waited) = self.changed.wait_timeout_while(open, GUARD, |open| !*open).unwrap();
        assert!(!waited.timed_out());
    }
}

/// Returns a service that holds its answers for group 1, and the gate that releases them.
fn gated() -> (Service, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let service = Service::answering(move |number, request: &Request| {
        let is_slow = String::from_utf8_lossy(&request.body).contains("slow");
        if is_slow {
            held.wait();
        }
        accept(number, request)
    });
    (service, gate)
}

/// A job that answers in the group, and is slow in group 1.
const ANSWER: &str = "im.on('message', { name = 'answer' }, function(event)
  local kind = event.group == '1' and 'slow' or 'fast'
  im.group_send { to = event.group, from = 'bot', type = 'txt', body = { msg = kind .. ' ' .. event.text } }
  print('answered', event.group, event.text)
end)";

#[test]
fn the_events_of_a_group_run_in_order_and_other_groups_do_not_wait_for_them() {
    let (service, gate) = gated();
    let site = Site::on(service, ANSWER);
    for (group, text) in [("1", "a"), ("1", "b"), ("1", "c"), ("2", "d"), ("2", "e"), ("1", "f"), ("3", "g")]
    {
        assert_eq!(site.deliver(&written(text, group, "ann", text)), 200);
    }
    for text in ["2\td", "2\te", "3\tg"] {
        site.serving.prints(&format!("answered\t{text}"), 1);
    }
    // The first event of group 1 has not ended, so the others have not begun.
    let open = "SELECT count(*) FROM job_runs r JOIN hook_requests q ON q.job = r.job AND q.scheduled_at = r.scheduled_at
        WHERE r.finished_at IS NULL AND q.head = 'event 1'";
    assert_eq!(site.project.in_store(open), 1);
    let shown = site.run(&["jobs", "show", "answer"]).exits(0).stdout;
    assert!(shown.contains("waiting: 3 events"), "{shown}");
    gate.open();
    site.serving.prints("answered", 7);
    let ran = site.serving.stop().exits(0);
    for group in ["1", "2"] {
        let texts: Vec<&str> = ran
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("answered\t{group}\t")))
            .collect();
        assert!(texts.is_sorted(), "{texts:?}");
    }
}

#[test]
fn an_own_answer_comes_back_as_a_callback_and_starts_nothing() {
    let site = Site::with_script(ANSWER);
    assert_eq!(site.deliver(&written("c1", "2", "ann", "hello")), 200);
    site.serving.prints("answered\t2\thello", 1);
    // The service tells the answer like any message; nothing distinguishes it but its sender.
    assert_eq!(site.deliver(&written("c2", "2", "bot", "fast hello")), 200);
    assert_eq!(site.deliver(&written("c3", "2", "BOT", "fast hello")), 200);
    assert_eq!(site.deliver(&written("c4", "2", "ann", "bye")), 200);
    site.serving.prints("answered\t2\tbye", 1);
    let ran = site.serving.stop().exits(0);
    assert_eq!(ran.stdout.matches("answered").count(), 2, "{}", ran.stdout);
}

#[test]
fn the_oldest_of_too_many_events_are_dropped_with_a_warning_and_a_count() {
    let site = Site::with_script(ALL);
    site.run(&["jobs", "pause", "react.message"]).exits(0);
    site.serving.says("job paused", 1);
    let post = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            assert_eq!(site.deliver(&written(&format!("c{number}"), "7", "ann", "x")), 200);
        }
    };
    post(0..1);
    std::thread::scope(|scope| {
        for part in 0..8 {
            scope.spawn(move || post(1 + part * 125..1 + (part + 1) * 125));
        }
    });
    // A slow machine may fail to store some in time, so as many more are posted as it takes.
    let taken = || site.project.in_store("SELECT count(*) FROM callbacks");
    let last = (1001..2000).find(|number| {
        post(*number..number + 1);
        taken() >= 1004
    });
    site.serving.says("the oldest events of this job were dropped", 1);
    assert_eq!(site.project.in_store("SELECT count(*) FROM hook_requests"), 1000);
    let metrics = get(&site.address, "GET /metrics", &site.token()).1;
    let name = r#"mooncast_events_dropped_total{job="react.message"} "#;
    let dropped = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(dropped.parse::<i64>().unwrap(), taken() - 1000, "{metrics}");
    let text = if store::server().is_some() { "convert_from(body, 'UTF8')" } else { "CAST(body AS TEXT)" };
    let of = |id: &str| {
        let question = format!("SELECT count(*) FROM hook_requests WHERE {text} LIKE '%\"id\":\"{id}\"%'");
        site.project.in_store(&question)
    };
    assert_eq!((of("c0"), of(&format!("c{}", last.unwrap()))), (0, 1));
    let shown = site.run(&["jobs", "show", "react.message"]).exits(0).stdout;
    assert!(shown.contains("waiting: 1000 events"), "{shown}");
    site.run(&["jobs", "cancel", "react.message"]).exits(0);
    site.serving.says("waiting events dropped", 1);
    assert_eq!(site.project.in_store("SELECT count(*) FROM hook_requests"), 0);
    site.serving.stop().exits(0);
}

#[test]
fn an_event_that_was_taken_outlives_the_daemon_and_runs_once() {
    let site = Site::with_script(ALL);
    site.run(&["jobs", "pause", "react.joined"]).exits(0);
    site.serving.says("job paused", 1);
    let joined = members("c1", "JOIN", "7", &["ann"]);
    assert_eq!(site.deliver(&joined), 200);
    site.run(&["jobs", "resume", "react.joined"]).exits(0);
    let site = site.restart();
    site.serving.prints("react.joined", 1);
    assert_eq!(site.deliver(&joined), 200);
    assert_eq!(site.deliver(&members("c2", "JOIN", "7", &["bob"])), 200);
    site.serving.prints("react.joined", 2);
    let ran = site.serving.stop().exits(0);
    let ids: Vec<Value> = printed(&ran).into_iter().map(|(_, event)| event["id"].clone()).collect();
    assert_eq!(ids, ["c1", "c2"]);
}

#[test]
fn a_failed_run_is_kept_with_its_event_and_runs_again_on_request_but_never_by_hand() {
    let site = Site::with_script(
        "im.on('joined', function(event)
      print('welcome', event.from)
      error('not today')
    end)",
    );
    let refused = site.run(&["jobs", "trigger", "react.joined"]);
    refused.exits(2).says("runs only for events of the chat service");
    assert_eq!(site.deliver(&members("c1", "JOIN", "7", &["ann"])), 200);
    site.serving.says("run failed", 1);
    site.run(&["jobs", "retry", "react.joined"]).exits(0).prints("runs again");
    site.serving.prints("welcome\tann", 2);
    site.run(&["run", "scripts/react.lua", "--job", "react.joined"]).exits(1).says("t.callback");
    site.serving.stop().exits(0);
}
