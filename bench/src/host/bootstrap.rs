use std::collections::VecDeque;

use tokensmith::random;
use tokensmith::store::{NewBootstrapToken, OpaqueDigest, Store, StoreLocation};
use tokensmith_engine::exchange::ServiceGrant;
use tokensmith_tests::tokens::now;

use crate::server::AUDIENCE;

/// A store that writes what waits at once is filled fast by many.
const WRITERS: usize = 64;

/// Makes `count` bootstrap tokens in a store, past the command line: that makes one in a process.
pub(crate) fn make(store: &str, count: usize) -> VecDeque<String> {
    let location: StoreLocation = store.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&location).await.unwrap();
        let mut running = Vec::new();
        for _ in 0..WRITERS {
            let store = store.clone();
            running.push(tokio::spawn(async move {
                let mut made = Vec::new();
                for _ in 0..count.div_ceil(WRITERS) {
                    let token = random::opaque_token().unwrap();
                    store.create_bootstrap(&stored(&token)).await.unwrap();
                    made.push(token);
                }
                made
            }));
        }
        let mut tokens = VecDeque::new();
        for one in running {
            tokens.extend(one.await.unwrap());
        }
        store.close().await;
        tokens
    })
}

/// A bootstrap token of a service that may introspect, good for a month.
pub(crate) fn stored(token: &str) -> NewBootstrapToken {
    const MONTH: i64 = 30 * 24 * 3600;
    NewBootstrapToken {
        digest: OpaqueDigest::of(token),
        grant: ServiceGrant {
            subject: "boot-service".to_owned(),
            audience: vec![AUDIENCE.to_owned()],
            scopes: vec!["read".to_owned(), "introspect".to_owned()],
            roles: vec!["service".to_owned()],
        },
        binding_identifier: None,
        created_at: now(),
        expires_at: now() + MONTH,
        refresh_ttl: MONTH,
    }
}
