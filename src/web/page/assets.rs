//! Style, script and icon. They are embedded in the executable.

use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use rust_embed::Embed;
use serde::Deserialize;

#[derive(Embed)]
#[folder = "src/web/page/assets"]
struct Assets;

/// The query of an asset's address.
#[derive(Deserialize)]
pub(super) struct AssetQuery {
    v: Option<String>,
}

/// The address of a file. It changes when the file's bytes change.
pub(super) fn address(file: &str) -> String {
    format!("/assets/{file}?v={}", version(file).unwrap_or_default())
}

/// The version of a file, a prefix of its hash.
pub(super) fn version(file: &str) -> Option<String> {
    let hash = Assets::get(file)?.metadata.sha256_hash();
    Some(HEXLOWER.encode(hash.get(..6)?))
}

/// `GET /assets/{file}`. Assets need no token.
pub(super) async fn give(Path(file): Path<String>, Query(query): Query<AssetQuery>) -> Response {
    let Some(asset) = Assets::get(&file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let same = query.v.is_some() && query.v == version(&file);
    let keep = if same { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)], asset.data).into_response()
}
