//! The OpenAPI document: what the handlers say of themselves, completed with what holds for all of them.

use crate::error::ErrorBody;
use crate::routes;
use parlour_types::ErrorCode;
use std::sync::LazyLock;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, HeaderBuilder, InfoBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

static JSON: LazyLock<String> =
    LazyLock::new(|| serde_json::to_string_pretty(&document()).expect("an OpenAPI document is plain JSON"));

/// The document as JSON.
#[must_use]
pub fn json() -> &'static str {
    &JSON
}

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let (_, mut document) = routes::documented();
    document.info =
        InfoBuilder::new().title("Parlour").version(env!("CARGO_PKG_VERSION")).description(Some(description())).build();
    document.servers = None;
    let components = document.components.get_or_insert_default();
    let mut schemas = Vec::new();
    ErrorBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
    components.schemas.insert("Error".into(), ErrorBody::schema());
    components.schemas.values_mut().for_each(any_of_pages);
    let scheme = |format: &str, about: &str| {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some(format.into());
        http.description = Some(about.into());
        SecurityScheme::Http(http)
    };
    components.add_security_scheme(
        "token",
        scheme("JWT", "A member's access token (HS256), as the community's backend or `parlour token` issues it."),
    );
    components.add_security_scheme("admin_key", scheme("key", "The admin key of the community's backend."));
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(complete);
    }
    document
}

/// Of two kinds of page an empty one is both, so that "exactly one of them" would be wrong of it.
fn any_of_pages(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(one_of)) = schema else { return };
    let page = |item: &RefOr<Schema>| matches!(item, RefOr::Ref(item) if item.ref_location.contains("/PageBody_"));
    if one_of.items.iter().all(page) {
        let mut any_of = AnyOfBuilder::new().description(one_of.description.take());
        for item in one_of.items.drain(..) {
            any_of = any_of.item(item);
        }
        *schema = RefOr::T(Schema::AnyOf(any_of.build()));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().filter_map(Option::as_mut)
}

/// Gives every error the one error shape, and adds the errors that follow from what an operation takes.
fn complete(operation: &mut Operation) {
    let secured = operation.security.as_ref().is_some_and(|security| !security.is_empty());
    let takes_body = operation.request_body.is_some();
    let takes_input = takes_body || operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    let mut common = vec![("500", "A fault of the server's"), ("503", "The server cannot take the request now")];
    if takes_input {
        common.push(("400", "A field is not well formed; `errors` names it"));
    }
    if secured {
        common.push(("401", "No or no good credentials"));
    }
    if takes_body {
        common.extend([
            ("408", "The body took too long"),
            ("413", "The body is larger than the server accepts"),
            ("415", "The content type is none of those supported"),
        ]);
    }
    for (status, about) in common {
        let described = || RefOr::T(ResponseBuilder::new().description(about).build());
        operation.responses.responses.entry(status.into()).or_insert_with(described);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) {
            let body = Content::new(Some(Ref::from_schema_name("Error")));
            response.content.insert("application/json".into(), RefOr::T(body));
            error_headers(status, response);
        }
    }
}

fn error_headers(status: &str, response: &mut Response) {
    let header = |about: &str| RefOr::T(HeaderBuilder::new().description(Some(about)).build());
    match status {
        "401" => drop(response.headers.insert("WWW-Authenticate".into(), header("`Bearer realm=\"api\"`"))),
        "429" => {
            let fields = [
                ("Retry-After", "Seconds to wait"),
                ("RateLimit-Policy", "The limit, such as `\"sends\";q=300;w=60`: how many in how many seconds"),
                ("RateLimit", "What is left of it, such as `\"sends\";r=0;t=4`: how many, and the seconds to wait"),
            ];
            response.headers.extend(fields.map(|(name, about)| (name.into(), header(about))));
        }
        "503" => drop(response.headers.insert("Retry-After".into(), header("Seconds to wait"))),
        _ => {}
    }
}

fn description() -> String {
    let mut text = String::from(
        "Private messages for online communities: the private-message part of the SelfCommunity API v2, served by Parlour.\n\n\
         Every path also works without its final slash. Ids are JSON integers up to 2^53 − 1. Times are ISO 8601 with microseconds \
         and offset. `message` and `headline` come escaped, ready to be inserted as HTML. Every answer carries `X-Request-Id`.\n\n\
         Every error has the same shape, `{\"errors\": [...], \"detail\": \"...\"}`, with one of these codes:\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for code in ErrorCode::ALL {
        text.push_str(&format!("| `{}` | {} |\n", code.as_str(), code.meaning().trim()));
    }
    text
}
