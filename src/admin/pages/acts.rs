//! What is done to an account, each asked for first: its address shows the question and takes the answer.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;

use crate::{
    admin::{
        AdminError, Administrator, accounts, find_account, passkeys,
        sessions::{self, Which},
    },
    core::Core,
    id::{AccountId, CredentialId, SessionId},
    store::{Account, AccountState},
    web::{
        ask::Form,
        error::{Outcome, Refusal},
        pages::AdminAct,
    },
};

pub(super) fn router() -> Router<Arc<Core>> {
    Router::new()
        .route(
            "/.gatehouse/admin/accounts/{id}/{act}",
            get(ask_first).post(perform),
        )
        .route(
            "/.gatehouse/admin/accounts/{id}/sessions/{session}/end",
            get(ask_to_end).post(end),
        )
        .route(
            "/.gatehouse/admin/accounts/{id}/passkeys/{passkey}/remove",
            get(ask_to_remove).post(remove),
        )
}

enum Act {
    Disable,
    Enable,
    EndSessions,
    EndSession(SessionId),
    RemovePasskey(CredentialId),
    AllowRecovery,
}

#[derive(Deserialize)]
struct Nothing {}

async fn ask_first(admin: Administrator, Path((id, act)): Path<(String, String)>) -> Outcome {
    show(&admin, &id, &Act::named(&act)?).await
}

async fn perform(
    admin: Administrator,
    Path((id, act)): Path<(String, String)>,
    Form(Nothing {}): Form<Nothing>,
) -> Outcome {
    carry_out(&admin, &id, &Act::named(&act)?).await
}

async fn ask_to_end(admin: Administrator, Path((id, session)): Path<(String, String)>) -> Outcome {
    show(&admin, &id, &Act::on_session(&session)?).await
}

async fn end(
    admin: Administrator,
    Path((id, session)): Path<(String, String)>,
    Form(Nothing {}): Form<Nothing>,
) -> Outcome {
    carry_out(&admin, &id, &Act::on_session(&session)?).await
}

async fn ask_to_remove(
    admin: Administrator,
    Path((id, passkey)): Path<(String, String)>,
) -> Outcome {
    show(&admin, &id, &Act::on_passkey(&passkey)?).await
}

async fn remove(
    admin: Administrator,
    Path((id, passkey)): Path<(String, String)>,
    Form(Nothing {}): Form<Nothing>,
) -> Outcome {
    carry_out(&admin, &id, &Act::on_passkey(&passkey)?).await
}

impl Act {
    fn named(name: &str) -> Outcome<Self> {
        match name {
            "disable" => Ok(Self::Disable),
            "enable" => Ok(Self::Enable),
            "sign-out" => Ok(Self::EndSessions),
            "allow-recovery" => Ok(Self::AllowRecovery),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    fn on_session(id: &str) -> Outcome<Self> {
        let id = SessionId::parse(id).ok_or(Refusal::NOT_FOUND)?;
        Ok(Self::EndSession(id))
    }

    fn on_passkey(id: &str) -> Outcome<Self> {
        let id = CredentialId::parse(id).ok_or(Refusal::NOT_FOUND)?;
        Ok(Self::RemovePasskey(id))
    }

    /// Whether another administrator has to do it to one's own account.
    const fn is_for_others_alone(&self) -> bool {
        match self {
            Self::Disable | Self::Enable | Self::RemovePasskey(_) | Self::AllowRecovery => true,
            Self::EndSessions | Self::EndSession(_) => false,
        }
    }

    fn words(&self) -> Words {
        match self {
            Self::Disable => Words {
                heading: "Disable this account?",
                consequence: "It is signed out everywhere at once and can't sign in until it is enabled again. \
                              Nothing of it is deleted. The person is told.",
                button: "Disable account",
                hurts: true,
            },
            Self::Enable => Words {
                heading: "Enable this account?",
                consequence: "Its passkeys work as before. The person is told.",
                button: "Enable account",
                hurts: false,
            },
            Self::EndSessions => Words {
                heading: "End all sessions?",
                consequence: "Every browser of this person is signed out at once. They can sign in again. They are \
                              told.",
                button: "End all sessions",
                hurts: true,
            },
            Self::EndSession(_) => Words {
                heading: "End this session?",
                consequence: "That browser is signed out at once. The person can sign in again. They are told.",
                button: "End session",
                hurts: true,
            },
            Self::RemovePasskey(_) => Words {
                heading: "Remove this passkey?",
                consequence: "It signs in no longer, and sessions that it opened end at once. The person is told.",
                button: "Remove passkey",
                hurts: true,
            },
            Self::AllowRecovery => Words {
                heading: "Allow mails and codes again?",
                consequence: "Somebody said that a recovery was not them, so mails and backup codes sign nobody in. \
                              Allow them once you have spoken to the person and know that their mailbox is their \
                              own again. They are told.",
                button: "Allow mails and codes",
                hurts: false,
            },
        }
    }

    fn path(&self, account: AccountId) -> String {
        let account = account_path(account);
        match self {
            Self::Disable => format!("{account}/disable"),
            Self::Enable => format!("{account}/enable"),
            Self::EndSessions => format!("{account}/sign-out"),
            Self::EndSession(id) => format!("{account}/sessions/{id}/end"),
            Self::RemovePasskey(id) => format!("{account}/passkeys/{id}/remove"),
            Self::AllowRecovery => format!("{account}/allow-recovery"),
        }
    }
}

struct Words {
    heading: &'static str,
    consequence: &'static str,
    button: &'static str,
    hurts: bool,
}

async fn show(admin: &Administrator, id: &str, act: &Act) -> Outcome {
    let account = named(admin, id).await?;
    if act.is_for_others_alone() && admin.is(account.id) {
        return Err(Refusal::OWN_ACCOUNT);
    }
    let words = act.words();
    admin.ask.page(&AdminAct {
        frame: admin.ask.frame(),
        heading: words.heading,
        subject: &account.login,
        consequence: words.consequence,
        facts: facts(admin, &account, act).await?,
        button: words.button,
        hurts: words.hurts,
        action: &act.path(account.id),
        back: &account_path(account.id),
    })
}

/// Which session or passkey it is about.
async fn facts(
    admin: &Administrator,
    account: &Account,
    act: &Act,
) -> Outcome<Vec<(&'static str, String)>> {
    let store = &admin.ask.core.store;
    match act {
        Act::Disable | Act::Enable | Act::EndSessions | Act::AllowRecovery => Ok(Vec::new()),
        Act::EndSession(id) => {
            let session = store.session(*id, admin.ask.now()).await?;
            let session = session.filter(|session| session.account == account.id);
            let session = session.ok_or(Refusal::NOT_FOUND)?;
            Ok(vec![
                ("Device", session.device),
                ("Since", session.authenticated_at.for_people()),
            ])
        }
        Act::RemovePasskey(id) => {
            let passkeys = store.credentials(account.id).await?;
            let left = passkeys.len().saturating_sub(1);
            let passkey = passkeys.into_iter().find(|passkey| passkey.id == *id);
            let passkey = passkey.ok_or(Refusal::NOT_FOUND)?;
            let left = match left {
                0 => "none: they are locked out unless there is another way back".to_owned(),
                left => left.to_string(),
            };
            Ok(vec![("Passkey", passkey.label), ("Left", left)])
        }
    }
}

async fn carry_out(admin: &Administrator, id: &str, act: &Act) -> Outcome {
    let account = named(admin, id).await?;
    let (acting, name) = (admin.acting(), account.id.to_string());
    let done = match act {
        Act::Disable => {
            accounts::set_state(&acting, &name, AccountState::Disabled).await?;
            "disabled"
        }
        Act::Enable => {
            accounts::set_state(&acting, &name, AccountState::Active).await?;
            "enabled"
        }
        Act::EndSessions => {
            sessions::revoke(&acting, &Which::Account(name)).await?;
            "sessions-ended"
        }
        Act::EndSession(id) => {
            let of = Some(account.id);
            sessions::revoke(&acting, &Which::One { id: *id, of }).await?;
            "session-ended"
        }
        Act::RemovePasskey(id) => {
            passkeys::remove(&acting, &name, id).await?;
            "passkey-removed"
        }
        Act::AllowRecovery => {
            accounts::allow_recovery(&acting, &name).await?;
            "recovery-allowed"
        }
    };
    admin.ask.catch_up().await;
    let next = format!("{}?done={done}", account_path(account.id));
    Ok(Redirect::to(&next).into_response())
}

async fn named(admin: &Administrator, id: &str) -> Result<Account, AdminError> {
    match AccountId::parse(id) {
        Some(id) => find_account(&admin.ask.core, &id.to_string()).await,
        None => Err(AdminError::NoAccount(id.to_owned())),
    }
}

fn account_path(id: AccountId) -> String {
    format!("/.gatehouse/admin/accounts/{id}")
}
