//! Owns the list of the tests of the core that share one program: it is linked once. A file that stands in neither this
//! list nor core/Cargo.toml would not run; `every_test_file_is_part_of_a_program` of the testkit looks for those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod advice;
mod bytes;
mod cache;
mod captures;
mod client;
mod clocks;
mod device_authorization;
mod dialects;
mod discovery;
mod error_text;
mod every_request;
mod fleet;
mod keys;
mod machine;
mod msal;
mod mutual_tls;
mod oauth_error;
mod other_clients;
mod polling_law;
mod polling_law_answers;
mod polling_law_document;
mod preset;
mod prompt;
mod provider;
mod public_types;
mod refresh;
mod retry_after;
mod revocation;
mod sign_in;
mod snapshot;
mod state_diagram;
mod step;
mod stored;
mod support;
mod token_response;
mod wiped;
mod words;
