//! What a request needs and whether it has it. Pure: no I/O, no clock of its own, no async.
//!
//! Read [`target`] (the one form of a request target that is matched and forwarded), [`reading`] (how
//! an upstream may read it otherwise), [`route`] (the table), [`decision`] (the verdict), then
//! [`explain`], which tells a person what the same functions decided and why.

pub mod certificate;
pub mod decision;
pub mod destination;
pub mod explain;
pub mod explanation;
#[cfg(test)]
mod oracle;
pub mod own_page;
pub mod pattern;
pub mod reading;
pub mod report_only;
pub mod route;
pub mod target;
