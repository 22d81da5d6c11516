//! Hosts whose connection to the store can be cut while their connection to the service stays. Each is in its own
//! network namespace, with one pair of interfaces for either. When a host is cut off, packets are dropped silently.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use crate::support::wrapped;

/// A network of namespaces, which is removed at the end.
pub(super) struct Network {
    /// The prefix of its names and addresses.
    number: u32,
    hosts: usize,
    /// The addresses at which namespaces find the service and the store.
    pub(super) service: SocketAddr,
    pub(super) store: SocketAddr,
}

impl Network {
    /// Makes a network of this many hosts that can reach two ports of this machine's loopback. Returns None if this
    /// user may not make one.
    pub(super) fn new(hosts: usize, service: SocketAddr, store: SocketAddr) -> Option<Self> {
        let number = std::process::id() % 200;
        let listen = |second: u8| SocketAddr::from(([10, second, u8::try_from(number).unwrap(), 254], 0));
        let mut network = Self { number, hosts, service: listen(231), store: listen(232) };
        // Removes what an interrupted test left under the same names.
        network.undo();
        if !(0..hosts).all(|host| network.connect(host)) {
            return None;
        }
        network.service = forward(network.service, service);
        network.store = forward(network.store, store);
        Some(network)
    }

    fn space(&self, host: usize) -> String {
        format!("mooncast{}-{host}", self.number)
    }

    fn interface(&self, way: char, host: usize) -> String {
        format!("mc{}{way}{host}", self.number)
    }

    fn connect(&self, host: usize) -> bool {
        let space = self.space(host);
        let mut done = ip(&["netns", "add", &space]) && ip(&["-n", &space, "link", "set", "lo", "up"]);
        for (way, second) in [('s', 231), ('p', 232)] {
            let (here, there) = (self.interface(way, host), format!("way{way}"));
            let (near, far) = (
                format!("10.{second}.{}.254", self.number),
                format!("10.{second}.{}.{}", self.number, host + 1),
            );
            done = done
                && ip(&["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", &space])
                && ip(&["addr", "add", &near, "peer", &far, "dev", &here])
                && ip(&["link", "set", &here, "up"])
                && ip(&["-n", &space, "addr", "add", &far, "peer", &near, "dev", &there])
                && ip(&["-n", &space, "link", "set", &there, "up"]);
        }
        done
    }

    /// Wraps the command to run within the namespace of a host.
    pub(super) fn within(&self, host: usize, command: &Command) -> Command {
        wrapped(&["ip", "netns", "exec", &self.space(host)], command)
    }

    /// Cuts a host off from the store, or connects it again.
    pub(super) fn cut(&self, host: usize, cut: bool) {
        assert!(ip(&["link", "set", &self.interface('p', host), if cut { "down" } else { "up" }]));
    }

    fn undo(&self) {
        for host in 0..self.hosts {
            // Interfaces are removed with their namespaces.
            ip(&["link", "del", &self.interface('s', host)]);
            ip(&["link", "del", &self.interface('p', host)]);
            ip(&["netns", "del", &self.space(host)]);
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.undo();
    }
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).output().is_ok_and(|done| done.status.success())
}

/// Accepts connections at an address and forwards them to another. Returns the address with its port.
fn forward(at: SocketAddr, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(at).unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            // While nothing listens at the target, the connection is closed.
            let Ok(far) = TcpStream::connect(to) else { continue };
            for (from, to) in
                [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far.try_clone().unwrap(), near)]
            {
                std::thread::spawn(move || pump(from, to));
            }
        }
    });
    at
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
