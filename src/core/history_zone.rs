//! The time zone of the service's history files.

words! {
    /// The time zone by which a cluster names its history files.
    HistoryZone {
        /// Beijing time, on domestic clusters.
        Shanghai, "Asia/Shanghai";
        Utc, "UTC";
    }
}

/// The domains of the documented clusters.
const DOMAINS: [&str; 2] = ["easemob.com", "easecdn.com"];

/// The clusters of the service in China (the service's page "data centers": zones 1 and 2).
const DOMESTIC: [&str; 2] = ["a1", "a31"];

/// The clusters elsewhere (the same page: Singapore 1 and 2, United States, Germany).
const ABROAD: [&str; 4] = ["a1-sgp", "a61", "a41", "a71"];

/// The domain of Agora Chat, whose clusters are all outside of China.
const AGORA: &str = ".chat.agora.io";

impl HistoryZone {
    /// Returns the zone of the cluster with this address: Beijing time for the domestic ones, UTC for the others. `None` for
    /// a host that is not documented, such as that of a VIP cluster or a proxy.
    pub fn of_address(url: &str) -> Option<Self> {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
        if host.ends_with(AGORA) {
            return Some(Self::Utc);
        }
        let (cluster, domain) = host.split_once('.')?;
        if !DOMAINS.contains(&domain) {
            return None;
        }
        if DOMESTIC.contains(&cluster) {
            return Some(Self::Shanghai);
        }
        ABROAD.contains(&cluster).then_some(Self::Utc)
    }
}

#[cfg(test)]
mod tests {
    use super::HistoryZone;

    #[test]
    fn the_documented_hosts_have_a_zone_and_others_have_none() {
        for (url, zone) in [
            ("https://a1.easemob.com/org/app", Some(HistoryZone::Shanghai)),
            ("https://A31.easecdn.com:443/org/app", Some(HistoryZone::Shanghai)),
            ("https://a61.easemob.com/org/app", Some(HistoryZone::Utc)),
            ("https://a1-sgp.easecdn.com/org/app", Some(HistoryZone::Utc)),
            ("https://a41.chat.agora.io/app-id/1", Some(HistoryZone::Utc)),
            ("https://vip1.easemob.com/org/app", None),
            ("https://a1.easemob.com.example.com/org/app", None),
            ("http://127.0.0.1:8080/a1.easemob.com/app", None),
        ] {
            assert_eq!(HistoryZone::of_address(url), zone, "{url}");
        }
    }
}
