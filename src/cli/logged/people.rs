//! Who the accounts of a log are, as the store has it now.

use std::collections::HashMap;

use super::LogError;
use crate::{
    config::{Config, StoreLocation},
    email_address::EmailAddress,
    id::AccountId,
    store::{Store, sqlite::SqliteStore},
};

/// The accounts that are known.
#[derive(Default)]
pub(in crate::cli) struct People {
    known: HashMap<AccountId, Person>,
    /// Whether a store was asked.
    pub(super) looked_up: bool,
}

/// What the policy and a reader want to know of somebody.
pub(super) struct Person {
    pub(super) email: Option<EmailAddress>,
    pub(super) groups: Vec<String>,
}

impl People {
    /// All accounts of the store that a configuration names, if it is there: explaining makes none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(in crate::cli) async fn of_store(config: &Config) -> Result<Self, LogError> {
        let StoreLocation::Sqlite(path) = &config.store;
        if !path.exists() {
            return Ok(Self::default());
        }
        let accounts = SqliteStore::open(path).await?.accounts().await?;
        let accounts = accounts
            .into_iter()
            .map(|account| (account.id, account.email, account.groups));
        Ok(Self::of(accounts))
    }

    pub(super) fn of(
        accounts: impl IntoIterator<Item = (AccountId, Option<EmailAddress>, Vec<String>)>,
    ) -> Self {
        let people = accounts
            .into_iter()
            .map(|(id, email, groups)| (id, Person { email, groups }));
        Self {
            known: people.collect(),
            looked_up: true,
        }
    }

    pub(super) fn get(&self, account: AccountId) -> Option<&Person> {
        self.known.get(&account)
    }

    /// An account as a reader knows it.
    pub(super) fn name(&self, account: AccountId) -> String {
        match self.get(account).and_then(|person| person.email.as_ref()) {
            Some(email) => format!("{email} ({account})"),
            None => account.to_string(),
        }
    }
}
