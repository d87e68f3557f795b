//! Gatehouse: a reverse proxy that puts passkey sign-in in front of web apps that know nothing of it.
//!
//! ```text
//! bytes ─ gateway ─► facts ─► route ─► session? ─► decide() ─┬─ Forward(permit) ─► upstream
//!                    one canonical     cookie +              ├─ Challenge ─► sign-in | step-up | re-enrol | 401
//!                    reading           revocation view       ├─ Deny(reason)
//!                                      (memory only)         └─ OwnPage ─► axum Router (/.gatehouse/…)
//! ```
//!
//! Dependencies point downward: `cli`, `demo`, `server` → `monitoring` → `gateway` → `sign_in`, `account`, `admin`,
//! `held` → `web` →
//! `notice`, `core`, `snapshot`, `shadow`, `ways_back` → `session`, `relying_party`, `assets`, `mail`, `limit`, `pool` → `config`,
//! `policy` → `store` → `id`, `secret`, `backup_code`, `clock` and the other small types.

// The maps that modules begin with name private ones too: they are read beside the source.
#![allow(rustdoc::private_intra_doc_links)]

pub mod account;
pub mod admin;
pub mod assets;
pub mod backup_code;
pub mod cli;
pub mod clock;
pub mod condition;
pub mod config;
pub mod core;
pub mod demo;
pub mod email_address;
pub mod file_stamp;
pub mod gateway;
pub mod handover;
pub mod held;
pub mod id;
pub mod key_kind;
pub mod limit;
pub mod mail;
pub mod method;
pub mod monitoring;
pub mod network;
pub mod notice;
pub mod open_files;
pub mod policy;
pub mod pool;
pub mod reload;
pub mod relying_party;
pub mod reserved_header;
pub mod secret;
pub mod server;
pub mod session;
pub mod shadow;
pub mod sign_in;
pub mod snapshot;
pub mod sockets;
mod sparingly;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod ways_back;
pub mod web;
