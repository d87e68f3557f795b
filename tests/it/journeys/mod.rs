//! What people live through, in a real browser with a virtual authenticator. One journey per promise.

mod accessibility;
mod administration;
mod backup_codes;
mod email;
mod forward_auth;
mod held;
mod hosts;
mod legacy;
mod loss;
mod not_me;
mod pairing;
mod passkey;
mod recovery;
mod session;

use crate::harness::{Gateway, gateway::Setup, upstream::Answer};

const ANN: &str = "ann@example.com";

/// An app with something of every kind: notes to read, a transfer to make, an admin's list.
async fn app() -> Gateway {
    furnished(Gateway::start()).await
}

async fn furnished(setup: Setup) -> Gateway {
    let gateway = setup.await;
    for (target, page) in [
        ("/", page("Home", "<a href='/notes'>Notes</a>")),
        ("/notes", page("Notes", "<p>Buy milk.</p>")),
        ("/report?year=2025", page("Report of 2025", "")),
        (
            "/transfer",
            page(
                "Transfer",
                "<form method='post' action='/transfer/done'><button>Transfer</button></form>",
            ),
        ),
        ("/transfer/done", page("Transferred", "")),
        ("/admin/users", page("All users", "")),
    ] {
        gateway.upstream.answer(target, Answer::Page(page));
    }
    gateway
}

fn page(heading: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang='en'><title>{heading}</title><h1>{heading}</h1>{body}</html>"
    )
}

/// The whole link that the operator got for `email`.
fn invitation_link(gateway: &Gateway, email: &str) -> String {
    format!(
        "{}/.gatehouse/enrol?invitation={}",
        gateway.origin,
        gateway.invite(email, &[])
    )
}
