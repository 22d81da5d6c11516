//! Tests of the output of job runs, and of the links between runs and what they sent.

use super::*;

fn part(first_line: u64, texts: &[&str], at_byte: u64) -> NewOutput {
    let lines: Vec<String> =
        texts.iter().map(|text| OutputWrite::line(START, OutputStream::Print, text)).collect();
    NewOutput {
        first_line,
        lines: texts.len() as u64,
        at_byte,
        bytes: texts.iter().map(|text| text.len() as u64 + 1).sum(),
        content: lines.join(","),
    }
}

async fn write(ledger: &Ledger, at: Duration, parts: Vec<NewOutput>, left_out: Option<(u64, u64)>) {
    let write = OutputWrite { job: "a".to_owned(), scheduled_at: at, parts, left_out };
    ledger.write_output(write).await.unwrap();
}

fn texts(output: &RunOutput) -> Vec<(u64, &str)> {
    output.lines.iter().map(|line| (line.number, line.text.as_str())).collect()
}

#[test]
fn output_is_read_back_with_what_was_left_out() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        assert_eq!(ledger.run_output("a", START, 0).await.unwrap(), RunOutput::default());
        let odd = "nul \0, quote \" and 文字";
        write(&ledger, START, vec![part(1, &["one", odd], 0)], None).await;
        let head = 4 + odd.len() as u64 + 1;
        let tail = |first: u64| part(first, &["x"], head + (first - 3) * 2);
        for first in 3..10 {
            write(&ledger, START, vec![tail(first)], None).await;
        }
        // A repeated write changes nothing.
        write(&ledger, START, vec![part(1, &["other", "text"], 0), tail(10)], Some((2, 9))).await;
        let output = ledger.run_output("a", START, 0).await.unwrap();
        assert_eq!(texts(&output), [(1, "one"), (2, odd), (9, "x"), (10, "x")]);
        let left = output.left_out.unwrap();
        assert_eq!((left.before_line, left.lines, left.bytes), (9, 6, 12));
        assert_eq!((output.last_line, output.lines[0].at), (10, START));
        let later = ledger.run_output("a", START, 9).await.unwrap();
        assert_eq!((texts(&later), later.left_out), (vec![(10, "x")], None));
        assert!(ledger.run_output("a", START, 2).await.unwrap().left_out.is_some());
        assert_eq!(ledger.run_output("a", START, 10).await.unwrap().last_line, 10);
        let positions: Vec<u64> =
            ledger.output_parts("a", START).await.unwrap().iter().map(|part| part.first_line).collect();
        assert_eq!(positions, [1, 9, 10]);
        assert!(ledger.run_output("a", START + HOUR, 0).await.unwrap().lines.is_empty());
    });
}

#[test]
fn old_output_and_the_oldest_beyond_the_bound_are_deleted() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let text = "x".repeat(1000);
        for hour in 0..10 {
            write(&ledger, START + HOUR * hour, vec![part(1, &[&text], 0)], None).await;
            clock.sleep(HOUR).await;
        }
        let one = ledger.output_size().await.unwrap() / 10;
        assert_eq!(ledger.prune_output(Duration::ZERO, u64::MAX).await.unwrap(), 0);
        assert_eq!(ledger.prune_output(START + HOUR * 2, u64::MAX).await.unwrap(), 2);
        assert_eq!(ledger.prune_output(Duration::ZERO, one * 3).await.unwrap(), 5);
        assert_eq!(ledger.output_size().await.unwrap(), one * 3);
        for (hour, kept) in [(6, 0), (7, 1), (9, 1)] {
            let output = ledger.run_output("a", START + HOUR * hour, 0).await.unwrap();
            assert_eq!(output.lines.len(), kept, "{hour}");
        }
        ledger.prune(clock.unix_time() + HOUR).await.unwrap();
        assert_eq!(ledger.output_size().await.unwrap(), 0);
    });
}

#[test]
fn runs_and_broadcasts_and_single_sends_lead_to_each_other() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (instance, app) =
            (ledger.register("serve").await.unwrap(), ledger.app("https://service/org/app").await.unwrap());
        let found = ledger.find_or_create(app, "b", "1", &spec()).await.unwrap();
        let id = found.broadcast().id;
        for at in [START + HOUR, START, START] {
            ledger.link_broadcast("a", at, id).await.unwrap();
        }
        let of_run = ledger.broadcasts_of_run("a", START, 9).await.unwrap();
        assert_eq!(of_run.iter().map(|broadcast| broadcast.id).collect::<Vec<_>>(), [id]);
        assert!(ledger.broadcasts_of_run("b", START, 9).await.unwrap().is_empty());
        let runs = ledger.runs_of_broadcast(id, 9).await.unwrap();
        assert_eq!(runs, [("a".to_owned(), START), ("a".to_owned(), START + HOUR)]);
        for (once, job_run) in [(None, Some("a@1")), (Some("k"), Some("a@1")), (None, None)] {
            let send = NewSend {
                app,
                once: once.map(str::to_owned),
                hash: "h".to_owned(),
                recipients: "[\"g\"]".to_owned(),
                origin: "scripts/a.lua".to_owned(),
                fingerprints: "[]".to_owned(),
                files: None,
                job_run: job_run.map(str::to_owned),
            };
            let BeginSendResult::New(mut ticket) = ledger.begin_send(&instance, send).await.unwrap() else {
                panic!("it is new")
            };
            ledger.intend_send(&mut ticket).await.unwrap();
            let outcome = SendOutcome {
                state: RecipientState::Sent,
                receipts: vec![("g".to_owned(), "m".to_owned())],
                error: None,
                attempts: 1,
            };
            ledger.settle_send(&ticket, outcome).await.unwrap();
        }
        let sends = ledger.sends_of_run("a@1", 9).await.unwrap();
        assert_eq!(sends.len(), 2);
        assert!(sends.iter().all(|send| send.job_run.as_deref() == Some("a@1")), "{sends:?}");
        // The links to runs that the ledger no longer has are pruned.
        ledger.prune(START).await.unwrap();
        assert!(ledger.runs_of_broadcast(id, 9).await.unwrap().is_empty());
    });
}
