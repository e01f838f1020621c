//! The server from outside, over real HTTP: one module a subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod access_matrix;
mod appendix_b;
mod auth;
mod bad_input;
mod cli;
mod copy;
mod differential;
mod directory;
mod doctor;
mod escaping;
mod export;
mod freshness;
mod http;
mod idempotency;
mod import;
mod limits;
mod live;
mod metrics;
mod notifications;
mod openapi;
mod platform;
mod postgres;
mod postgres_away;
mod privacy;
mod seed_page;
mod several_servers;
mod sqlite_backup;
mod uploads;
mod ws;
