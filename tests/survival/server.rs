//! A service that misbehaves on purpose and records what it accepted. It shares no code with the program.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use socket2::SockRef;

use serde_json::Value;

use super::callbacks::Callbacks;
use super::history;
use super::random::Random;
use crate::support::service::{Request, json, read};

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Accepted and answered.
    Well,
    /// Answered as throttled; not accepted.
    Throttled(u16),
    /// Refused permanently; not accepted.
    Refused,
    /// Answered with this status, accepted or not.
    Broken(u16),
    /// A 200 without a useful body, accepted or not.
    Garbage(&'static str),
    /// A 200 that ends before its announced length.
    Cut,
    /// The connection is closed without an answer.
    Dropped,
    /// The connection is reset without an answer.
    Reset,
    /// No answer comes until the client gives up.
    Hung,
}

/// The server's record.
#[derive(Debug, Default)]
struct Log {
    /// How often each group's message was accepted.
    accepted: BTreeMap<String, usize>,
    total: usize,
    requests: usize,
    /// Requests whose outcome was hidden from the client.
    faulted: usize,
    /// Of these, the accepted ones.
    faulted_accepted: usize,
    throttled: usize,
    refused: BTreeSet<String>,
    /// The counts of accepted requests at which the client is killed, in descending order.
    kills: Vec<usize>,
    killed: usize,
    client: Option<Pid>,
    /// Whether the service has no history files.
    no_files: bool,
    /// Each accepted message: its time in milliseconds since 1970, its id, its group, and the request.
    messages: Vec<(i64, String, String, Value)>,
    /// Posts callbacks, if the client has an address for them.
    callbacks: Option<Callbacks>,
    /// Open connections.
    open: usize,
    /// Answers are held from this count of accepted messages on.
    held_from: Option<usize>,
}

struct Shared {
    log: Mutex<Log>,
    news: Condvar,
    random: Random,
    /// How many of a thousand requests go wrong.
    faults: AtomicU64,
    /// The delay of an answer, in milliseconds.
    slow: AtomicU64,
}

/// A server that listens until the test ends.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The summary of a whole test.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) requests: usize,
    pub(crate) accepted: usize,
    pub(crate) faulted: usize,
    pub(crate) faulted_accepted: usize,
    pub(crate) throttled: usize,
    pub(crate) kills: usize,
}

impl Server {
    /// Starts a server that fails this many of a thousand requests.
    pub(crate) fn spoiling(faults: u64, random: Random) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            news: Condvar::new(),
            random,
            faults: AtomicU64::new(faults),
            slow: AtomicU64::new(0),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = Arc::clone(&server);
                server.log.lock().unwrap().open += 1;
                std::thread::spawn(move || {
                    server.serve(stream);
                    server.log.lock().unwrap().open -= 1;
                    server.news.notify_all();
                });
            }
        });
        Self { address, shared }
    }

    /// Starts a server that never fails.
    pub(crate) fn faithful() -> Self {
        Self::spoiling(0, Random::new(0))
    }

    /// Starts a server whose answers take this many milliseconds.
    pub(crate) fn slow(millis: u64) -> Self {
        let server = Self::faithful();
        server.shared.slow.store(millis, Ordering::Relaxed);
        server
    }

    /// From now on, this many of a thousand requests go wrong.
    pub(crate) fn spoil(&self, faults: u64) {
        self.shared.faults.store(faults, Ordering::Relaxed);
    }

    /// From now on, posts a callback of each accepted message to this address, 5 % lost and 5 % doubled.
    pub(crate) fn call_back(&self, address: &str, secret: &str) {
        self.shared.log.lock().unwrap().callbacks = Some(Callbacks::start(address, secret));
    }

    /// Posts no more callbacks. Returns the groups whose callback was delivered.
    pub(crate) fn called_back(&self) -> BTreeSet<String> {
        self.shared.log.lock().unwrap().callbacks.take().unwrap().delivered()
    }

    /// Serves history files, or answers that there are none.
    pub(super) fn serve_files(&self, serves: bool) {
        self.shared.log.lock().unwrap().no_files = !serves;
    }

    /// From now on, no request goes wrong.
    pub(crate) fn behave(&self) {
        self.shared.faults.store(0, Ordering::Relaxed);
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills the client at each of these counts of accepted requests, before that request's answer.
    pub(crate) fn kill_at(&self, counts: impl IntoIterator<Item = usize>) {
        let mut log = self.shared.log.lock().unwrap();
        log.kills = counts.into_iter().collect::<BTreeSet<_>>().into_iter().rev().collect();
    }

    /// Sets the process to kill.
    pub(crate) fn client(&self, child: &std::process::Child) {
        self.shared.log.lock().unwrap().client = Some(Pid::from_child(child));
    }

    /// Waits until everything that the ended client had written is read.
    pub(crate) fn client_is_gone(&self) {
        self.shared.log.lock().unwrap().client = None;
        // Connections are accepted in order, so this one comes after all of the client's.
        let mut last = TcpStream::connect(self.address).unwrap();
        last.shutdown(Shutdown::Write).unwrap();
        last.read_to_end(&mut Vec::new()).unwrap();
        let log = self.shared.log.lock().unwrap();
        drop(self.shared.news.wait_while(log, |log| log.open > 0).unwrap());
    }

    /// [`Self::client_is_gone`] while answers are held: those connections stay open.
    pub(crate) fn client_is_gone_or_held(&self) {
        self.shared.log.lock().unwrap().client = None;
    }

    /// Holds all answers once this many messages are accepted.
    pub(crate) fn hold_from(&self, count: usize) {
        self.shared.log.lock().unwrap().held_from = Some(count);
    }

    /// Releases the held answers.
    pub(crate) fn let_go(&self) {
        self.shared.log.lock().unwrap().held_from = None;
        self.shared.news.notify_all();
    }

    /// Waits until this many messages are accepted. Returns false after a minute.
    pub(crate) fn wait_for(&self, count: usize) -> bool {
        self.wait_within(Duration::from_mins(1), count)
    }

    /// Waits until this many messages are accepted. Returns false after `longest`.
    pub(crate) fn wait_within(&self, longest: Duration, count: usize) -> bool {
        let log = self.shared.log.lock().unwrap();
        let waited = self.shared.news.wait_timeout_while(log, longest, |log| log.total < count).unwrap();
        !waited.1.timed_out()
    }

    /// Returns how often each group's message was accepted.
    pub(crate) fn accepted(&self) -> BTreeMap<String, usize> {
        self.shared.log.lock().unwrap().accepted.clone()
    }

    /// Returns the groups that were refused permanently.
    pub(crate) fn refused(&self) -> BTreeSet<String> {
        self.shared.log.lock().unwrap().refused.clone()
    }

    pub(crate) fn told(&self) -> Told {
        let log = self.shared.log.lock().unwrap();
        Told {
            requests: log.requests,
            accepted: log.total,
            faulted: log.faulted,
            faulted_accepted: log.faulted_accepted,
            throttled: log.throttled,
            kills: log.killed,
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader) {
            if request.method == "GET" {
                let log = self.log.lock().unwrap();
                let answer = if log.no_files {
                    json(404, r#"{"error":"storage_object_not_found"}"#)
                } else {
                    history::answer(&request, &log.messages)
                };
                let _ = writer.write_all(&answer);
                continue;
            }
            let way = self.way();
            let accepted = match way {
                Way::Well => true,
                Way::Throttled(_) | Way::Refused => false,
                _ => self.random.coin(),
            };
            let number = self.take(&request, way, accepted);
            let answer = match way {
                Way::Well => json(200, &receipt(&request, number)),
                Way::Throttled(429) => json(429, r#"{"error":"reach_limit"}"#),
                Way::Throttled(status) => json(
                    status,
                    r#"{"error":"message_send_error","error_description":"message send reach limit"}"#,
                ),
                Way::Refused => {
                    json(403, r#"{"error":"message_send_error","error_description":"group is muted"}"#)
                }
                Way::Broken(status) => json(status, "<html><body>Bad Gateway</body></html>"),
                Way::Garbage(body) => json(200, body),
                Way::Cut => {
                    let whole = json(200, &receipt(&request, number));
                    let _ = writer.write_all(&whole[..whole.len() - 5]);
                    return;
                }
                Way::Dropped => return,
                Way::Reset => {
                    SockRef::from(&writer).set_linger(Some(Duration::ZERO)).unwrap();
                    return;
                }
                Way::Hung => {
                    // Waits until the client closes.
                    let _ = reader.read(&mut [0]);
                    return;
                }
            };
            std::thread::sleep(Duration::from_millis(self.slow.load(Ordering::Relaxed)));
            if writer.write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn way(&self) -> Way {
        if self.random.below(1000) >= self.faults.load(Ordering::Relaxed) {
            return Way::Well;
        }
        match self.random.below(16) {
            0 => Way::Throttled(429),
            1 => Way::Throttled(403),
            2 => Way::Refused,
            3 => Way::Broken(500),
            4 => Way::Broken(502),
            5 => Way::Broken(503),
            6 => Way::Broken(504),
            7 => Way::Garbage("<html><body>It works!</body></html>"),
            8 => Way::Garbage("{\"data\": {\"10"),
            9 => Way::Garbage("{\"data\": {}}"),
            10 => Way::Garbage(""),
            11 => Way::Cut,
            12 => Way::Dropped,
            13 | 14 => Way::Reset,
            _ => Way::Hung,
        }
    }

    /// Records a request, kills the client if its time has come, and holds the answer while that is requested.
    /// Returns the request's number.
    fn take(&self, request: &Request, way: Way, accepted: bool) -> usize {
        let group = request.json()["to"][0].as_str().unwrap().to_owned();
        let mut log = self.log.lock().unwrap();
        log.requests += 1;
        let number = log.requests;
        match way {
            Way::Well => {}
            Way::Throttled(_) => log.throttled += 1,
            Way::Refused => drop(log.refused.insert(group.clone())),
            _ => {
                log.faulted += 1;
                log.faulted_accepted += usize::from(accepted);
            }
        }
        if accepted {
            let at = jiff::Timestamp::now().as_millisecond();
            log.messages.push((at, id(number, 0), group.clone(), request.json()));
            let Log { callbacks, messages, .. } = &mut *log;
            if let (Some(callbacks), Some(message)) = (callbacks, messages.last()) {
                callbacks.post(message, &self.random);
            }
            *log.accepted.entry(group).or_default() += 1;
            log.total += 1;
            let due = log.kills.last().is_some_and(|count| *count <= log.total);
            if due && let Some(client) = log.client.take() {
                kill_process(client, Signal::KILL).unwrap();
                log.kills.pop();
                log.killed += 1;
            }
        }
        self.news.notify_all();
        drop(self.news.wait_while(log, |log| log.held_from.is_some_and(|count| log.total >= count)).unwrap());
        number
    }
}

fn receipt(request: &Request, number: usize) -> String {
    let to = request.json()["to"].clone();
    let data: Vec<String> = to
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, group)| format!("{group}: \"{}\"", id(number, index)))
        .collect();
    format!("{{\"data\": {{{}}}}}", data.join(", "))
}

fn id(request: usize, index: usize) -> String {
    (1_029_544_257_947_000_000 + request * 3 + index).to_string()
}
