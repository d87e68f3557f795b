//! The toolkit of Gatehouse's own pages: a request ([`ask`]), its form checks, the templates ([`pages`]),
//! return paths, and the layer that finishes every answer ([`respond`]).
//!
//! What the pages do is elsewhere: signing in under `sign_in`, what a person manages under `account`.

pub mod ask;
pub mod asset_server;
pub mod browser;
pub mod caller;
pub mod device;
pub mod error;
pub mod jwks;
pub mod pages;
pub mod provider;
pub mod qr;
pub mod respond;
pub mod return_to;
