//! What pages are made with: one style, one icon, and a module for each page, all inside the program.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! modules {
    ($($name:literal),*) => {
        [$((concat!($name, ".js"), SCRIPT, include_str!(concat!("assets/", $name, ".js")))),*]
    };
}

const STYLE: (&str, &str, &str) =
    ("studio.css", "text/css; charset=utf-8", include_str!("assets/studio.css"));
const ICON: (&str, &str, &str) = ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg"));
const MODULES: [(&str, &str, &str); 14] = modules![
    "api", "assign", "begin", "crop", "define", "grid", "home", "import", "job", "model", "dataset",
    "recent", "say", "upload"
];

pub async fn get(Path(name): Path<String>) -> Response {
    let found = MODULES.iter().chain([&STYLE, &ICON]).find(|(known, ..)| *known == name);
    match found {
        Some((_, kind, text)) => {
            ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")], *text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
