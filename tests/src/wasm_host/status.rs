//! The statuses of host calls, by their numbers in the ABI.

use std::ops::RangeInclusive;

/// The call was carried out.
pub const OK: u32 = 0;
/// What was asked for is not there.
pub const NOT_FOUND: u32 = 1;
/// An argument is refused.
pub const BAD_ARGUMENT: u32 = 2;
/// A value cannot be serialized.
pub const SERIALIZATION_FAILURE: u32 = 3;
/// A value cannot be parsed.
pub const PARSE_FAILURE: u32 = 4;
/// A pointer or a size reaches beyond the module's memory.
pub const INVALID_MEMORY_ACCESS: u32 = 6;
/// The queue holds nothing.
pub const EMPTY: u32 = 7;
/// Another one has changed the value in between.
pub const CAS_MISMATCH: u32 = 8;
/// The host has failed.
pub const INTERNAL_FAILURE: u32 = 10;

/// Every failure that the ABI knows a number for.
pub const FAILURES: RangeInclusive<u32> = 1..=12;

/// The failures with which Envoy may answer a call of `function` that is right in itself: its
/// arguments are valid, and the map or context it names is there.
pub fn answers(function: &str) -> &'static [u32] {
    match function {
        "proxy_get_header_map_value"
        | "proxy_get_buffer_bytes"
        | "proxy_get_buffer_status"
        | "proxy_get_shared_data"
        | "proxy_resolve_shared_queue"
        | "proxy_enqueue_shared_queue"
        | "proxy_record_metric"
        | "proxy_grpc_cancel"
        | "proxy_grpc_close" => &[NOT_FOUND],
        "proxy_dequeue_shared_queue" => &[NOT_FOUND, EMPTY],
        "proxy_set_shared_data" => &[CAS_MISMATCH],
        "proxy_get_property" => &[NOT_FOUND, SERIALIZATION_FAILURE, INTERNAL_FAILURE],
        "proxy_http_call" => &[BAD_ARGUMENT, INTERNAL_FAILURE],
        "proxy_grpc_call" | "proxy_grpc_stream" => &[PARSE_FAILURE, INTERNAL_FAILURE],
        "proxy_grpc_send" | "proxy_get_metric" | "proxy_increment_metric" => {
            &[NOT_FOUND, BAD_ARGUMENT]
        }
        "proxy_call_foreign_function" => &[
            NOT_FOUND,
            BAD_ARGUMENT,
            SERIALIZATION_FAILURE,
            INTERNAL_FAILURE,
        ],
        _ => &[],
    }
}
