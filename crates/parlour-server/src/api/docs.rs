//! The API's own documentation.

use crate::app::App;
use crate::error::ApiError;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{Uri, header};
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::{Config, serve};

static SWAGGER: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("../api/v2/openapi.json").use_base_layout().try_it_out_enabled(true);
    Arc::new(config.display_request_duration(true).default_models_expand_depth(0).validator_url("none"))
});

/// The page around Swagger UI.
const INDEX: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Parlour API</title>
<link rel="stylesheet" href="swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="swagger-ui-standalone-preset.js"></script>
<script src="swagger-initializer.js"></script>
</body>
</html>
"#;

/// Everything comes from the binary; the page may load nothing from elsewhere. Swagger UI writes styles into the page and draws its
/// icons from `data:` addresses.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The OpenAPI document
#[utoipa::path(get, path = "/api/v2/openapi.json", tag = "Documentation", operation_id = "get_openapi", responses((status = 200, description = "The OpenAPI 3.1 document of this API", content_type = "application/json")))]
pub async fn get_openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::json()).into_response()
}

/// The page needs its final slash, or its own files would be looked for one level up.
pub async fn redirect_to_docs(State(app): State<App>) -> Redirect {
    Redirect::permanent(&format!("{}/docs/", app.public_url.path_prefix()))
}

/// The first page of the documentation.
pub async fn docs_index() -> Response {
    page("text/html; charset=utf-8".into(), INDEX.as_bytes().to_vec())
}

/// A file of the documentation page.
pub async fn docs_file(address: Uri) -> Response {
    file(address.path().strip_prefix("/docs/").unwrap_or_default())
}

fn file(name: &str) -> Response {
    match serve(name, Arc::clone(&SWAGGER)) {
        Ok(Some(file)) => page(file.content_type, file.bytes.into_owned()),
        Ok(None) => ApiError::not_found().into_response(),
        Err(error) => ApiError::fault(error).into_response(),
    }
}

fn page(content_type: String, bytes: Vec<u8>) -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned());
    ([(header::CONTENT_TYPE, content_type), policy], bytes).into_response()
}
