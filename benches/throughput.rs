//! The throughput of the whole program: `im.group_send` from 64 tasks, without limits, to a local nginx. For
//! comparison, `wrk` posts the same bytes to the same server in the same run. Prints messages per second, CPU seconds
//! per 100,000 messages, and peak memory. Needs nginx and wrk (Debian's packages of those names).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench measures real time, and fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const MESSAGES: u32 = 200_000;
const TASKS: u32 = 64;
const PORT: u16 = 7099;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let _nginx = start_nginx(folder.path());
    let body = r#"{"to":["184524748161025"],"type":"txt","body":{"msg":"Hello from the load bench, a text of the length that an announcement has, more or less, so that it is about 250 bytes on the wire in all."},"ext":{"em_ignore_notification":true}}"#;
    println!("{} bytes a message, {TASKS} at a time", body.len());
    let wrk = wrk(folder.path(), body);
    println!("wrk:      {wrk:>5.2} CPU s per 100,000");
    let (seconds, cpu, memory) = mooncast(folder.path());
    let rate = f64::from(MESSAGES) / seconds;
    let cpu = cpu / f64::from(MESSAGES) * 100_000.0;
    println!(
        "mooncast: {cpu:>5.2} CPU s per 100,000, {:.1} times wrk; {rate:.0} messages a second; {memory} MiB host and worker",
        cpu / wrk
    );
    cold_start(folder.path());
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_nginx(folder: &Path) -> Server {
    let configuration = format!(
        r#"worker_processes 1; daemon off; master_process off; pid {0}/pid; error_log {0}/error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {0}/b; proxy_temp_path {0}/p;
  fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
  server {{ listen 127.0.0.1:{PORT}; location / {{ default_type application/json;
    return 200 '{{"path":"/messages/chatgroups","uri":"http://x/org/app/messages/chatgroups","timestamp":1657254052191,"organization":"org","application":"e82bcc5f-XXXX-XXXX-a7c1-92de917ea2b0","action":"post","data":{{"184524748161025":"1029544257947437432"}},"duration":0,"applicationName":"app"}}'; }} }} }}"#,
        folder.display()
    );
    std::fs::write(folder.join("nginx.conf"), configuration).unwrap();
    let nginx = Command::new("nginx").arg("-c").arg(folder.join("nginx.conf")).stderr(Stdio::null()).spawn();
    let server = Server(nginx.expect("nginx is installed"));
    while std::net::TcpStream::connect(("127.0.0.1", PORT)).is_err() {
        std::thread::yield_now();
    }
    server
}

/// Returns the seconds that a command took, the CPU seconds of its whole process tree, and its output.
fn measured(command: &mut Command) -> (f64, f64, String) {
    let began = std::time::Instant::now();
    let before = usage();
    let output = command.output().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let cpu = usage() - before;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (seconds, cpu, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the CPU seconds of all children that have ended.
fn usage() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn wrk(folder: &Path, body: &str) -> f64 {
    let script = format!(
        "wrk.method = 'POST'\nwrk.body = [==[{body}]==]\nwrk.headers['Content-Type'] = 'application/json'\nwrk.headers['Authorization'] = 'Bearer token'\n\
         function done(s) print('requests', s.requests) end\n"
    );
    std::fs::write(folder.join("post.lua"), script).unwrap();
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c64", "-d3s", "-s"]).arg(folder.join("post.lua"));
    command.arg(format!("http://127.0.0.1:{PORT}/org/app/messages/chatgroups"));
    let (_, cpu, output) = measured(&mut command);
    let requests = output.lines().find_map(|line| line.strip_prefix("requests\t")).unwrap();
    cpu / requests.parse::<f64>().unwrap() * 100_000.0
}

fn mooncast(folder: &Path) -> (f64, f64, u64) {
    let script = format!(
        r#"local task = require("task")
local tasks, each = {{}}, {MESSAGES} // {TASKS}
for i = 1, {TASKS} do
  tasks[i] = function()
    for _ = 1, each do
      im.group_send {{ to = "184524748161025", type = "txt",
        body = {{ msg = "Hello from the load bench, a text of the length that an announcement has, more or less, so that it is about 250 bytes on the wire in all." }},
        ext = {{ em_ignore_notification = true }} }}
    end
  end
end
task.all(tasks)
"#
    );
    std::fs::write(folder.join("bench.lua"), script).unwrap();
    let settings = format!(
        "[app]\nprefix = \"http://127.0.0.1:{PORT}/org/app\"\ntoken = \"token\"\n[app.limits]\ngroup_per_second = 1000000\n"
    );
    std::fs::write(folder.join("mooncast.toml"), settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mooncast"));
    command.current_dir(folder).args(["run", "bench.lua"]);
    let began = std::time::Instant::now();
    let before = usage();
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut peaks = BTreeMap::new();
    let status = loop {
        look(child.id(), &mut peaks);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    (began.elapsed().as_secs_f64(), usage() - before, peaks.values().sum::<u64>() / 1024)
}

/// Records the peak memory of the host and its worker, in kibibytes. A peak never decreases, so the last value of a
/// process counts.
fn look(host: u32, peaks: &mut BTreeMap<u32, u64>) {
    let children = std::fs::read_to_string(format!("/proc/{host}/task/{host}/children")).unwrap_or_default();
    for process in children.split_whitespace().filter_map(|id| id.parse().ok()).chain([host]) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        if let Some(peak) = peak.and_then(|peak| peak.trim().parse().ok()) {
            peaks.insert(process, peak);
        }
    }
}

fn cold_start(folder: &Path) {
    std::fs::write(folder.join("empty.lua"), "").unwrap();
    let mut times: Vec<f64> = (0..50)
        .map(|_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_mooncast"));
            measured(command.current_dir(folder).args(["run", "empty.lua"])).0 * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("cold run of an empty script: median {:.1} ms, worst of 50 {:.1} ms", times[25], times[49]);
    std::io::stdout().flush().unwrap();
}
