//! What is written of every request: `[log]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::At;

/// What is written of every request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How the access log is written, one line for each request. The default can be searched by field and be asked
    /// later: `gatehouse explain --request-id` and `--log` read it.
    #[schemars(example = &"combined")]
    pub access: At<AccessFormat>,
    /// The file to append access lines to, made if it is not there. Its folder must exist. It is opened anew when
    /// the configuration is read again (SIGHUP), so that it can be rotated. Writing never holds a request up: lines
    /// that a slow or full disk does not take are dropped and counted (`gatehouse_access_lines_dropped_total`).
    /// Without it the lines go to standard error, between the others.
    #[schemars(example = &"/var/log/gatehouse/access.log")]
    pub access_file: Option<At<PathBuf>>,
}

/// How access lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessFormat {
    /// A JSON object a line.
    Json,
    /// The NCSA combined format, for tools that know no other. The host is the client's network, the user the id
    /// of the account; referrer and browser are always `-`. `explain` cannot read it: it does not say what was
    /// decided.
    Combined,
    /// Not at all.
    Off,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            access: AccessFormat::Json.into(),
            access_file: None,
        }
    }
}
