//! The host calls of proxy-wasm's ABI 0.2.1 and the layout of their parameters.

/// A host call: its name, and its parameters by one letter each:
/// `i` a number, `b` bytes (pointer and size), `o` where bytes are wanted (pointers to the pointer
/// and to the size), `n` and `w` where a number of 32 and of 64 bits is wanted (a pointer).
type Function = (&'static str, &'static str);

const FUNCTIONS: &[Function] = &[
    ("proxy_log", "ib"),
    ("proxy_get_log_level", "n"),
    ("proxy_get_current_time_nanoseconds", "w"),
    ("proxy_set_tick_period_milliseconds", "i"),
    ("proxy_get_buffer_bytes", "iiio"),
    ("proxy_get_buffer_status", "inn"),
    ("proxy_set_buffer_bytes", "iiib"),
    ("proxy_get_header_map_pairs", "io"),
    ("proxy_set_header_map_pairs", "ib"),
    ("proxy_get_header_map_value", "ibo"),
    ("proxy_get_header_map_size", "in"),
    ("proxy_remove_header_map_value", "ib"),
    ("proxy_replace_header_map_value", "ibb"),
    ("proxy_add_header_map_value", "ibb"),
    ("proxy_get_property", "bo"),
    ("proxy_set_property", "bb"),
    ("proxy_get_shared_data", "bon"),
    ("proxy_set_shared_data", "bbi"),
    ("proxy_register_shared_queue", "bn"),
    ("proxy_resolve_shared_queue", "bbn"),
    ("proxy_dequeue_shared_queue", "io"),
    ("proxy_enqueue_shared_queue", "ib"),
    ("proxy_continue_stream", "i"),
    ("proxy_close_stream", "i"),
    ("proxy_send_local_response", "ibbbi"),
    ("proxy_http_call", "bbbbin"),
    ("proxy_grpc_call", "bbbbbin"),
    ("proxy_grpc_stream", "bbbbn"),
    ("proxy_grpc_send", "ibi"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_grpc_close", "i"),
    ("proxy_get_status", "no"),
    ("proxy_set_effective_context", "i"),
    ("proxy_call_foreign_function", "bbo"),
    ("proxy_done", ""),
    ("proxy_define_metric", "ibn"),
    ("proxy_get_metric", "iw"),
    ("proxy_record_metric", "ii"),
    ("proxy_increment_metric", "ii"),
    ("proxy_clear_route_cache", ""),
];

/// The name and the parameters of `function`; `None` when the ABI does not have it.
pub(super) fn function(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(own, _)| *own == name).copied()
}

/// Whether `function` gives bytes to the module.
pub fn gives_bytes(name: &str) -> bool {
    function(name).is_some_and(|(_, parameters)| parameters.contains('o'))
}

/// Whether `function` gives a number to the module.
pub fn gives_numbers(name: &str) -> bool {
    function(name).is_some_and(|(_, parameters)| parameters.contains(['n', 'w']))
}
