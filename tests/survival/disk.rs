//! A ledger file on a failing disk: a clear error or a correct run, no send without its intent, and no recipient lost
//! after the fault.
//!
//! Store: file

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rustix::io::Errno;
use sqlx::Connection;
use sqlx_sqlite::SqliteConnectOptions;
use sqlx_sqlite::SqliteConnection;

use super::random::{Random, seed, soak};
use super::server::Server;
use super::shim::Fault;
use super::{clear, ended, goes_on, half_sent, nobody_lost, nothing_silent, project, readable, rows, run};
use crate::support::{Project, Ran, wrapped};

const MANY: usize = 20;

/// Makes one write fail. Returns whether the write happened.
fn write_fails(fault: Fault) -> bool {
    let (project, server) = (project(MANY, ""), Server::faithful());
    let told = project.path("told");
    let mut command = run(&project, &server);
    fault.on(&mut command, &told);
    let ran = ended(command);
    let context = format!("{fault:?}");
    clear(&ran, &context);
    goes_on(&project, &server, MANY, &context);
    told.exists()
}

#[test]
fn whichever_write_fails_the_run_says_so_or_is_right() {
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
    let errno = || if random.coin() { Errno::IO } else { Errno::NOSPC };
    let stride = if soak() { 1 } else { 8 };
    let mut at = random.below(stride) + 1;
    while write_fails(Fault { at, errno: errno(), for_good: false, opening: false }) {
        at += stride;
    }
    println!("each {stride}. of {at} writes failed once");
    assert!(at > 100, "only {at} writes: does the shim work?");
    // A run waits while writes keep failing, so fewer of these cases run, side by side.
    std::thread::scope(|scope| {
        for _ in 0..if soak() { 40 } else { 6 } {
            let fault = Fault { at: random.below(at) + 1, errno: errno(), for_good: true, opening: false };
            scope.spawn(move || write_fails(fault));
        }
    });
}

/// Moves the whole ledger into its single file, as a backup does.
fn whole(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path);
        let mut ledger = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut ledger).await.unwrap();
        ledger.close().await.unwrap();
    });
    assert!(!path.with_file_name("ledger.db-wal").exists());
}

/// Kinds of damage to a file.
const DAMAGES: [&str; 4] = ["cut", "cut to a page", "noise", "noise in the middle"];

fn damage(path: &Path, how: &str) -> Vec<u8> {
    let random = Random::new(7);
    let noise = |bytes: &mut [u8]| bytes.fill_with(|| u8::try_from(random.below(256)).unwrap());
    let mut bytes = std::fs::read(path).unwrap();
    let half = bytes.len() / 2;
    match how {
        "cut" => bytes.truncate(half),
        "cut to a page" => bytes.truncate(4096),
        "noise" => noise(&mut bytes),
        _ => noise(&mut bytes[half.saturating_sub(4096)..]),
    }
    std::fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn a_ledger_cut_or_overwritten_half_way_is_told_and_nothing_is_sent() {
    let (project, server) = half_sent(200);
    let path = project.path(".mooncast/ledger.db");
    whole(&path);
    let good = std::fs::read(&path).unwrap();
    let before = server.told().requests;
    for case in DAMAGES {
        let bytes = damage(&path, case);
        let ran =
            ended(run(&project, &server)).exits(2).says("ledger.db: the ledger is damaged").says(".recover");
        readable(&ran, case);
        project.mooncast(&["runs", "list"]).exits(2).says("the ledger is damaged");
        assert_eq!(server.told().requests, before, "{case}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{case}: it was written to");
        std::fs::write(&path, &good).unwrap();
    }
    goes_on(&project, &server, 200, "after the damage");
}

/// Much of the ledger is in its log then, which may repair the damage.
#[test]
fn a_ledger_damaged_under_its_log_is_told_or_right() {
    for case in DAMAGES {
        let (project, server) = half_sent(200);
        damage(&project.path(".mooncast/ledger.db"), case);
        let before = server.told().requests;
        let ran = ended(run(&project, &server));
        clear(&ran, case);
        if ran.status == Some(2) {
            assert_eq!(server.told().requests, before, "{case}");
        } else {
            let rows = rows(&project);
            nothing_silent(&rows, &server, case);
            nobody_lost(&rows, 200, case);
        }
    }
}

/// Returns the words to mount something for a single command, if this machine allows it: as root, or in a user
/// namespace.
fn unshare() -> Option<&'static [&'static str]> {
    static WAY: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    *WAY.get_or_init(|| {
        let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
        ways.into_iter().find(|way| {
            let mount = "mount -t tmpfs none /mnt";
            let tried = Command::new("unshare").args(*way).args(["sh", "-c", mount]).output();
            tried.is_ok_and(|tried| tried.status.success())
        })
    })
}

/// Runs in a mount namespace in which a shell has first mounted a disk.
fn mounted(way: &[&str], project: &Project, server: &Server, script: &str) -> Ran {
    let words = [&["unshare"], way, &["sh", "-ec", script, "sh"]].concat();
    ended(wrapped(&words, &run(project, server)))
}

#[test]
fn a_ledger_that_cannot_be_written_is_told_and_nothing_is_sent() {
    const FOLDER: &str = "mount --bind .mooncast .mooncast; mount -o remount,bind,ro .mooncast; exec \"$@\"";
    const FILE: &str = "cd .mooncast; mount --bind ledger.db ledger.db; mount -o remount,bind,ro ledger.db; cd ..; \
                        exec \"$@\"";
    let (project, server) = half_sent(60);
    let before = server.told().requests;
    let rofs = Fault { at: 1, errno: Errno::ROFS, for_good: true, opening: true };
    let mut command = run(&project, &server);
    rofs.on(&mut command, &project.path("told"));
    let mut all = vec![("refused", ended(command))];
    assert!(project.path("told").exists());
    if let Some(way) = unshare() {
        all.push(("folder", mounted(way, &project, &server, FOLDER)));
        all.push(("file", mounted(way, &project, &server, FILE)));
    }
    for (case, ran) in all {
        readable(&ran, case);
        ran.exits(2).says(".mooncast").says("cannot be written");
        assert_eq!(server.told().requests, before, "{case}");
    }
    goes_on(&project, &server, 60, "writable again");
}

/// Sends to many recipients on a disk that becomes full; then space is freed.
fn full(kilobytes: u64) {
    const MANY: usize = 1_000;
    let (project, server) = (project(MANY, ""), Server::faithful());
    let context = format!("a disk of {kilobytes} KB");
    let ran = if let Some(way) = unshare() {
        let script = format!(
            "mkdir -p .mooncast; mount -t tmpfs -o size={kilobytes}k none .mooncast; mkdir kept; code=0
             \"$@\" || code=$?; cp -a .mooncast/. kept/; exit $code"
        );
        let ran = mounted(way, &project, &server, &script);
        // This frees space as a deletion on the disk itself would.
        std::fs::remove_dir(project.path(".mooncast")).unwrap();
        std::fs::rename(project.path("kept"), project.path(".mooncast")).unwrap();
        ran
    } else {
        let mut command = run(&project, &server);
        let fault = Fault { at: kilobytes / 4, errno: Errno::NOSPC, for_good: true, opening: false };
        fault.on(&mut command, &project.path("told"));
        ended(command)
    };
    clear(&ran, &context);
    assert_ne!(ran.status, Some(0), "{context}: {ran:#?}");
    println!("{context}: {:?}", server.told());
    ran.says("the disk is full, so Mooncast sends nothing; free some space");
    goes_on(&project, &server, MANY, &context);
}

#[test]
fn a_full_disk_is_told_and_with_space_it_goes_on() {
    std::thread::scope(|scope| {
        for kilobytes in [100, 300, 600] {
            scope.spawn(move || full(kilobytes));
        }
    });
}

/// The limit on the size of a file that a process may write.
#[test]
fn a_file_that_may_not_grow_is_told_and_nobody_is_lost() {
    // The limit has room for a new ledger and a part of the broadcast.
    let (project, server) = (project(2_000, ""), Server::faithful());
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 800; exec \"$@\"", "sh"];
    let ran = ended(wrapped(&limited, &run(&project, &server)));
    clear(&ran, "ulimit");
    ran.exits(1).says("ledger.db");
    goes_on(&project, &server, 2_000, "without the limit");
}
