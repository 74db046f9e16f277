//! The filter on a host that does what it should not: calls fail at every place with every status,
//! give other bytes than there are, and events come in odd orders. Whatever happens, the filter
//! neither traps nor loops, and no request goes on that would not have gone on otherwise.
//!
//! What proxy-wasm's SDK itself cannot stand is excused only where Envoy never does it, and each
//! excuse says so: [`scene::assert_excused`], `answers::with_other_sizes` and [`sdk`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod clocks;
mod configurations;
mod events;
mod fetches;
mod lifecycle;
mod reference;
mod request_headers;
mod scene;
mod sdk;
mod shared_data;
mod statuses;
