//! The client as the network is: encodings, keep-alive, tokens, timeouts, proxies.
