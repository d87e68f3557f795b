//! What `--help` and the manual say beyond the options: what a command does to a running server, and examples, each of
//! which a test has the command line accept.

use clap::Command;

/// More about one command.
pub(super) struct Page {
    /// Its words after `gatehouse`; none for the whole.
    pub(super) command: &'static str,
    /// What it does, and to whom.
    pub(super) more: &'static str,
    /// What somebody types, and what comes of it.
    pub(super) examples: &'static [(&'static str, &'static str)],
}

/// What the exit codes say, of every command.
pub(super) const EXIT_STATUS: [(&str, &str); 3] = [
    ("0", "It is done."),
    (
        "1",
        "It could not be done; standard error says why, and what to do next.",
    ),
    (
        "2",
        "The command line or the configuration is wrong; nothing was done.",
    ),
];

const BESIDE: &str = "It works on the store beside a running server, which follows it within a second; no server has to run.";

/// Every command.
pub(super) const PAGES: &[Page] = &[
    Page {
        command: "",
        more: "It meets every request that has no session with its own sign-in page, issues a signed\n\
               session cookie, holds each request to what its route asks for, and forwards the rest\n\
               with identity headers.\n\n\
               Begin with `gatehouse demo`, which needs nothing. Then write a configuration, ask\n\
               `gatehouse check` about it, and `gatehouse serve`. Commands about accounts, sessions and\n\
               keys work beside a running server on the same store and take effect within a second.",
        examples: &[
            ("gatehouse demo", "Try it."),
            (
                "gatehouse check --config /etc/gatehouse/gatehouse.toml",
                "Every problem at once.",
            ),
            (
                "gatehouse serve --config /etc/gatehouse/gatehouse.toml",
                "Run it.",
            ),
        ],
    },
    Page {
        command: "demo",
        more: "It keeps everything in a temporary folder, prints where to click, and removes the folder\n\
               when it ends. It reads no configuration.",
        examples: &[(
            "gatehouse demo --port 9000",
            "With the gateway on http://localhost:9000.",
        )],
    },
    Page {
        command: "serve",
        more: "It prints `listening on ADDRESS` for each listener, also where port 0 picked one, and logs\n\
               to standard error. SIGTERM and SIGINT stop it: it takes no new connections and ends when\n\
               requests in flight have. SIGHUP has it read its configuration again; one that cannot be\n\
               used leaves the one in force. SIGUSR2 starts a new process on the same listeners.\n\n\
               GATEHOUSE_LOG sets what is logged, such as `info` or `warn,access=info`.",
        examples: &[
            ("gatehouse serve --config gatehouse.toml", "Run it."),
            ("gatehouse serve --log text", "With log lines for people."),
            (
                "gatehouse serve --shadow candidate.toml",
                "Try out candidate.toml: `shadow` in the access log says what it would change.",
            ),
        ],
    },
    Page {
        command: "check",
        more: "It reads the configuration and every file that it names, and changes nothing. Warnings are\n\
               about what works and is probably not meant; with errors it exits with 2 and the\n\
               configuration is refused by `serve` and at a reload too.",
        examples: &[
            ("gatehouse check", "Problems of gatehouse.toml, one a line."),
            (
                "gatehouse check --json",
                "The same for a program, such as a deployment pipeline.",
            ),
        ],
    },
    Page {
        command: "explain",
        more: "It asks the very function that the server runs, and needs neither a server nor the store.\n\
               Where routes have `report_only`, it says what would be decided with them enforced too.",
        examples: &[
            (
                "gatehouse explain GET https://app.example.com/",
                "For every kind of session.",
            ),
            (
                "gatehouse explain POST https://app.example.com/transfer --session full,step_up:2m",
                "For a full session, and for one stepped up two minutes ago.",
            ),
            (
                "gatehouse explain GET https://app.example.com/admin --email ann@example.com --groups staff",
                "For this person in these groups.",
            ),
        ],
    },
    Page {
        command: "account",
        more: BESIDE,
        examples: &[("gatehouse account list", "Who there is.")],
    },
    Page {
        command: "account invite",
        more: "Whoever opens the link saves the account's first passkey. A new link takes the place of\n\
               older ones. Accounts that have had a passkey are not invited again: they get a recovery\n\
               link (`gatehouse recovery issue`). Audited.",
        examples: &[
            (
                "gatehouse account invite --email ann@example.com --login ann --group staff",
                "Print a link for Ann.",
            ),
            (
                "gatehouse account invite --email ann@example.com --mail",
                "Mail it to her as well.",
            ),
        ],
    },
    Page {
        command: "account list",
        more: "One line each: id, state, login name, groups.",
        examples: &[(
            "gatehouse account list --find ann --json",
            "Those that `ann` finds, for a program.",
        )],
    },
    Page {
        command: "account show",
        more: "What is shown first when somebody cannot sign in: which passkeys they have, whether one\n\
               waits or was stopped, how many backup codes are left, what happened last.",
        examples: &[("gatehouse account show ann@example.com", "All of Ann's.")],
    },
    Page {
        command: "account disable",
        more: "Takes effect within a second on every node: its sessions end and what it has open is cut.\n\
               Audited.",
        examples: &[(
            "gatehouse account disable ann@example.com --admin root",
            "Lock Ann out.",
        )],
    },
    Page {
        command: "account enable",
        more: "Sessions that were ended stay so. Audited.",
        examples: &[(
            "gatehouse account enable ann@example.com --admin root",
            "Let Ann in again.",
        )],
    },
    Page {
        command: "account delete",
        more: "For good; within a second nothing opens it any more. Audited.",
        examples: &[(
            "gatehouse account delete ann@example.com --admin root",
            "Forget Ann.",
        )],
    },
    Page {
        command: "account passkey",
        more: BESIDE,
        examples: &[(
            "gatehouse account show ann@example.com",
            "Which passkeys there are.",
        )],
    },
    Page {
        command: "account passkey remove",
        more: "Sessions that it opened end within a second on every node. The person is told by mail.\n\
               Audited.",
        examples: &[(
            "gatehouse account passkey remove --account ann@example.com --credential 5SbqzVDh8tQ --admin root",
            "Remove one of Ann's passkeys.",
        )],
    },
    Page {
        command: "recovery",
        more: BESIDE,
        examples: &[("gatehouse recovery list", "What is open.")],
    },
    Page {
        command: "recovery issue",
        more: "First make sure who asks, by a way that you had before, such as a number to call back. The\n\
               link works once, for `admin.recovery_lifespan`, and a newer one takes its place. Where\n\
               `admin.recovery_approvals = 2`, it waits for `recovery approve`. The person is told by mail.\n\
               Audited.",
        examples: &[(
            "gatehouse recovery issue --account ann@example.com --admin root --reason \"lost-device: phone stolen\"",
            "Print a link for Ann, or ask for one.",
        )],
    },
    Page {
        command: "recovery approve",
        more: "Only by another administrator than the one who asked. Audited.",
        examples: &[(
            "gatehouse recovery approve --request 018f2f6c-9f3b-4a4e-8a57-0c3b7f0e6a11 --admin eve",
            "Agree to it.",
        )],
    },
    Page {
        command: "recovery link",
        more: "Once, for the administrator who asked. Audited.",
        examples: &[(
            "gatehouse recovery link --request 018f2f6c-9f3b-4a4e-8a57-0c3b7f0e6a11 --admin root",
            "Print the link.",
        )],
    },
    Page {
        command: "recovery allow",
        more: "\"This was not me\" closes recovery by mail and codes until the person, or you, opens it\n\
               again: do so when you have made sure that the mailbox is the person's own. Audited.",
        examples: &[(
            "gatehouse recovery allow --account ann@example.com --admin root",
            "Open it again for Ann.",
        )],
    },
    Page {
        command: "recovery list",
        more: "One line each: id, account, reason, who asked, whether it is approved, until when.",
        examples: &[("gatehouse recovery list --json", "For a program.")],
    },
    Page {
        command: "session",
        more: BESIDE,
        examples: &[("gatehouse session list", "Who is signed in.")],
    },
    Page {
        command: "session issue",
        more: "The session is as good as one of the person's own: treat what is printed as a password.\n\
               Audited.",
        examples: &[(
            "gatehouse session issue --account probe@example.com --access full --ttl 10m",
            "A header for curl, for ten minutes.",
        )],
    },
    Page {
        command: "session list",
        more: "Those of one sign-in are one line, with the hosts that they are on.",
        examples: &[(
            "gatehouse session list --account ann@example.com",
            "Where Ann is signed in.",
        )],
    },
    Page {
        command: "session revoke",
        more: "Takes effect within a second on every node; WebSockets, event streams and long downloads\n\
               are cut within two. Audited.",
        examples: &[
            (
                "gatehouse session revoke --account ann@example.com",
                "Sign Ann out everywhere.",
            ),
            (
                "gatehouse session revoke --all --admin root",
                "Sign everybody out.",
            ),
        ],
    },
    Page {
        command: "key",
        more: BESIDE,
        examples: &[("gatehouse key list", "Which keys there are.")],
    },
    Page {
        command: "key rotate",
        more: "Nobody is signed out. To end what an old key signed, revoke the sessions.",
        examples: &[
            (
                "gatehouse key rotate --admin root",
                "A new key for session tokens.",
            ),
            (
                "gatehouse key rotate --kind assertion",
                "A new key for what apps are told.",
            ),
        ],
    },
    Page {
        command: "key list",
        more: "The keys themselves are never shown.",
        examples: &[(
            "gatehouse key list --kind session",
            "Those of session tokens.",
        )],
    },
    Page {
        command: "completions",
        more: "It reads no configuration. Source what it prints, or put it where the shell looks.",
        examples: &[
            (
                "gatehouse completions bash > /usr/share/bash-completion/completions/gatehouse",
                "For bash, for everybody.",
            ),
            (
                "gatehouse completions fish > ~/.config/fish/completions/gatehouse.fish",
                "For fish, for you.",
            ),
        ],
    },
    Page {
        command: "man",
        more: "It reads no configuration. Without DIR the main page is printed, for `man -l -`.",
        examples: &[
            (
                "gatehouse man /usr/local/share/man/man1",
                "One page for each command.",
            ),
            ("gatehouse man | man -l -", "Read the main page now."),
        ],
    },
];

/// More about a command, by its words after `gatehouse`.
pub(super) fn page(command: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.command == command)
}

/// The command line with all of it in `--help`.
pub(super) fn described(command: Command) -> Command {
    describe(command, "", &|page, command: Command| {
        let example = |(line, does): &(&str, &str)| format!("  {line}\n      {does}\n");
        let examples: String = page.examples.iter().map(example).collect();
        let codes = EXIT_STATUS
            .map(|(code, says)| format!("  {code}  {says}\n"))
            .concat();
        command.after_long_help(format!(
            "Examples:\n{examples}\nExit status:\n{}",
            codes.trim_end()
        ))
    })
}

/// The same without what the manual has in sections of its own.
pub(super) fn for_the_manual(command: Command) -> Command {
    describe(command, "", &|_, command| command)
}

fn describe(command: Command, path: &str, more: &dyn Fn(&Page, Command) -> Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let command = names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |command| describe(command, path.trim_start(), more))
    });
    let Some(page) = page(path) else {
        return command;
    };
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let about = about.trim_end_matches('.');
    more(
        page,
        command.long_about(format!("{about}.\n\n{}", page.more)),
    )
}
