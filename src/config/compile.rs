//! From the file as written to the [`Config`] the program runs on: references resolved, files read, rules
//! between keys checked. What is wrong is noted, and the rest is looked at all the same.

mod app_credentials;
mod deliveries;
mod door;
#[cfg(test)]
mod fixture;
mod forward_auth;
mod header_edits;
mod hold;
mod identity;
mod live;
mod log;
mod origins;
mod people;
mod routes;
mod secret;
mod server;
mod site;
mod traces;
mod upstreams;

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use super::{
    Config,
    compiled::StoreLocation,
    file::{File, StoreUrl},
    files::Files,
    findings::Findings,
};

/// What a file refers to.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    /// Where relative paths start.
    folder: &'a Path,
    /// The environment.
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// What is read is noted here.
    files: &'a RefCell<Files>,
}

impl Surroundings<'_> {
    /// A file that is about to be read.
    fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        let file = self.folder.join(path);
        self.files.borrow_mut().note(&file);
        file
    }
}

/// `None` only after an error was noted.
pub(super) fn compile(
    file: &File,
    path: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
    files: &RefCell<Files>,
    findings: &mut Findings<'_>,
) -> Option<Config> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let around = Surroundings {
        folder,
        variable,
        files,
    };
    let store = store_path(file, folder);
    let listen = server::listen(&file.server, findings);
    let tls = server::tls(&file.server, around, findings);
    let secret = server::secret(&file.server, &store, around, findings);
    let relying_party = site::relying_party(file, findings);
    let branding = site::branding(&file.relying_party, around, findings);
    let mail = people::mail(file, around, findings);
    let session = people::session(&file.session, findings);
    let methods = people::methods(file, findings);
    let enrolment = people::enrolment(file, &methods, findings);
    let upstreams = upstreams::all(file, around, findings);
    let (routes, report_only) = routes::tables(file, findings).unzip();
    let identity = identity::identity(&file.identity, findings);
    let deliveries = identity
        .as_ref()
        .and_then(|identity| deliveries::all(file, identity, around, findings));
    let log = log::log(&file.log, around, findings);
    let traces = traces::traces(file.traces.as_ref(), around, findings);
    let door = door::door(file, relying_party.as_ref(), around, findings);
    let hold = hold::hold(&file.hold, findings);
    if let Some(relying_party) = &relying_party {
        origins::warn_of_hosts_without_sign_in(file, relying_party, findings);
    }
    if let Some(tls) = &tls {
        origins::warn_of_missing_certificate(file, tls, findings);
    }
    Some(Config {
        file: path.to_owned(),
        listen: listen?,
        tls: tls?,
        secret: secret?,
        branding: branding?,
        relying_party: relying_party?,
        store: StoreLocation::Sqlite(store),
        mail: mail?,
        session,
        methods,
        enrolment: enrolment?,
        admin: people::admin(&file.admin, findings),
        identity: identity?,
        upstreams: upstreams?,
        routes: routes?,
        deliveries: deliveries?,
        door: door?,
        report_only: report_only?,
        hold: hold?,
        log: log?,
        traces: traces?,
    })
}

fn store_path(file: &File, folder: &Path) -> PathBuf {
    match &file.store.url.value {
        StoreUrl::Sqlite(path) => folder.join(path),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::fixture::config;
    use crate::{config::SecretSource, email_address::EmailAddress, policy::route::Access};

    #[test]
    fn what_is_not_said_is_the_safe_choice() {
        let config = config("");
        assert_eq!(config.listen, ["127.0.0.1:8443".parse().unwrap()]);
        assert!(config.tls.is_empty() && config.mail.is_none() && config.methods.email.is_none());
        assert_eq!(config.relying_party.name, "example.com");
        assert_eq!(
            config.relying_party.origins[0].as_str(),
            "https://app.example.com"
        );
        assert_eq!(config.session.idle, Duration::from_hours(1));
        assert!(
            !config
                .enrolment
                .mode
                .admits(&EmailAddress::parse("a@b.c").unwrap())
        );
        let route = &config.routes.routes()[0];
        assert_eq!(
            (route.access, route.path.as_str(), route.line),
            (Access::Full, "/*", 7)
        );
        let SecretSource::Generated(path) = &config.secret else {
            panic!("{:?}", config.secret);
        };
        assert!(path.ends_with("gatehouse.db.secret") && path.is_absolute());
    }

    #[test]
    fn what_is_said_is_taken() {
        let config = config(
            "server.secret = \"env:LONG\"\nsession.lifetime = \"30m\"\n\
             mail = { url = \"smtp://u:p@mail\", from = \"Ex <a@example.com>\" }\n\
             enrolment = { mode = \"domains\", domains = [\"Example.COM\"] }\n\
             identity.headers = [\"x-auth-request\", \"x-auth-request\"]",
        );
        assert!(matches!(config.secret, SecretSource::Given(_)));
        assert_eq!(config.session.idle, Duration::from_mins(30));
        assert_eq!(
            config.methods.email.unwrap().lifespan,
            Duration::from_mins(15)
        );
        assert!(
            config
                .enrolment
                .mode
                .admits(&EmailAddress::parse("a@example.com").unwrap())
        );
        assert_eq!(config.identity.presets.len(), 1);
    }
}
