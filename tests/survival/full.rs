//! A ledger on a server whose disk is full. As with a file: a clear error or a correct run, no send without its
//! intent, and no recipient lost once there is space.

use super::random::{Random, seed, soak};
use super::server::Server;
use super::{clear, ended, goes_on, half_sent, project, readable, run};
use crate::support::store::{self, Refusal};

const MANY: usize = 20;

/// Makes one write fail, or all from then on. Returns whether a write failed.
fn write_fails(at: u64, refusal: Refusal) -> bool {
    let (project, server) = (project(MANY, ""), Server::faithful());
    project.mooncast(&["store", "migrate"]).exits(0);
    project.schema().fill_disk(at, refusal);
    let ran = ended(run(&project, &server));
    let tried = u64::try_from(project.schema().free_disk()).unwrap();
    let context = format!("{refusal:?} at {at} of {tried}");
    clear(&ran, &context);
    goes_on(&project, &server, MANY, &context);
    tried > at
}

#[test]
fn whichever_write_a_server_refuses_the_run_says_so_or_is_right() {
    if store::server().is_none() {
        return;
    }
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
    let stride = if soak() { 1 } else { 4 };
    let mut at = random.below(stride);
    while write_fails(at, Refusal::Once) {
        at += stride;
    }
    println!("each {stride}. of {at} writes refused once");
    assert!(at > 10, "only {at} writes: does the disk count?");
    std::thread::scope(|scope| {
        for _ in 0..if soak() { 40 } else { 4 } {
            let at = random.below(at);
            scope.spawn(move || write_fails(at, Refusal::ForGood));
        }
    });
}

#[test]
fn a_full_disk_of_a_server_is_told_and_with_space_it_goes_on() {
    if store::server().is_none() {
        return;
    }
    let (project, server) = half_sent(1_000);
    let before = server.told().requests;
    project.schema().fill_disk(0, Refusal::ForGood);
    let ran = ended(run(&project, &server));
    readable(&ran, "full from the start");
    ran.says("the disk is full, so Mooncast sends nothing; free some space");
    assert_eq!(server.told().requests, before);
    project.schema().free_disk();
    project.schema().fill_disk(12, Refusal::ForGood);
    let ran = ended(run(&project, &server));
    clear(&ran, "full half-way");
    ran.says("the disk is full, so Mooncast sends nothing; free some space");
    project.schema().free_disk();
    goes_on(&project, &server, 1_000, "with space");
}
