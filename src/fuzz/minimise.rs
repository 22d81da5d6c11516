//! Makes the input of a fault smaller.

/// The most inputs that are tried. Each takes a process.
const MOST_TRIES: usize = 250;

/// Leaves out parts, larger ones first, as long as `fails` says that the fault stays.
pub(super) fn minimise(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut least = input.to_vec();
    let mut tries = 0;
    let mut size = least.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let before = least.len();
        while at < least.len() {
            if tries == MOST_TRIES {
                return least;
            }
            tries += 1;
            let end = (at + size).min(least.len());
            let without = [&least[..at], &least[end..]].concat();
            if fails(&without) {
                least = without;
            } else {
                at = end;
            }
        }
        // Parts of this size may go now that others are gone.
        if least.len() == before {
            size /= 2;
        } else {
            size = size.min(least.len().div_ceil(2));
        }
    }
    least
}

#[test]
fn what_a_fault_needs_stays() {
    let input: Vec<u8> = (0..200).collect();
    let least = minimise(&input, |bytes| bytes.contains(&7) && bytes.contains(&150));
    assert_eq!(least, [7, 150]);
    assert!(minimise(&input, |_| true).is_empty());
    assert_eq!(minimise(&input, |bytes| bytes.len() == 200), input);
}
