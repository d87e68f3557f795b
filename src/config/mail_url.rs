//! `mail.url`: which server takes the mail, and how the way to it is protected.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use percent_encoding::percent_decode_str;
use url::Url;

use super::compiled::{MailTransport, SmtpSecurity};

/// What `mail.url` accepts.
pub(super) const ACCEPTED: &str = "\"smtp://USER:PASSWORD@HOST:587?tls=starttls\", \"smtps://USER:PASSWORD@HOST:465\" \
     or \"file:FOLDER\"; also \"env:NAME\" or \"file:PATH\" of a file that holds one of these";

/// Reads a URL; relative paths in it are below `folder`.
///
/// # Errors
/// A sentence that repeats nothing of the URL, which may hold a password.
pub(super) fn parse(text: &str, folder: &Path) -> Result<MailTransport, String> {
    if let Some(path) = text.strip_prefix("file:") {
        return Ok(MailTransport::Folder(folder.join(path)));
    }
    let url = Url::parse(text).map_err(|_| "not a mail URL".to_owned())?;
    let implicit = match url.scheme() {
        "smtp" => false,
        "smtps" => true,
        _ => return Err("not a mail URL".to_owned()),
    };
    let host = host(&url)?;
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err("a mail URL has no path and no fragment".to_owned());
    }
    let options = Options::read(&url, folder)?;
    let security = options.security(implicit, &host)?;
    Ok(MailTransport::Smtp {
        port: url.port().unwrap_or(if implicit { 465 } else { 587 }),
        credentials: credentials(&url)?,
        ca: options.ca,
        host,
        security,
    })
}

fn host(url: &Url) -> Result<String, String> {
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or("the host is missing")?;
    Ok(host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned())
}

/// What follows the question mark.
#[derive(Default)]
struct Options {
    tls: Option<Tls>,
    ca: Option<PathBuf>,
}

enum Tls {
    StartTls,
    None,
}

impl Options {
    fn read(url: &Url, folder: &Path) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("tls", "starttls") => options.tls = Some(Tls::StartTls),
                ("tls", "none") => options.tls = Some(Tls::None),
                ("tls", _) => return Err("`tls` is \"starttls\" or \"none\"".to_owned()),
                ("ca", "") => return Err("`ca` is the path of a PEM file".to_owned()),
                ("ca", path) => options.ca = Some(folder.join(path)),
                _ => {
                    return Err(
                        "only the options `tls` and `ca` may follow the question mark".to_owned(),
                    );
                }
            }
        }
        match &options.ca {
            Some(ca) if !ca.is_file() => Err(format!("`ca`: {} is not a file", ca.display())),
            Some(_) | None => Ok(options),
        }
    }

    fn security(&self, implicit: bool, host: &str) -> Result<SmtpSecurity, String> {
        match (implicit, &self.tls) {
            (true, None) => Ok(SmtpSecurity::Implicit),
            (true, Some(_)) => {
                Err("smtps is TLS from the first byte and takes no `tls`".to_owned())
            }
            (false, None | Some(Tls::StartTls)) => Ok(SmtpSecurity::StartTls),
            (false, Some(Tls::None)) if is_loopback(host) => Ok(SmtpSecurity::Plain),
            // Sign-in links would cross a network in clear.
            (false, Some(Tls::None)) => {
                Err("`tls=none` is for loopback addresses alone".to_owned())
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

fn credentials(url: &Url) -> Result<Option<(String, String)>, String> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (_, None) | ("", Some(_)) => Err("user and password belong together".to_owned()),
        (user, Some(password)) => Ok(Some((decoded(user)?, decoded(password)?))),
    }
}

fn decoded(text: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| "user or password is not UTF-8 when percent-decoded".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_its_port_protection_and_credentials_are_read() {
        use SmtpSecurity::{Implicit, Plain, StartTls};
        for (text, expected_host, expected_port, expected_security) in [
            ("smtp://mail.example.com", "mail.example.com", 587, StartTls),
            ("smtp://mail:25?tls=starttls", "mail", 25, StartTls),
            ("smtps://mail/", "mail", 465, Implicit),
            ("smtp://127.0.0.1:2525?tls=none", "127.0.0.1", 2525, Plain),
            ("smtp://[::1]:2525?tls=none", "::1", 2525, Plain),
        ] {
            let Ok(MailTransport::Smtp {
                host,
                port,
                security,
                ..
            }) = parse(text, Path::new(""))
            else {
                panic!("{text}");
            };
            assert_eq!(
                (host.as_str(), port, security),
                (expected_host, expected_port, expected_security)
            );
        }
    }

    #[test]
    fn credentials_are_percent_decoded() {
        let Ok(MailTransport::Smtp { credentials, .. }) =
            parse("smtp://a%40b:p%3Aw%2F@mail", Path::new(""))
        else {
            panic!();
        };
        assert_eq!(credentials, Some(("a@b".to_owned(), "p:w/".to_owned())));
    }

    #[test]
    fn a_folder_is_beside_the_configuration() {
        let Ok(MailTransport::Folder(folder)) = parse("file:mail", Path::new("/etc/x")) else {
            panic!();
        };
        assert_eq!(folder, Path::new("/etc/x/mail"));
    }

    #[test]
    fn the_rest_is_refused_without_repeating_it() {
        for text in [
            "mail.example.com",
            "http://secretword@mail",
            "smtp://",
            "smtp://mail/path",
            "smtp://secretword@mail",
            "smtp://u:secretword@mail?tls=none",
            "smtp://u:secretword@mail?tls=off",
            "smtps://mail?tls=starttls",
            "smtp://mail?user=secretword",
            "smtp://mail?ca=/nowhere.pem",
            "smtp://u:%ffsecretword@mail",
        ] {
            let refusal = parse(text, Path::new("")).unwrap_err();
            assert!(!refusal.contains("secretword"), "{text}: {refusal}");
        }
    }
}
