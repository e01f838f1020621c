//! Every address on one page, grouped by who calls.

use crate::api::{admin, docs, events, health, home, jwt, media, notification, platform, pm, user};
use crate::app::App;
use crate::error::ApiError;
use crate::ws;
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use parlour_types::ErrorCode;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes that the OpenAPI document describes, together with that description.
pub fn documented() -> (Router<App>, OpenApi) {
    OpenApiRouter::new()
        // Members: /api/v2/pm/…
        .routes(routes!(pm::get_thread, pm::send_message, pm::delete_thread)) // GET POST DELETE /pm/
        .routes(routes!(pm::search_recipients)) // GET /pm/search/
        .routes(routes!(pm::count_unread)) // GET /pm/unread/
        .routes(routes!(pm::mark_seen)) // POST /pm/seen/
        .routes(routes!(pm::get_receipts)) // GET /pm/receipts/
        .routes(routes!(pm::send_typing)) // POST /pm/typing/
        .routes(routes!(pm::get_presence)) // GET /pm/presence/
        .routes(routes!(pm::upload_media)) // POST /pm/upload/
        .routes(routes!(pm::get_message, pm::delete_message)) // GET DELETE /pm/{id}/
        // Members: /api/v2/notification/…
        .routes(routes!(notification::list_notifications)) // GET /notification/
        .routes(routes!(notification::read_notifications)) // POST /notification/read/
        .routes(routes!(notification::count_unseen_notifications)) // GET /notification/unseen/count/
        // Members: /api/v2/user/…
        .routes(routes!(user::get_me)) // GET /user/me/
        .routes(routes!(user::list_hidden_ids)) // GET /user/hidden_users_id/
        .routes(routes!(user::get_user)) // GET /user/{id}/
        .routes(routes!(user::get_settings, user::change_settings)) // GET PATCH /user/{id}/settings/
        .routes(routes!(user::toggle_follow)) // POST /user/{id}/follow/
        .routes(routes!(user::is_followed)) // GET /user/{id}/is_followed/
        .routes(routes!(user::is_follower)) // GET /user/{id}/is_follower/
        .routes(routes!(user::list_followers)) // GET /user/{id}/followers/
        .routes(routes!(user::list_followings)) // GET /user/{id}/followings/
        .routes(routes!(user::toggle_hide)) // POST /user/{id}/hide/
        .routes(routes!(user::is_hidden)) // GET /user/{id}/is_hidden/
        .routes(routes!(user::is_hidden_by)) // GET /user/{id}/is_hidden_by/
        // Connections, of which there are none
        .routes(routes!(user::get_connection_status)) // GET /user/{id}/connection_status/
        .routes(routes!(user::get_connection_statuses)) // POST /user/connection/statuses/
        .routes(routes!(user::is_connection)) // GET /user/{id}/is_connection/
        .routes(routes!(user::request_connection)) // POST /user/{id}/connection/request/
        .routes(routes!(user::accept_connection)) // POST /user/{id}/connection/accept/
        .routes(routes!(user::reject_connection)) // POST /user/{id}/connection/reject/
        .routes(routes!(user::cancel_reject_connection)) // POST /user/{id}/connection/cancel_reject/
        .routes(routes!(user::cancel_request_connection)) // POST /user/{id}/connection/cancel_request/
        .routes(routes!(user::remove_connection)) // POST /user/{id}/connection/remove/
        // Members: what else the official platform has, and Parlour has nothing of
        .routes(routes!(platform::list_incubators)) // GET /incubator/
        .routes(routes!(platform::list_banners)) // GET /notification/banner/
        .routes(routes!(platform::count_unseen_banners)) // GET /notification/banner/unseen/count/
        .routes(routes!(platform::count_undisposed_banners)) // GET /notification/banner/undisposed/count/
        .routes(routes!(platform::read_banners)) // POST /notification/banner/read/
        .routes(routes!(platform::dispose_banners)) // POST /notification/banner/dispose/
        .routes(routes!(platform::list_user_categories)) // GET /user/{id}/categories/
        .routes(routes!(platform::list_user_groups)) // GET /user/{id}/groups/
        .routes(routes!(platform::list_user_events)) // GET /user/{id}/events/
        .routes(routes!(platform::list_user_courses)) // GET /user/{id}/courses/
        // Members: /api/v2/events/…
        .routes(routes!(events::list_events)) // GET /events/
        .routes(routes!(events::stream_events)) // GET /events/stream/
        // The community's backend: /api/v2/admin/…
        .routes(routes!(admin::upsert_users)) // POST /admin/users/
        .routes(routes!(admin::upsert_follows)) // POST /admin/follows/
        // Whoever has a link
        .routes(routes!(media::get_file)) // GET /media/pm/{token}
        // Everybody
        .routes(routes!(platform::list_preferences)) // GET /api/v2/dynamic_preference/
        .routes(routes!(platform::list_features)) // GET /api/v2/feature/
        .routes(routes!(platform::list_reactions)) // GET /api/v2/reaction/
        .routes(routes!(jwt::verify_token)) // POST /api/v2/jwt/verify_token/
        .routes(routes!(docs::get_openapi)) // GET /api/v2/openapi.json
        .routes(routes!(health::healthz)) // GET /healthz
        .routes(routes!(health::readyz)) // GET /readyz
        .split_for_parts()
}

/// All routes.
pub fn router(app: App) -> Router {
    documented()
        .0
        // Sockets, with and without the slash that others have at the end (contract §4.1).
        .route("/ws/notify", get(ws::notify))
        .route("/ws/notify/", get(ws::notify))
        .route("/ws/stream", get(ws::stream))
        .route("/ws/stream/", get(ws::stream))
        .route("/", get(home::home))
        .route("/docs", get(docs::redirect_to_docs))
        .route("/docs/", get(docs::docs_index))
        .route("/docs/{file}", get(docs::docs_file))
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || {
            let message = "The method is not supported at this address.";
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, message)
        })
        .with_state(app)
}
