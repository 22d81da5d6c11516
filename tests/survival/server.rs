//! A service that misbehaves on purpose, and writes down what it accepted. It shares no code with the program.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use socket2::SockRef;

use super::random::Random;
use crate::support::service::{Request, json, read};

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Accepted and answered.
    Well,
    /// Answered as too much at once; not accepted.
    Throttled(u16),
    /// Refused for good; not accepted.
    Refused,
    /// Answered with this status, accepted or not.
    Broken(u16),
    /// A 200 that says nothing, accepted or not.
    Garbage(&'static str),
    /// A 200 whose announced length never comes.
    Cut,
    /// The connection is closed without an answer.
    Dropped,
    /// It is reset instead.
    Reset,
    /// Nothing comes until the client gives up.
    Hung,
}

/// What the server knows.
#[derive(Debug, Default)]
struct Log {
    /// How often each group was accepted.
    accepted: BTreeMap<String, usize>,
    total: usize,
    requests: usize,
    /// Requests whose outcome was hidden from the client.
    faulted: usize,
    /// Of these, the ones that were accepted all the same.
    faulted_accepted: usize,
    throttled: usize,
    refused: BTreeSet<String>,
    /// The counts of accepted requests at which the client is killed, the next one last.
    kills: Vec<usize>,
    killed: usize,
    client: Option<Pid>,
    /// Connections that are open.
    open: usize,
    /// Answers wait from this count of accepted messages on.
    held_from: Option<usize>,
}

struct Shared {
    log: Mutex<Log>,
    news: Condvar,
    random: Random,
    /// Of a thousand requests, how many go wrong.
    faults: u64,
    /// How long an answer takes, in milliseconds.
    slow: AtomicU64,
}

/// Listens until the test ends.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What is told of a whole test.
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
    /// One that spoils so many of a thousand requests.
    pub(crate) fn spoiling(faults: u64, random: Random) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            news: Condvar::new(),
            random,
            faults,
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

    /// One that does what it is asked.
    pub(crate) fn faithful() -> Self {
        Self::spoiling(0, Random::new(0))
    }

    /// One whose answers take so many milliseconds.
    pub(crate) fn slow(millis: u64) -> Self {
        let server = Self::faithful();
        server.shared.slow.store(millis, Ordering::Relaxed);
        server
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

    /// Whom to kill.
    pub(crate) fn client(&self, child: &std::process::Child) {
        self.shared.log.lock().unwrap().client = Some(Pid::from_child(child));
    }

    /// The client is gone: waits until all that it had written is read.
    pub(crate) fn client_is_gone(&self) {
        self.shared.log.lock().unwrap().client = None;
        // Connections are taken in the order in which they were made, so this one comes after all of the client's.
        let mut last = TcpStream::connect(self.address).unwrap();
        last.shutdown(Shutdown::Write).unwrap();
        last.read_to_end(&mut Vec::new()).unwrap();
        let log = self.shared.log.lock().unwrap();
        drop(self.shared.news.wait_while(log, |log| log.open > 0).unwrap());
    }

    /// The same while answers are held back: those connections stay open.
    pub(crate) fn client_is_gone_or_held(&self) {
        self.shared.log.lock().unwrap().client = None;
    }

    /// Holds all answers back once so many messages were accepted.
    pub(crate) fn hold_from(&self, count: usize) {
        self.shared.log.lock().unwrap().held_from = Some(count);
    }

    /// Lets the answers go.
    pub(crate) fn let_go(&self) {
        self.shared.log.lock().unwrap().held_from = None;
        self.shared.news.notify_all();
    }

    /// Waits until so many messages were accepted; false when that takes a minute.
    pub(crate) fn wait_for(&self, count: usize) -> bool {
        self.wait_within(Duration::from_mins(1), count)
    }

    /// The same; false when it takes longer than this.
    pub(crate) fn wait_within(&self, longest: Duration, count: usize) -> bool {
        let log = self.shared.log.lock().unwrap();
        let waited = self.shared.news.wait_timeout_while(log, longest, |log| log.total < count).unwrap();
        !waited.1.timed_out()
    }

    /// How often each group was accepted.
    pub(crate) fn accepted(&self) -> BTreeMap<String, usize> {
        self.shared.log.lock().unwrap().accepted.clone()
    }

    /// The groups that were refused for good.
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
                    // Until the client closes.
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
        if self.random.below(1000) >= self.faults {
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

    /// Writes a request down, kills the client where its time has come, and holds the answer back while that is asked
    /// for. Gives the request's number.
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
        .map(|(index, group)| format!("{group}: \"{}\"", 1_029_544_257_947_000_000 + number * 3 + index))
        .collect();
    format!("{{\"data\": {{{}}}}}", data.join(", "))
}
