//! The files of the web console, as they are in the program.

use axum::response::Response;

use super::answers::with_type;

/// `GET /`
pub(super) async fn index() -> Response {
    with_type("text/html; charset=utf-8", include_str!("page/index.html"))
}

/// `GET /app.js`
pub(super) async fn script() -> Response {
    with_type("text/javascript; charset=utf-8", include_str!("page/app.js"))
}

/// `GET /style.css`
pub(super) async fn style() -> Response {
    with_type("text/css; charset=utf-8", include_str!("page/style.css"))
}
