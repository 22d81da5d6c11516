//! Reads the proxies from the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, each also in lower
//! case.

use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

/// Makes a proxy for one kind of request.
type ProxyConstructor = fn(Url) -> reqwest::Result<Proxy>;

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The proxies for requests. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Proxy>);

impl Proxies {
    /// Reads this process's environment. An empty variable counts as not set.
    ///
    /// # Errors
    ///
    /// The name of a variable that holds no valid proxy. The value is left out, because it can contain a password.
    pub fn of_environment() -> Result<Self, String> {
        Self::of(&|name| std::env::var(name).ok())
    }

    fn of(look_up: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        // In a CGI program, the sender of a request can set `HTTP_PROXY` with a `Proxy` header.
        if look_up("REQUEST_METHOD").is_some() {
            return Ok(Self::default());
        }
        let value =
            |name: &str| look_up(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let first = |upper: &str| -> Option<(String, String)> {
            let lower = upper.to_ascii_lowercase();
            let found = |name: &str| value(name).map(|value| (name.to_owned(), value));
            found(upper).or_else(|| found(&lower))
        };
        let except = first("NO_PROXY").and_then(|(_, list)| NoProxy::from_string(&list));
        let kinds: [(&str, ProxyConstructor); 3] =
            [("HTTP_PROXY", Proxy::http), ("HTTPS_PROXY", Proxy::https), ("ALL_PROXY", Proxy::all)];
        let mut proxies = Vec::new();
        for (upper, make) in kinds {
            let Some((name, value)) = first(upper) else { continue };
            let proxy = address(&value)
                .and_then(|url| make(url).map_err(|error| error.without_url().to_string()))
                .map_err(|reason| format!("the variable {name} is not the address of a proxy: {reason}"))?;
            proxies.push(proxy.no_proxy(except.clone()));
        }
        Ok(Self(proxies))
    }

    /// Makes a client use these proxies and no others.
    pub fn lead(&self, builder: ClientBuilder) -> ClientBuilder {
        self.0.iter().cloned().fold(builder.no_proxy(), ClientBuilder::proxy)
    }
}

/// Parses a proxy's address. Without a scheme it is an HTTP proxy. Desktops write `socks://` for SOCKS 5.
fn address(value: &str) -> Result<Url, String> {
    let whole = match value.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("socks") => format!("socks5://{rest}"),
        Some(_) => value.to_owned(),
        None => format!("http://{value}"),
    };
    let url = Url::parse(&whole).map_err(|error| format!("its value is not an address ({error})"))?;
    if !SCHEMES.contains(&url.scheme()) {
        let known = SCHEMES.map(|scheme| format!("{scheme}://")).join(", ");
        return Err(format!("its value begins with {}://; a proxy begins with one of {known}", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("its value names no host".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<usize, String> {
        let look_up = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Proxies::of(&look_up).map(|proxies| proxies.0.len())
    }

    #[test]
    fn an_empty_variable_hides_nothing() {
        assert_eq!(of(&[("HTTP_PROXY", ""), ("http_proxy", "http://p:1")]), Ok(1));
        assert_eq!(of(&[("HTTP_PROXY", " "), ("ALL_PROXY", ""), ("all_proxy", "socks5h://p:1")]), Ok(1));
        assert_eq!(of(&[("HTTP_PROXY", ""), ("NO_PROXY", ""), ("no_proxy", "a")]), Ok(0));
        assert_eq!(of(&[("HTTP_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")]), Ok(0));
    }

    #[test]
    fn every_usual_form_is_a_proxy() {
        for value in [
            "p",
            "p:3128",
            "127.0.0.1:3128",
            "http://p",
            "https://u:p%40@p:1/",
            "socks://p:1",
            "socks5://p:1",
            "socks5h://u:p@p:1",
            "socks4a://p",
            "[::1]:3128",
        ] {
            assert_eq!(of(&[("https_proxy", value)]), Ok(1), "{value}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_named_by_its_variable_only() {
        for value in ["ftp://canary@p", "http://canary:a b@/", "://canary", "http://"] {
            let problem = of(&[("http_proxy", value)]).unwrap_err();
            assert!(
                problem.starts_with("the variable http_proxy is not the address of a proxy: "),
                "{problem}"
            );
            assert!(!problem.contains("canary"), "{problem}");
        }
    }
}
