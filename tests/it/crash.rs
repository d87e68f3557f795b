//! The gateway dies between "spent" and "answered": nothing is spent twice, and nobody is left without a word.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::{
    harness::{Gateway, Person, page::Reply, process::Process},
    pairing,
};

const ANN: &str = "ann@example.com";
const AT_ONCE: usize = 50;

/// A proof as its person holds it: the page with the button, and what the button sends.
struct Proof {
    person: Arc<Person>,
    page: Arc<Reply>,
    action: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Proof {
    /// Presses the button many times at once.
    fn press(&self) -> JoinSet<Option<Reply>> {
        let mut presses = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (person, page) = (Arc::clone(&self.person), Arc::clone(&self.page));
            let (action, fields) = (self.action, self.fields.clone());
            presses.spawn(async move {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                person.try_submit(&page, action, &fields).await
            });
        }
        presses
    }

    /// Presses it once, of a gateway that runs.
    async fn press_once(&self) -> Reply {
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.person.submit(&self.page, self.action, &fields).await
    }
}

/// Waits for the first that was more than told to wait.
async fn first_decided(presses: &mut JoinSet<Option<Reply>>) {
    while let Some(answer) = presses.join_next().await {
        if answer.unwrap().is_some_and(|answer| answer.status != 429) {
            return;
        }
    }
}

/// Kills the gateway while many redemptions are on their way, and again as soon as one was decided.
async fn survives(gateway: &mut Gateway, proof: &Proof, method: &str) {
    gateway.stop().await;
    let before = sessions_by(gateway, method);

    // Killed while the requests are on their way: the proof is spent with its session, or not at all.
    let process = Process::serve(&gateway.config);
    let presses = proof.press();
    process.kill();
    let answers = presses.join_all().await;
    let begun = answers
        .iter()
        .flatten()
        .filter(|reply| reply.session_cookie().is_some())
        .count();
    let stored = sessions_by(gateway, method) - before;
    assert!(begun <= stored && stored <= 1, "{begun} of {stored}");

    // Whatever became of it, now it is used exactly once, and the next one is told what to do.
    let process = Process::serve(&gateway.config);
    let mut presses = proof.press();
    first_decided(&mut presses).await;
    process.kill();
    presses.join_all().await;
    assert_eq!(sessions_by(gateway, method) - before, 1);

    let process = Process::serve(&gateway.config);
    let refused = proof.press_once().await;
    assert!(refused.session_cookie().is_none());
    assert!(
        refused.status == 410 || refused.status == 422,
        "{}: {}",
        refused.status,
        refused.text()
    );
    let told = refused.text();
    assert!(told.contains("href=") || told.contains("<form"), "{told}");
    assert_eq!(sessions_by(gateway, method) - before, 1);
    process.kill();
}

/// Sessions that began by a method, at the command line beside whatever runs.
fn sessions_by(gateway: &Gateway, method: &str) -> usize {
    let listed = gateway.command(&["session", "list", "--account", ANN, "--json"]);
    let sessions = listed.json();
    let sessions = sessions.as_array().expect("a list");
    sessions
        .iter()
        .filter(|session| session["method"] == method)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mails_link_gives_one_session_across_a_kill() {
    let mut gateway = Gateway::start().await;
    gateway.invite(ANN, &[]);
    let ann = gateway.person();
    ann.ask_for_mail(ANN, "/").await;
    let mail = gateway.mailbox.next(ANN).await;
    let page = ann.open_link(&mail.link()).await;
    let proof = Proof {
        fields: vec![("token", page.input("token").expect("a button"))],
        action: "/.gatehouse/sign-in/link",
        person: Arc::new(ann),
        page: Arc::new(page),
    };
    survives(&mut gateway, &proof, "email").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_code_gives_one_session_across_a_kill() {
    let mut gateway = Gateway::start().await;
    let ann = gateway.enrolled(ANN).await;
    let code = ann.make_backup_codes().await.remove(0);
    let back = gateway.person();
    let page = back.open("/.gatehouse/recover/code").await;
    let proof = Proof {
        fields: vec![
            ("name", ANN.to_owned()),
            ("code", code),
            ("return_to", "/".to_owned()),
        ],
        action: "/.gatehouse/recover/code",
        person: Arc::new(back),
        page: Arc::new(page),
    };
    survives(&mut gateway, &proof, "backup_code").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_link_gives_one_session_across_a_kill() {
    let mut gateway = Gateway::start().await;
    gateway.enrolled(ANN).await;
    let link = gateway.recovery_link(ANN);
    let back = gateway.person();
    let page = back.open(&link).await;
    let proof = Proof {
        fields: vec![("token", page.input("token").expect("a button"))],
        action: "/.gatehouse/recover/link",
        person: Arc::new(back),
        page: Arc::new(page),
    };
    survives(&mut gateway, &proof, "recovery").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_pairing_gives_one_session_across_a_kill() {
    let mut gateway = Gateway::start().await;
    let mut ann = gateway.enrolled(ANN).await;
    let laptop = gateway.person();
    pairing::approved(&mut ann, &laptop).await;
    let page = laptop.open("/.gatehouse/pair").await;
    let proof = Proof {
        fields: Vec::new(),
        action: "/.gatehouse/pair/finish",
        person: Arc::new(laptop),
        page: Arc::new(page),
    };
    survives(&mut gateway, &proof, "pairing").await;
}
