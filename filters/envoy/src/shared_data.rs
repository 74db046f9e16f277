use proxy_wasm::hostcalls;
use tokensmith_engine::keys::FetchRecord;
use tokensmith_engine::policy::BundleState;

// Envoy keeps shared data for all VMs with the same `vm_id`, across workers, reloads and changes
// of the configuration. What is read may have been written by another plugin: it is parsed like
// any other input.

/// The value of `key`, with what a compare-and-swap of it needs.
pub(crate) fn read(key: &str) -> (Option<Vec<u8>>, Option<u32>) {
    hostcalls::get_shared_data(key).unwrap_or_default()
}

/// Writes without looking at what was there.
pub(crate) fn write(key: &str, value: &[u8]) {
    // Without it every worker fetches for itself.
    let _ = hostcalls::set_shared_data(key, Some(value), None);
}

/// The record of fetches at `key`, the default where there is none or something else.
pub(crate) fn fetch_record(key: &str) -> (FetchRecord, Option<u32>) {
    let (value, cas) = read(key);
    let record = value.as_deref().and_then(FetchRecord::parse);
    (record.unwrap_or_default(), cas)
}

/// Puts `record` in the place of the one that was read with `cas`; whether nobody was faster.
pub(crate) fn swap_fetch_record(key: &str, record: &FetchRecord, cas: Option<u32>) -> bool {
    // Without a number Envoy would overwrite what another worker has written meanwhile.
    cas.is_some() && hostcalls::set_shared_data(key, Some(&record.to_bytes()), cas).is_ok()
}

/// Makes sure that there is a record at `key` to compare and swap.
pub(crate) fn seed_fetch_record(key: &str) {
    if read(key).1.is_none() {
        write(key, &FetchRecord::default().to_bytes());
    }
}

/// Counts the end of an attempt in the record at `key`, and gives what it is now.
pub(crate) fn end_attempt(key: &str, good: bool) -> FetchRecord {
    let mut last = FetchRecord::default();
    // Others only begin attempts meanwhile, and seldom.
    for _ in 0..4 {
        let (record, cas) = fetch_record(key);
        last = record.ended(good);
        if swap_fetch_record(key, &last, cas) {
            break;
        }
    }
    last
}

/// The newest bundle that any worker has opened.
pub(crate) fn bundle_state(key: &str) -> Option<BundleState> {
    let (value, _) = read(key);
    serde_json::from_slice(&value?).ok()
}

/// Keeps `state`, unless a newer one is there.
pub(crate) fn keep_bundle_state(key: &str, state: &BundleState) {
    let Ok(text) = serde_json::to_vec(state) else {
        return;
    };
    for _ in 0..4 {
        let (value, cas) = read(key);
        let there: Option<BundleState> =
            value.and_then(|value| serde_json::from_slice(&value).ok());
        if there.is_some_and(|there| there.sequence >= state.sequence) {
            return;
        }
        if hostcalls::set_shared_data(key, Some(&text), cas).is_ok() {
            return;
        }
    }
}
