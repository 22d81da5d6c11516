//! Assigns records to doubts where each record belongs to one doubt.

use std::collections::VecDeque;

/// Returns for each doubt the record that proves it, or None if another assignment leaves the doubt without one.
///
/// `fits[doubt]` lists the records that fit a doubt. The function finds a largest assignment. A doubt that it leaves
/// without a record could exchange places with the doubts that hold a record which fits it, and these with others in the
/// same way. All doubts that are reached so stay open. Each remaining doubt has a record in each largest assignment.
pub(super) fn assign(fits: &[Vec<usize>], records: usize) -> Vec<Option<usize>> {
    let mut record_of = vec![None; fits.len()];
    let mut doubt_of = vec![None; records];
    for doubt in 0..fits.len() {
        add(doubt, fits, &mut record_of, &mut doubt_of);
    }
    let mut is_open: Vec<bool> = record_of.iter().map(Option::is_none).collect();
    let mut waiting: Vec<usize> = (0..fits.len()).filter(|doubt| is_open[*doubt]).collect();
    while let Some(doubt) = waiting.pop() {
        for holder in fits[doubt].iter().filter_map(|record| doubt_of[*record]) {
            if !is_open[holder] {
                is_open[holder] = true;
                waiting.push(holder);
            }
        }
    }
    record_of.into_iter().zip(is_open).map(|(record, is_open)| record.filter(|_| !is_open)).collect()
}

/// Gives `doubt` a record, where necessary by giving other doubts other records. Changes nothing if that is impossible.
fn add(doubt: usize, fits: &[Vec<usize>], record_of: &mut [Option<usize>], doubt_of: &mut [Option<usize>]) {
    // The doubt through which a record was reached.
    let mut reached_by = vec![None; doubt_of.len()];
    let mut waiting = VecDeque::from([doubt]);
    while let Some(asking) = waiting.pop_front() {
        for &record in &fits[asking] {
            if reached_by[record].is_some() {
                continue;
            }
            reached_by[record] = Some(asking);
            let Some(holder) = doubt_of[record] else {
                // The record is free: each doubt on the way takes the record by which it asked.
                let mut free = Some(record);
                while let Some((record, taker)) = free.and_then(|record| Some((record, reached_by[record]?)))
                {
                    doubt_of[record] = Some(taker);
                    free = record_of[taker].replace(record);
                }
                return;
            };
            waiting.push_back(holder);
        }
    }
}
