//! The attribute that makes two tests of one body. It is used through `parlour-testkit`, which knows what a database is.

use proc_macro::{TokenStream, TokenTree};

/// Runs an async test on SQLite and on PostgreSQL, as the tests `name::sqlite` and `name::postgres`. What stands in the brackets is
/// `tokio::test`'s.
#[proc_macro_attribute]
pub fn both_databases(runtime: TokenStream, body: TokenStream) -> TokenStream {
    let Some(name) = name_of(&body) else {
        return "compile_error!(\"#[both_databases] stands on an async function\");".parse().unwrap_or_default();
    };
    let tests = format!(
        "mod {name} {{
             #[::tokio::test({runtime})]
             async fn sqlite() {{
                 ::parlour_testkit::on(::parlour_testkit::Backend::Sqlite, super::{name}()).await;
             }}
             #[::tokio::test({runtime})]
             async fn postgres() {{
                 ::parlour_testkit::on(::parlour_testkit::Backend::Postgres, super::{name}()).await;
             }}
         }}"
    );
    let tests: TokenStream = tests.parse().unwrap_or_default();
    body.into_iter().chain(tests).collect()
}

/// The name of an async function.
fn name_of(function: &TokenStream) -> Option<String> {
    let mut words = function.clone().into_iter().skip_while(|token| !is_word(token, "async")).skip(1);
    words.next().filter(|token| is_word(token, "fn"))?;
    words.next().map(|name| name.to_string())
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == word)
}
