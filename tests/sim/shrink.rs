//! Makes a story that fails smaller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::judge::judge;
use crate::story::Story;
use crate::world::{self, Outcome};

/// Runs a story. The error is what must not have happened, and the log.
pub fn problems(story: &Story) -> Result<Outcome, (Vec<String>, String)> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let outcome = world::run(story);
        (judge(&outcome), outcome)
    }));
    match ran {
        Ok((problems, outcome)) if problems.is_empty() => Ok(outcome),
        Ok((problems, outcome)) => Err((problems, outcome.log)),
        Err(_) => Err((vec!["a panic".to_owned()], String::new())),
    }
}

/// Leaves out events, single messages and broadcasts one by one, for as long as the story fails.
pub fn least(story: &Story) -> Story {
    let mut least = story.clone();
    loop {
        let before = size(&least);
        for part in 0..3 {
            let mut index = 0;
            loop {
                let mut less = least.clone();
                let is_removed = match part {
                    0 => remove(&mut less.events, index),
                    1 => remove(&mut less.singles, index),
                    _ => remove(&mut less.refused, index),
                };
                if !is_removed {
                    break;
                }
                if problems(&less).is_err() { least = less } else { index += 1 }
            }
        }
        if size(&least) == before {
            return least;
        }
    }
}

fn size(story: &Story) -> usize {
    story.events.len() + story.singles.len() + story.refused.len()
}

fn remove<T>(list: &mut Vec<T>, index: usize) -> bool {
    if index < list.len() {
        list.remove(index);
        return true;
    }
    false
}
