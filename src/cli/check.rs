//! `gatehouse check` and `gatehouse explain`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use axum::http::Method;
use clap::Args;
use serde_json::json;

use super::{
    Common, Failure, Report,
    logged::{self, LogError, People},
};
use crate::{
    config::{self, Config, Origin, Period},
    email_address::EmailAddress,
    id::RequestId,
    policy::{
        certificate::CertificateName,
        explain::{Explanation, Question, SessionKind, explain as explain_policy},
        target::Target,
    },
};

/// Lists every problem of the configuration, or says that there is none.
pub(super) fn check(common: &Common) -> Result<Report, Failure> {
    let file = common.config.display();
    match config::load(&common.config) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| format!("{warning}\n"));
            let summary = format!(
                "{file}: can be used ({} routes, {} upstreams, {} warnings)",
                loaded.config.routes.routes().len(),
                loaded.config.upstreams.len(),
                loaded.warnings.len()
            );
            Ok(Report {
                text: warnings.chain([summary]).collect(),
                json: json!({ "usable": true, "problems": loaded.warnings }),
            })
        }
        Err(problems) => {
            if common.json {
                println!("{:#}", json!({ "usable": false, "problems": problems }));
            } else {
                println!("{problems}");
            }
            Err(Failure::Config)
        }
    }
}

#[derive(Debug, Args)]
pub struct Explain {
    /// Such as GET.
    #[arg(required_unless_present_any = FROM_A_LOG, conflicts_with_all = FROM_A_LOG)]
    method: Option<String>,
    /// Such as https://app.example.com/money/transfer?to=ann.
    #[arg(required_unless_present_any = FROM_A_LOG, conflicts_with_all = FROM_A_LOG)]
    url: Option<String>,
    /// For these kinds of session: none, restricted, full, step_up or step_up:AGE. All of them unless given.
    #[arg(long, value_delimiter = ',', value_parser = session_kind, conflicts_with_all = FROM_A_LOG)]
    session: Vec<SessionKind>,
    /// The address of the person who asks.
    #[arg(long, conflicts_with_all = FROM_A_LOG)]
    email: Option<String>,
    /// Their groups.
    #[arg(long, value_delimiter = ',', conflicts_with_all = FROM_A_LOG)]
    groups: Vec<String>,
    /// The names on the client certificate of the connection, such as backup.example.com.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = certificate_name,
        conflicts_with_all = FROM_A_LOG
    )]
    certificate: Vec<CertificateName>,
    /// An access log in JSON, once for each file; `-` is standard input. Other lines in it are passed over. Has every
    /// request of it decided by the configuration, which may be a candidate, and sums up what would change.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// The id of a request, as its error page and its answer's X-Request-Id have it. Says what was decided of it, by
    /// which rule, and what was missing. Looked for in --log, else in log.access_file.
    #[arg(long, value_name = "ID", value_parser = request_id)]
    request_id: Option<RequestId>,
    /// Do not look up in the store who the accounts of a log are.
    #[arg(long, conflicts_with_all = ["method", "url"])]
    no_store: bool,
    /// Exit with 1 if anything would change.
    #[arg(long, conflicts_with_all = ["method", "url", "request_id"])]
    fail_on_change: bool,
}

const FROM_A_LOG: [&str; 2] = ["log", "request_id"];

/// Says which route a request falls under, and what each kind of session would get; or what a log tells.
pub(super) fn explain(common: &Common, explain: &Explain) -> Result<Report, Failure> {
    match (&explain.method, &explain.url) {
        (Some(method), Some(url)) => explain_request(common, explain, method, url),
        (None, _) | (_, None) => explain_log(common, explain),
    }
}

fn explain_log(common: &Common, explain: &Explain) -> Result<Report, Failure> {
    let config = super::load(common)?;
    let people = match explain.no_store {
        true => People::default(),
        false => super::runtime()?.block_on(People::of_store(&config))?,
    };
    if let Some(id) = explain.request_id {
        let places = logged::request::places(&explain.log, &config)?;
        return Ok(logged::request::run(id, &places, &config, &people)?);
    }
    let (report, changed) = logged::replay::run(&explain.log, &config, &people)?;
    if explain.fail_on_change && changed > 0 {
        super::print(common, &report);
        return Err(LogError::Changes(changed).into());
    }
    Ok(report)
}

fn explain_request(
    common: &Common,
    explain: &Explain,
    method: &str,
    url: &str,
) -> Result<Report, Failure> {
    let method = Method::from_str(method)
        .map_err(|_| Failure::Usage(format!("{method:?} is not a method such as GET")))?;
    let (host, target) = split(url)?;
    let target = Target::parse(target.as_bytes()).map_err(|error| {
        Failure::Usage(format!(
            "this target is refused with 400 whatever the route: {error}"
        ))
    })?;
    let email = match &explain.email {
        Some(text) => Some(EmailAddress::parse(text).ok_or_else(|| {
            Failure::Usage(format!(
                "--email {text:?} is not an address such as ann@example.com"
            ))
        })?),
        None => None,
    };
    let config = super::load(common)?;
    let question = Question {
        method: &method,
        host: &host,
        target: &target,
        email: email.as_ref(),
        groups: &explain.groups,
        certificate: &explain.certificate,
    };
    let every_kind = [
        SessionKind::None,
        SessionKind::Restricted,
        SessionKind::Full,
        SessionKind::StepUp {
            age: Duration::ZERO,
        },
    ];
    let kinds = if explain.session.is_empty() {
        &every_kind[..]
    } else {
        &explain.session
    };
    let explanation = explain_policy(&config.routes, &question, kinds);
    let tried = config
        .report_only
        .as_ref()
        .map(|tried| explain_policy(tried.routes(), &question, kinds));
    let sign_in = SignInPlace::of(&config, &host);
    let mut json = json!(explanation);
    json["report_only"] = json!(tried);
    json["sign_in_at"] = json!(sign_in.origin());
    let sentences = [
        tried.map(|tried| if_enforced(&explanation, &tried)),
        sign_in.sentence(),
    ];
    Ok(Report {
        text: [explanation.to_string()]
            .into_iter()
            .chain(sentences.into_iter().flatten())
            .map(|part| part.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n"),
        json,
    })
}

/// What the routes would change that are only tried out.
fn if_enforced(explanation: &Explanation, tried: &Explanation) -> String {
    let (now, then) = (explanation.to_string(), tried.to_string());
    if now == then {
        return "Routes with report_only would change nothing here.".to_owned();
    }
    // The first line is the question.
    let then = then.split_once('\n').map_or("", |(_, rest)| rest);
    format!("With its report_only routes enforced:\n{then}")
}

/// Where people of a host sign in.
enum SignInPlace<'c> {
    /// On the host itself.
    Here,
    /// On this one, which hands a session on.
    Elsewhere(&'c Origin),
    /// Nowhere: no route names the host.
    Nowhere(&'c Origin),
}

impl<'c> SignInPlace<'c> {
    fn of(config: &'c Config, host: &str) -> Self {
        match &config.relying_party.auth {
            None => Self::Here,
            Some(auth) if auth.host() == host => Self::Here,
            Some(auth) if config.routes.names_host(host) => Self::Elsewhere(auth),
            Some(auth) => Self::Nowhere(auth),
        }
    }

    fn origin(&self) -> Option<&str> {
        match self {
            Self::Elsewhere(auth) => Some(auth.as_str()),
            Self::Here | Self::Nowhere(_) => None,
        }
    }

    fn sentence(&self) -> Option<String> {
        match self {
            Self::Here => None,
            Self::Elsewhere(auth) => Some(format!(
                "People sign in at {}, which hands this host a session of its own.",
                auth.as_str()
            )),
            Self::Nowhere(auth) => Some(format!(
                "Nobody can sign in for this host: {} hands sessions to hosts that a route names.",
                auth.as_str()
            )),
        }
    }
}

/// Host and target of an address, the target untouched: reading it in one way only is the policy's task,
/// and a URL library would have resolved `..` before it could be refused.
fn split(url: &str) -> Result<(String, &str), Failure> {
    let unreadable = || {
        Failure::Usage(format!(
            "{url:?} is not an address such as https://app.example.com/notes"
        ))
    };
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or_else(unreadable)?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let host = authority.split(':').next().unwrap_or_default();
    if host.is_empty() || authority.contains('@') {
        return Err(unreadable());
    }
    Ok((
        host.to_ascii_lowercase(),
        if target.is_empty() { "/" } else { target },
    ))
}

fn certificate_name(text: &str) -> Result<CertificateName, String> {
    CertificateName::parse(text)
        .ok_or_else(|| "expected a DNS name or a URI, as certificates name machines".to_owned())
}

fn request_id(text: &str) -> Result<RequestId, String> {
    RequestId::parse(text)
        .ok_or_else(|| "expected 32 hexadecimal digits, as an error page shows them".to_owned())
}

fn session_kind(text: &str) -> Result<SessionKind, String> {
    match text {
        "none" => Ok(SessionKind::None),
        "restricted" => Ok(SessionKind::Restricted),
        "full" => Ok(SessionKind::Full),
        "step_up" => Ok(SessionKind::StepUp {
            age: Duration::ZERO,
        }),
        _ => match text.strip_prefix("step_up:") {
            Some(age) => Ok(SessionKind::StepUp {
                age: age.parse::<Period>()?.duration(),
            }),
            None => Err(
                "expected none, restricted, full, step_up or step_up:AGE such as step_up:10m"
                    .to_owned(),
            ),
        },
    }
}
