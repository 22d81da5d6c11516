//! The spelling of addresses. What is stored for an app is found by its address, so one address has one spelling.

/// The one spelling of an address that begins with `https://` or `http://`: scheme and host in lower case, without the
/// port that the scheme has anyway and without slashes at the end. The path stays as it is. Anything else stays as it
/// is.
pub fn canonical_address(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    let known = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return address.to_owned(),
    };
    // The colons of an IPv6 address stand before a bracket.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (host, port),
        _ => (authority.as_str(), ""),
    };
    let port = match port.parse::<u16>() {
        _ if port.is_empty() => String::new(),
        Ok(number) if number == known => String::new(),
        Ok(number) => format!(":{number}"),
        Err(_) => format!(":{port}"),
    };
    format!("{scheme}://{host}{port}{}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::canonical_address;

    #[test]
    fn an_address_has_one_spelling() {
        for (spelled, canonical) in [
            ("https://a1.easemob.com", "https://a1.easemob.com"),
            ("https://A1.EaseMob.com/", "https://a1.easemob.com"),
            ("HTTPS://a1.easemob.com:443//", "https://a1.easemob.com"),
            ("https://a1.easemob.com:0443/Org/App", "https://a1.easemob.com/Org/App"),
            ("https://a1.easemob.com:/x", "https://a1.easemob.com/x"),
            ("http://a1.easemob.com:80/A%2fb//C/", "http://a1.easemob.com/A%2fb//C"),
            ("http://a1.easemob.com:443", "http://a1.easemob.com:443"),
            ("https://a1.easemob.com:08443/x", "https://a1.easemob.com:8443/x"),
            ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]/x"),
            ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x"),
            ("https://host:99999/x", "https://host:99999/x"),
            ("nowhere", "nowhere"),
        ] {
            assert_eq!(canonical_address(spelled), canonical);
            assert_eq!(canonical_address(canonical), canonical);
        }
    }
}
