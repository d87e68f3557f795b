//! `gatehouse explain --log FILE`: a whole log against a configuration, and what would change by route and account.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Judged, LogError, Logged, People, Skip, lines};
use crate::{
    cli::Report, config::Config, id::AccountId, policy::explain::RouteSummary,
    telemetry::outcome::Outcome,
};

/// What came of a log. It grows with routes and accounts, not with lines.
#[derive(Default)]
struct Summary {
    lines: u64,
    unchanged: u64,
    skipped: BTreeMap<Skip, u64>,
    by_route: BTreeMap<Change, Affected>,
    by_account: HashMap<AccountId, BTreeMap<Turn, u64>>,
    took: Duration,
}

/// From one decision to another.
type Turn = (&'static str, &'static str);

/// That, under a route.
type Change = (Option<usize>, &'static str, &'static str);

#[derive(Default)]
struct Affected {
    requests: u64,
    accounts: HashSet<AccountId>,
    without_session: u64,
}

/// Judges every line of these files by a configuration; how many requests would be decided otherwise is given beside
/// the report.
pub(in crate::cli) fn run(
    files: &[PathBuf],
    config: &Config,
    people: &People,
) -> Result<(Report, u64), LogError> {
    let began = Instant::now();
    let mut summary = Summary::default();
    lines::read(files, |line| {
        let logged = Logged::read(line);
        let judged = logged
            .as_ref()
            .map_err(|skip| *skip)
            .and_then(|logged| logged.judge(config, people));
        summary.note(judged, logged.ok().and_then(|logged| logged.account));
        true
    })?;
    summary.took = began.elapsed();
    let report = Report {
        text: summary.text(config, people),
        json: summary.json(config, people),
    };
    Ok((report, summary.changed()))
}

impl Summary {
    fn note(&mut self, judged: Result<Judged, Skip>, account: Option<AccountId>) {
        self.lines += 1;
        let judged = match judged {
            Ok(judged) => judged,
            Err(skip) => {
                *self.skipped.entry(skip).or_default() += 1;
                return;
            }
        };
        if judged.then == judged.now {
            self.unchanged += 1;
            return;
        }
        let turn = (judged.then.name(), judged.now.name());
        let affected = self
            .by_route
            .entry((judged.route, turn.0, turn.1))
            .or_default();
        affected.requests += 1;
        match account {
            Some(account) => {
                affected.accounts.insert(account);
                let turns = self.by_account.entry(account).or_default();
                *turns.entry(turn).or_default() += 1;
            }
            None => affected.without_session += 1,
        }
    }

    fn changed(&self) -> u64 {
        self.by_route
            .values()
            .map(|affected| affected.requests)
            .sum()
    }

    fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Those that pass now and did not, or did and do not.
    fn turned(&self, passes: bool) -> u64 {
        let forward = Outcome::Forwarded.name();
        let turns = self.by_route.iter().filter(|((_, from, to), _)| {
            let (before, after) = (*from == forward, *to == forward);
            before != after && after == passes
        });
        turns.map(|(_, affected)| affected.requests).sum()
    }

    /// Most affected first.
    fn routes(&self) -> Vec<(&Change, &Affected)> {
        let mut routes: Vec<_> = self.by_route.iter().collect();
        routes.sort_by_key(|(_, affected)| Reverse(affected.requests));
        routes
    }

    /// Most affected first; equals in the order of their ids, so that two runs print the same.
    fn accounts(&self) -> Vec<(AccountId, u64, &BTreeMap<Turn, u64>)> {
        let mut accounts: Vec<_> = self
            .by_account
            .iter()
            .map(|(account, turns)| (*account, turns.values().sum(), turns))
            .collect();
        accounts.sort_by_key(|(account, requests, _)| (Reverse(*requests), *account));
        accounts
    }

    fn text(&self, config: &Config, people: &People) -> String {
        let judged = self.lines - self.skipped();
        let mut text = format!(
            "{} lines, {judged} requests judged by {}\n",
            self.lines,
            config.file.display()
        );
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{} unchanged, {} changed: {} would be turned away that passed, {} would pass that were turned away",
            self.unchanged,
            self.changed(),
            self.turned(false),
            self.turned(true)
        );
        if !self.by_route.is_empty() {
            text.push_str("by route:\n");
        }
        for ((route, from, to), affected) in self.routes() {
            let _ = writeln!(
                text,
                "  {}: {from} → {to}: {} requests of {} accounts and {} without a session",
                place(config, *route),
                affected.requests,
                affected.accounts.len(),
                affected.without_session
            );
        }
        let accounts = self.accounts();
        if !accounts.is_empty() {
            text.push_str("by account:\n");
        }
        for (account, requests, turns) in accounts.iter().take(SHOWN) {
            let turns = turns
                .iter()
                .map(|((from, to), count)| format!("{from} → {to} {count}"));
            let turns: Vec<_> = turns.collect();
            let _ = writeln!(
                text,
                "  {}: {requests} requests: {}",
                people.name(*account),
                turns.join(", ")
            );
        }
        if let Some(more) = accounts.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(text, "  and {more} accounts more; --json lists all");
        }
        if self.skipped() > 0 {
            text.push_str("not judged:\n");
        }
        for (skip, count) in &self.skipped {
            let _ = writeln!(text, "  {count} {}", skip.words());
        }
        text.push_str(if people.looked_up {
            "Addresses and groups of accounts are those that the store has now.\n"
        } else {
            "No store was asked who the accounts are.\n"
        });
        let _ = write!(text, "{}", self.pace());
        text
    }

    fn pace(&self) -> String {
        let lines = u32::try_from(self.lines.max(1)).unwrap_or(u32::MAX);
        let each = self.took / lines;
        format!("It took {:.1?}, {:.1?} a line.", self.took, each)
    }

    fn json(&self, config: &Config, people: &People) -> Value {
        let skipped = Skip::ALL.map(|skip| {
            let count = self.skipped.get(&skip).copied().unwrap_or_default();
            (skip.name().to_owned(), Value::from(count))
        });
        let routes = self
            .routes()
            .into_iter()
            .map(|((route, from, to), affected)| {
                json!({
                    "route": route.and_then(|line| RouteSummary::on_line(&config.routes, line)),
                    "from": from,
                    "to": to,
                    "requests": affected.requests,
                    "accounts": affected.accounts.len(),
                    "without_session": affected.without_session,
                })
            });
        let accounts = self
            .accounts()
            .into_iter()
            .map(|(account, requests, turns)| {
                let changes = turns.iter().map(
                    |((from, to), count)| json!({ "from": from, "to": to, "requests": count }),
                );
                json!({
                    "account": account,
                    "email": people.get(account).and_then(|person| person.email.as_ref()),
                    "requests": requests,
                    "changes": changes.collect::<Vec<_>>(),
                })
            });
        json!({
            "lines": self.lines,
            "judged": self.lines - self.skipped(),
            "unchanged": self.unchanged,
            "changed": self.changed(),
            "newly_turned_away": self.turned(false),
            "newly_passing": self.turned(true),
            "not_judged": skipped.into_iter().collect::<serde_json::Map<_, _>>(),
            "by_route": routes.collect::<Vec<_>>(),
            "by_account": accounts.collect::<Vec<_>>(),
            "accounts_looked_up": people.looked_up,
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Accounts that are named; whoever wants all of them has a program read it.
const SHOWN: usize = 20;

fn place(config: &Config, route: Option<usize>) -> String {
    match route.and_then(|line| RouteSummary::on_line(&config.routes, line)) {
        Some(route) => route.to_string(),
        None => "no route".to_owned(),
    }
}
