//! From the operator's TOML file to a [`Config`].
//!
//! [`mod@file`] is the format and its reference, [`load()`] reads it and gathers every problem, `compile`
//! resolves it into what the program runs on, and [`mod@reference`] writes the documentation.

mod at;
mod compile;
mod compiled;
pub mod file;
mod files;
mod findings;
mod load;
mod mail_url;
mod problem;
pub mod reference;
mod source;
mod suggestion;
mod table;
mod value;

pub use compiled::*;
pub use files::Files;
pub use load::{Loaded, load, parse, read};
pub use problem::{Problem, Problems, Severity};
pub use value::Period;
