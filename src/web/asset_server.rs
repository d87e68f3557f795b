//! Serves what the pages load.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    ask::Ask,
    error::{Outcome, Refusal},
};
use crate::core::Core;

/// The address of every asset.
pub fn router() -> Router<Arc<Core>> {
    Router::new().route("/.gatehouse/assets/{name}", get(asset))
}

async fn asset(ask: Ask, Path(name): Path<String>) -> Outcome<Response> {
    let asset = ask.snapshot.assets.get(&name).ok_or(Refusal::NOT_FOUND)?;
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        // The name carries a fingerprint of the content, so it never changes.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.bytes).into_response())
}
