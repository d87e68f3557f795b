//! What is kept of people who have to do something first: `[hold]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Period, Size};

/// A POST from a page of the same host that meets sign-in, re-enrolment or a step-up is kept, encrypted, until
/// its sender has done that and has said in so many words that it is to be sent. It is then sent once, byte for
/// byte, to where it was going. Opening it takes the sender's browser as well as `server.secret`. A POST from
/// another site is never kept, and where one cannot be kept the page says that nothing was sent. A page of the
/// app itself can press the button in its visitor's stead, as it could send the POST itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Hold")]
pub struct HoldTable {
    /// Whether anything is kept at all.
    #[schemars(example = false)]
    pub enabled: At<bool>,
    /// The most bytes that the body of one may have, up to `"16MiB"`; larger ones are not kept. The default
    /// takes any form and small pictures. Whoever is not signed in can make the gateway read and store so
    /// much, and each is one write to the store.
    #[schemars(example = &"4MiB")]
    pub max_body: At<Size>,
    /// How long one is kept, from `"1m"` to `"1h"`. The default leaves time for a mail to arrive.
    #[schemars(example = &"10m")]
    pub lifespan: At<Period>,
    /// How much is kept in all, in the store and for a moment in memory. It bounds what strangers can fill;
    /// when it is full the page says so.
    #[schemars(example = &"256MiB")]
    pub room: At<Size>,
    /// How much is kept in all for one network: an IPv4 /24 or an IPv6 /56. One of them cannot take the room of
    /// everybody else. Default: a quarter of `room`, but no less than `max_body`.
    #[schemars(example = &"32MiB")]
    pub room_per_network: Option<At<Size>>,
}

impl Default for HoldTable {
    fn default() -> Self {
        Self {
            enabled: true.into(),
            max_body: Size::of(1024 * 1024).into(),
            lifespan: Period::seconds(10 * 60).into(),
            room: Size::of(64 * 1024 * 1024).into(),
            room_per_network: None,
        }
    }
}
