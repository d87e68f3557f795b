//! The sample app: notes, a money transfer, an admin page, a JSON endpoint and a page of the headers it got.
//!
//! It is as legacy apps are: it believes the `Remote-User` header and checks nobody. What it holds is in
//! memory and bounded. Start with [`serve`].

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use askama::Template;
use axum::{
    Form, Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch};

/// Serves the app until `stop` holds `true` or its sender is gone.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    axum::serve(listener, router())
        .with_graceful_shutdown(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
}

/// The app with nothing written in it yet.
pub fn router() -> Router {
    Router::new()
        .route("/", get(home))
        .route("/notes", get(notes).post(add_note))
        .route("/transfer", get(transfers).post(transfer))
        .route("/admin", get(admin))
        .route("/admin/clear-notes", post(clear_notes))
        .route("/headers", get(headers))
        .route("/api/quotes", get(quotes))
        .route("/static/app.css", get(stylesheet))
        .route("/static/app.js", get(script))
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(16 * 1024))
        .with_state(Books::default())
}

/// What the app has been told.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    notes: VecDeque<Note>,
    transfers: VecDeque<Transfer>,
}

/// Kept of each kind; older ones make room.
const MAX_ENTRIES: usize = 50;

#[derive(Clone)]
struct Note {
    author: String,
    text: String,
}

#[derive(Clone)]
struct Transfer {
    author: String,
    to: String,
    cents: u64,
}

impl Books {
    /// Entries stay usable after a panic elsewhere: each change is one push.
    fn open(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push_newest<T>(entries: &mut VecDeque<T>, entry: T) {
    entries.push_front(entry);
    entries.truncate(MAX_ENTRIES);
}

impl Transfer {
    fn amount(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

/// Who the app takes the person to be: whatever the header says, as legacy apps do.
fn remote_user(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("remote-user")?;
    let name = String::from_utf8_lossy(value.as_bytes()).into_owned();
    (!name.is_empty()).then_some(name)
}

fn author(headers: &HeaderMap) -> String {
    remote_user(headers).unwrap_or_else(|| "somebody".to_owned())
}

#[derive(Template)]
#[template(path = "demo_home.html")]
struct HomePage {
    user: Option<String>,
}

#[derive(Template)]
#[template(path = "demo_notes.html")]
struct NotesPage {
    user: Option<String>,
    notes: Vec<Note>,
    problem: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "demo_transfer.html")]
struct TransferPage {
    user: Option<String>,
    transfers: Vec<Transfer>,
    problem: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "demo_admin.html")]
struct AdminPage {
    user: Option<String>,
    notes: usize,
    transfers: usize,
}

#[derive(Template)]
#[template(path = "demo_headers.html")]
struct HeadersPage {
    user: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "demo_not_found.html")]
struct NotFoundPage {
    user: Option<String>,
}

async fn home(headers: HeaderMap) -> Response {
    let user = remote_user(&headers);
    page(StatusCode::OK, &HomePage { user })
}

async fn notes(State(books): State<Books>, headers: HeaderMap) -> Response {
    notes_page(&books, &headers, None)
}

#[derive(Deserialize)]
struct NoteForm {
    text: String,
}

async fn add_note(
    State(books): State<Books>,
    headers: HeaderMap,
    Form(form): Form<NoteForm>,
) -> Response {
    // Browsers send CRLF but count a line break as one character.
    let text = form.text.trim().replace("\r\n", "\n");
    if text.is_empty() || text.chars().count() > 500 {
        return notes_page(
            &books,
            &headers,
            Some("A note has between 1 and 500 characters."),
        );
    }
    let note = Note {
        author: author(&headers),
        text,
    };
    push_newest(&mut books.open().notes, note);
    Redirect::to("/notes").into_response()
}

fn notes_page(books: &Books, headers: &HeaderMap, problem: Option<&'static str>) -> Response {
    let shown = NotesPage {
        user: remote_user(headers),
        notes: books.open().notes.iter().cloned().collect(),
        problem,
    };
    page(status(problem), &shown)
}

async fn transfers(State(books): State<Books>, headers: HeaderMap) -> Response {
    transfer_page(&books, &headers, None)
}

#[derive(Deserialize)]
struct TransferForm {
    to: String,
    amount: String,
}

async fn transfer(
    State(books): State<Books>,
    headers: HeaderMap,
    Form(form): Form<TransferForm>,
) -> Response {
    let to = form.to.trim();
    if to.is_empty() || to.chars().count() > 100 {
        return transfer_page(&books, &headers, Some("Please say who gets the money."));
    }
    let Some(cents) = cents(form.amount.trim()) else {
        return transfer_page(
            &books,
            &headers,
            Some("Please give an amount such as 12.50."),
        );
    };
    let transfer = Transfer {
        author: author(&headers),
        to: to.to_owned(),
        cents,
    };
    push_newest(&mut books.open().transfers, transfer);
    Redirect::to("/transfer").into_response()
}

fn transfer_page(books: &Books, headers: &HeaderMap, problem: Option<&'static str>) -> Response {
    let shown = TransferPage {
        user: remote_user(headers),
        transfers: books.open().transfers.iter().cloned().collect(),
        problem,
    };
    page(status(problem), &shown)
}

/// `12`, `12.5` or `12.50`, more than nothing and less than a million.
fn cents(amount: &str) -> Option<u64> {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || whole.len() > 6 || !digits(part) || part.len() > 2 {
        return None;
    }
    let cents: u64 =
        whole.parse::<u64>().ok()? * 100 + format!("{part:0<2}").parse::<u64>().ok()?;
    (cents > 0).then_some(cents)
}

async fn admin(State(books): State<Books>, headers: HeaderMap) -> Response {
    let shown = {
        let entries = books.open();
        AdminPage {
            user: remote_user(&headers),
            notes: entries.notes.len(),
            transfers: entries.transfers.len(),
        }
    };
    page(StatusCode::OK, &shown)
}

async fn clear_notes(State(books): State<Books>) -> Redirect {
    books.open().notes.clear();
    Redirect::to("/admin")
}

async fn headers(headers: HeaderMap) -> Response {
    let mut received: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    received.sort();
    let user = remote_user(&headers);
    page(
        StatusCode::OK,
        &HeadersPage {
            user,
            headers: received,
        },
    )
}

#[derive(Serialize)]
struct Quote {
    name: &'static str,
    price: f64,
}

async fn quotes() -> impl IntoResponse {
    let quote = |name, price| Quote { name, price };
    let quotes = [
        quote("Acorns, per sack", 14.2),
        quote("Hazelnuts, per sack", 31.75),
        quote("Walnuts, per sack", 27.0),
    ];
    ([(CACHE_CONTROL, "no-store")], Json(quotes))
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
        include_str!("app.js"),
    )
}

async fn not_found(headers: HeaderMap) -> Response {
    let user = remote_user(&headers);
    page(StatusCode::NOT_FOUND, &NotFoundPage { user })
}

fn status(problem: Option<&str>) -> StatusCode {
    match problem {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, [(CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, header::LOCATION},
    };
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, request: Request<Body>) -> (StatusCode, String) {
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let location = response
            .headers()
            .get(LOCATION)
            .map(|to| to.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            location.unwrap_or_else(|| String::from_utf8(body.to_vec()).unwrap()),
        )
    }

    fn page_of(path: &str, user: &str) -> Request<Body> {
        Request::get(path)
            .header("Remote-User", user)
            .body(Body::empty())
            .unwrap()
    }

    fn form(path: &str, user: &str, body: &str) -> Request<Body> {
        Request::post(path)
            .header("Remote-User", user)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body.to_owned()))
            .unwrap()
    }

    #[tokio::test]
    async fn a_note_is_kept_and_shown_escaped_with_its_author() {
        let app = router();
        let outcome = ask(
            &app,
            form(
                "/notes",
                "<i>ann</i>",
                "text=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
            ),
        )
        .await;
        assert_eq!(outcome, (StatusCode::SEE_OTHER, "/notes".into()));
        let (status, html) = ask(&app, page_of("/notes", "bob")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("&#60;script&#62;alert(1)&#60;/script&#62;"));
        assert!(html.contains("&#60;i&#62;ann"));
        assert!(!html.contains("<script>alert") && !html.contains("<i>ann"));
    }

    #[tokio::test]
    async fn a_transfer_is_booked_and_a_bad_amount_is_not() {
        let app = router();
        for bad in ["", "0", "-1", "1e9", "1.234", "9999999", "ten"] {
            let (status, html) = ask(
                &app,
                form("/transfer", "ann", &format!("to=bob&amount={bad}")),
            )
            .await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
            assert!(!html.contains("to bob"), "{bad}");
        }
        let (status, _) = ask(&app, form("/transfer", "ann", "to=bob&amount=12.5")).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let (_, html) = ask(&app, page_of("/transfer", "ann")).await;
        assert!(html.contains("12.50"));
    }

    #[tokio::test]
    async fn the_headers_page_shows_what_came_in_escaped() {
        let app = router();
        let mut request = page_of("/headers", "ann@example.com");
        request
            .headers_mut()
            .insert("x-odd", "<b>\u{e9}</b>".parse().unwrap());
        let (_, html) = ask(&app, request).await;
        assert!(html.contains("remote-user") && html.contains("ann@example.com"));
        assert!(html.contains("&#60;b&#62;") && !html.contains("<b>"));
    }

    #[tokio::test]
    async fn every_page_answers_and_greets_the_person() {
        let app = router();
        for path in ["/", "/notes", "/transfer", "/admin", "/headers"] {
            let (status, html) = ask(&app, page_of(path, "ann")).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(html.contains("Signed in as <strong>ann</strong>"), "{path}");
            assert!(html.contains("/.gatehouse/account") && html.contains("/.gatehouse/sign-out"));
        }
        let (status, json) = ask(&app, page_of("/api/quotes", "ann")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            serde_json::from_str::<serde_json::Value>(&json)
                .unwrap()
                .is_array()
        );
        let (status, _) = ask(&app, page_of("/nowhere", "ann")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn old_entries_make_room() {
        let app = router();
        for number in 0..=MAX_ENTRIES {
            ask(&app, form("/notes", "ann", &format!("text=note-{number}."))).await;
        }
        let (_, html) = ask(&app, page_of("/notes", "ann")).await;
        assert!(html.contains(&format!("note-{MAX_ENTRIES}.")) && !html.contains("note-0."));
    }
}
