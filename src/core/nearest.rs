//! Finds the known name that a misspelt one probably means.

/// Longer names are not compared.
const MAX_CHARS: usize = 64;

/// Returns the member of `known` that is nearest to `name`, if one is near. A member is near if it differs by at most
/// one slip for each three letters of the longer name, and at least one slip is allowed. A slip is a letter more,
/// less or different, or two letters swapped. Upper and lower case are equal. Of equally near members the first is
/// returned.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length == 0 || length > MAX_CHARS {
        return None;
    }
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| {
            let slips = strsim::osa_distance(&name, &candidate.to_lowercase());
            let allowed = (length.max(candidate.chars().count()) / 3).max(1);
            // Two letters that are each one slip away share nothing with the name.
            (slips <= allowed && slips < length).then_some((slips, candidate))
        })
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

/// Returns the problem of a name that is not among the known ones: the nearest of them, or else all.
pub fn unknown_name<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown `{name}`; did you mean `{near}`?"),
        None => format!("unknown `{name}`; known: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// Whether `short` is `word` with letters after the first left out: `img` for `image`, `loc` for `location`.
pub(crate) fn abbreviates(short: &str, word: &str) -> bool {
    let mut letters = word.chars().map(|letter| letter.to_ascii_lowercase());
    word.chars().count() <= MAX_CHARS
        && short.chars().next().map(|first| first.to_ascii_lowercase()) == letters.clone().next()
        && short.chars().all(|letter| letters.any(|other| other == letter))
}

#[cfg(test)]
mod tests {
    use super::{abbreviates, nearest};

    #[test]
    fn slips_are_recognised() {
        let known = ["from", "to", "type", "need_group_ack", "routetype", "customEvent"];
        for (slip, meant) in [
            ("form", "from"),
            ("tpye", "type"),
            ("Type", "type"),
            ("need_group_acks", "need_group_ack"),
            ("needGroupAck", "need_group_ack"),
            ("route_type", "routetype"),
            ("custom_event", "customEvent"),
            ("t0", "to"),
        ] {
            assert_eq!(nearest(slip, known), Some(meant), "{slip}");
        }
    }

    #[test]
    fn what_is_far_from_all_has_no_nearest() {
        let known = ["from", "to", "type", "body"];
        for far in ["", "x", "ab", "recipients", "bdxy", &"to".repeat(10_000)] {
            assert_eq!(nearest(far, known), None, "{far:.20}");
        }
    }

    #[test]
    fn of_equally_near_names_the_first_is_taken() {
        assert_eq!(nearest("lat_", ["lat", "lats"]), Some("lat"));
        assert_eq!(nearest("lenght", ["length", "Length"]), Some("length"));
    }

    #[test]
    fn abbreviations_keep_the_first_letter_and_the_order() {
        assert!(abbreviates("img", "image"));
        assert!(abbreviates("cmd", "Command"));
        assert!(!abbreviates("img", "gim"));
        assert!(!abbreviates("to", "auto"));
        assert!(!abbreviates("to", "t"));
    }
}
