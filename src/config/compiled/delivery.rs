//! How the requests of a route are passed on, and its answers back: what the policy has no say in.

/// How the requests of one route are passed on. The default changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Bodies of requests may have so many bytes; `None` for any number.
    pub max_body: Option<u64>,
}
