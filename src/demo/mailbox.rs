//! The local mailbox: shows the mails that the folder transport wrote, newest first.
//!
//! It serves whoever can reach its listener, so it belongs on loopback. Mails are shown as text; their HTML
//! is offered in a sandboxed frame. Start with [`serve`].

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use askama::Template;
use axum::{
    Router,
    extract::{Path as Segment, State},
    http::{
        HeaderName, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};
use mail_parser::MessageParser;
use tokio::{net::TcpListener, sync::watch};

/// Serves the mails in `folder` until `stop` holds `true` or its sender is gone.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    folder: PathBuf,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    axum::serve(listener, router(folder))
        .with_graceful_shutdown(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
}

/// The pages over one folder, which need not exist yet.
pub fn router(folder: PathBuf) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/newest", get(newest))
        .route("/mail/{name}", get(show))
        .route("/mail/{name}/html", get(show_html))
        .route("/static/app.css", get(stylesheet))
        .route("/static/mailbox.js", get(script))
        .with_state(Folder(folder.into()))
}

#[derive(Clone)]
struct Folder(Arc<Path>);

/// The name of a mail's file. It holds no separator and no leading dot, so it stays in the folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct FileName(String);

impl FileName {
    fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix(".eml")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (!stem.is_empty() && stem.bytes().all(plain)).then(|| Self(text.to_owned()))
    }
}

impl Folder {
    /// Newest first: the names sort by arrival.
    async fn names(&self) -> io::Result<Vec<FileName>> {
        let mut entries = match tokio::fs::read_dir(&self.0).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            names.extend(entry.file_name().to_str().and_then(FileName::parse));
        }
        names.sort_by(|one, other| other.cmp(one));
        names.truncate(MAX_LISTED);
        Ok(names)
    }

    /// `None` when there is no such mail or it does not read as one.
    async fn mail(&self, name: &FileName) -> io::Result<Option<Mail>> {
        match tokio::fs::read(self.0.join(&name.0)).await {
            Ok(bytes) => Ok(Mail::parse(name, &bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

const MAX_LISTED: usize = 50;

/// A mail as far as it is shown.
struct Mail {
    name: String,
    subject: String,
    to: String,
    date: String,
    lines: Vec<Vec<Piece>>,
    html: Option<String>,
}

impl Mail {
    fn parse(name: &FileName, bytes: &[u8]) -> Option<Self> {
        let mail = MessageParser::default().parse(bytes)?;
        let to = mail
            .to()
            .and_then(|to| to.first())
            .and_then(|to| to.address());
        Some(Self {
            name: name.0.clone(),
            subject: mail.subject().unwrap_or("(no subject)").to_owned(),
            to: to.unwrap_or_default().to_owned(),
            date: mail
                .date()
                .map(|date| date.to_rfc3339())
                .unwrap_or_default(),
            lines: mail
                .body_text(0)
                .unwrap_or_default()
                .lines()
                .map(pieces)
                .collect(),
            html: mail.body_html(0).map(|html| html.into_owned()),
        })
    }
}

/// Part of a line of text.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Link(String),
}

/// A line cut at its spaces into words and web addresses.
fn pieces(line: &str) -> Vec<Piece> {
    line.split_inclusive(char::is_whitespace)
        .map(|word| match web_address(word.trim_end()) {
            Some(address) => Piece::Link(address),
            None => Piece::Words(word.to_owned()),
        })
        .collect()
}

fn web_address(word: &str) -> Option<String> {
    let web = word.starts_with("http://") || word.starts_with("https://");
    (web && url::Url::parse(word).is_ok()).then(|| word.to_owned())
}

#[derive(Template)]
#[template(path = "demo_mailbox.html")]
struct MailboxPage {
    newest: String,
    mails: Vec<Mail>,
}

#[derive(Template)]
#[template(path = "demo_mail.html")]
struct MailPage {
    mail: Mail,
}

async fn list(State(folder): State<Folder>) -> Result<Response, Failure> {
    let names = folder.names().await?;
    let mut mails = Vec::new();
    for name in &names {
        mails.extend(folder.mail(name).await?);
    }
    let newest = newest_of(names);
    page(&MailboxPage { newest, mails })
}

/// What the script of the list compares to learn of new mail.
async fn newest(State(folder): State<Folder>) -> Result<Response, Failure> {
    let newest = newest_of(folder.names().await?);
    Ok(([(CACHE_CONTROL, "no-store")], newest).into_response())
}

fn newest_of(names: Vec<FileName>) -> String {
    names
        .into_iter()
        .next()
        .map(|name| name.0)
        .unwrap_or_default()
}

async fn show(
    State(folder): State<Folder>,
    Segment(name): Segment<String>,
) -> Result<Response, Failure> {
    let mail = find(&folder, &name).await?;
    page(&MailPage { mail })
}

async fn show_html(
    State(folder): State<Folder>,
    Segment(name): Segment<String>,
) -> Result<Response, Failure> {
    let html = find(&folder, &name)
        .await?
        .html
        .ok_or(Failure::NoSuchMail)?;
    let head = [
        // Also when opened outside the frame: no script, no form, nothing loaded, an origin of its own.
        (
            CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        ),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    Ok((head, Html(html)).into_response())
}

async fn find(folder: &Folder, name: &str) -> Result<Mail, Failure> {
    let name = FileName::parse(name).ok_or(Failure::NoSuchMail)?;
    folder.mail(&name).await?.ok_or(Failure::NoSuchMail)
}

async fn stylesheet() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("app.css"),
    )
}

async fn script() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/javascript; charset=utf-8")],
        include_str!("mailbox.js"),
    )
}

fn page(template: &impl Template) -> Result<Response, Failure> {
    let html = template.render().map_err(io::Error::other)?;
    Ok((PAGE_HEADERS, Html(html)).into_response())
}

const PAGE_HEADERS: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // The links in mails are secrets.
    (REFERRER_POLICY, "no-referrer"),
];

/// A page that cannot be shown.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("There is no such mail.")]
    NoSuchMail,
    #[error("The mail folder cannot be read.")]
    Folder(#[from] io::Error),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchMail => StatusCode::NOT_FOUND,
            Self::Folder(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{HeaderMap, Request},
    };
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    const MAIL: &str = "From: a@example.com\r\nTo: ann@example.com\r\nSubject: <i>1234</i>\r\n\
        Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
        Open <b>this</b>:\r\nhttp://localhost:8080/.gatehouse/sign-in/email?t=a&b=\"1\"\r\n\
        or javascript:alert(1)\r\n\
        --x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<script>alert(1)</script>\r\n--x--\r\n";

    async fn get_page(folder: &Path, path: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(folder.to_owned()).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            head.status,
            head.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn mails_are_listed_newest_first_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        for (name, subject) in [
            ("1-a.eml", "older"),
            ("2-b.eml", "newer"),
            (".3-c.eml.tmp", "unfinished"),
            ("x.txt", "text"),
        ] {
            std::fs::write(
                folder.path().join(name),
                format!("Subject: {subject}\r\n\r\nHello\r\n"),
            )
            .unwrap();
        }
        let (status, _, html) = get_page(folder.path(), "/").await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.find("newer").unwrap() < html.find("older").unwrap());
        assert!(!html.contains("unfinished") && !html.contains("x.txt"));
        let (_, _, newest) = get_page(folder.path(), "/newest").await;
        assert_eq!(newest, "2-b.eml");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_yet_is_an_empty_mailbox() {
        let parent = tempfile::tempdir().unwrap();
        let (status, _, html) = get_page(&parent.path().join("mailbox"), "/").await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("No mail yet"));
    }

    #[tokio::test]
    async fn a_mail_is_shown_as_escaped_text_with_its_link() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1-a.eml"), MAIL).unwrap();
        for path in ["/", "/mail/1-a.eml"] {
            let (status, _, html) = get_page(folder.path(), path).await;
            assert_eq!(status, StatusCode::OK);
            assert!(
                html.contains("&#60;i&#62;1234") && !html.contains("<i>1234"),
                "{path}"
            );
            assert!(
                !html.contains("<b>this") && !html.contains("<script>alert"),
                "{path}"
            );
            let href =
                "href=\"http://localhost:8080/.gatehouse/sign-in/email?t=a&#38;b=&#34;1&#34;\"";
            assert!(html.contains(href), "{path}");
            assert!(!html.contains("href=\"javascript"), "{path}");
        }
    }

    #[tokio::test]
    async fn the_html_of_a_mail_is_sandboxed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1-a.eml"), MAIL).unwrap();
        let (status, headers, _) = get_page(folder.path(), "/mail/1-a.eml/html").await;
        assert_eq!(status, StatusCode::OK);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("sandbox; default-src 'none'"));
        let (_, _, page) = get_page(folder.path(), "/mail/1-a.eml").await;
        assert!(page.contains("<iframe sandbox=\"\""));
    }

    #[tokio::test]
    async fn no_name_leads_out_of_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("mailbox");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(parent.path().join("secret.eml"), MAIL).unwrap();
        std::fs::write(folder.join(".hidden.eml"), MAIL).unwrap();
        for path in [
            "/mail/..%2Fsecret.eml",
            "/mail/%2e%2e%2fsecret.eml",
            "/mail/../secret.eml",
            "/mail/..%5Csecret.eml",
            "/mail/.hidden.eml",
            "/mail/.eml",
            "/mail/secret.eml%00",
            "/mail/%2Fetc%2Fpasswd",
            "/mail/%FF.eml",
            "/mail/missing.eml",
        ] {
            let (status, _, body) = get_page(&folder, path).await;
            assert!(status.is_client_error(), "{path} {status}");
            assert!(!body.contains("1234"), "{path}");
        }
    }
}
