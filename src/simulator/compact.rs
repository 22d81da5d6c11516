//! Removes the white space between the parts of a JSON text.

/// Returns `json` without the white space outside its strings. Every other byte is unchanged.
pub(super) fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\r' | '\n') {
            continue;
        } else {
            in_string = character == '"';
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_white_space_between_and_keeps_it_within() {
        let json = "{ \"a b\" : [ 1.50 ,\n\t\"x \\\" y\\\\\" , \"\\u4e2d 中\" ] }\r\n";
        assert_eq!(compact(json), "{\"a b\":[1.50,\"x \\\" y\\\\\",\"\\u4e2d 中\"]}");
    }
}
