//! What a store promises, on both databases: the same tests, the same statements.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokensmith::store::{
    Family, FamilyOrigin, NewBootstrapToken, NewRefreshToken, OpaqueDigest, Refusal, Store,
    StoreError, StoreLocation,
};
use tokensmith_engine::exchange::ServiceGrant;
use tokensmith_tests::postgres::Postgres;
use tokensmith_tests::scratch::Scratch;

/// Runs `test` on a new store of each kind.
fn on_both<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let scratch = Scratch::new();
    let postgres = Postgres::start();
    let locations = [
        StoreLocation::in_folder(scratch.path()),
        postgres.url().parse().unwrap(),
    ];
    for location in locations {
        runtime.block_on(async {
            let store = Store::open(&location).await.unwrap();
            test(store.clone()).await;
            store.close().await;
        });
    }
}

fn grant() -> ServiceGrant {
    ServiceGrant {
        subject: "boot-service".to_owned(),
        audience: vec!["smd".to_owned()],
        scopes: vec!["read".to_owned()],
        roles: vec!["service".to_owned()],
    }
}

fn bootstrap(token: &str, expires_at: i64) -> NewBootstrapToken {
    NewBootstrapToken {
        digest: OpaqueDigest::of(token),
        grant: grant(),
        binding_identifier: Some("node-1".to_owned()),
        created_at: 0,
        expires_at,
        refresh_ttl: 100,
    }
}

async fn redeem(store: &Store, token: &str, family: &str, now: i64) -> Result<i64, StoreError> {
    let refresh = format!("refresh-of-{family}");
    let new = NewRefreshToken {
        digest: OpaqueDigest::of(&refresh),
        family,
    };
    let mint = |family: &Family| {
        assert_eq!(family.grant, grant());
        Ok::<_, StoreError>(())
    };
    let ((), ttl) = store
        .redeem_bootstrap(&OpaqueDigest::of(token), &new, now, mint, |()| Ok(()))
        .await?;
    Ok(ttl)
}

async fn rotate(
    store: &Store,
    token: &str,
    next: &str,
    certificate: Option<&str>,
) -> Result<(), StoreError> {
    store
        .rotate_refresh(
            &OpaqueDigest::of(token),
            &OpaqueDigest::of(next),
            certificate,
            10,
            |_| Ok::<_, StoreError>(()),
            |()| Ok(()),
        )
        .await
        .map(drop)
}

fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Refused(refusal) => refusal,
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn a_bootstrap_token_is_redeemed_once_by_many() {
    on_both(|store| async move {
        store.create_bootstrap(&bootstrap("t", 1000)).await.unwrap();
        let tries = (0..100).map(|number| {
            let store = store.clone();
            tokio::spawn(async move { redeem(&store, "t", &format!("f{number}"), 1).await })
        });
        let mut good = 0;
        for one in tries.collect::<Vec<_>>() {
            match one.await.unwrap() {
                Ok(ttl) => {
                    assert_eq!(ttl, 100);
                    good += 1;
                }
                Err(error) => assert_eq!(refusal(error), Refusal::Redeemed),
            }
        }
        assert_eq!(good, 1);
        store.create_bootstrap(&bootstrap("late", 5)).await.unwrap();
        let late = redeem(&store, "late", "f", 5).await.unwrap_err();
        assert_eq!(refusal(late), Refusal::Expired);
        let unknown = redeem(&store, "other", "f", 5).await.unwrap_err();
        assert_eq!(refusal(unknown), Refusal::Unknown);
    });
}

#[test]
fn a_failure_of_one_is_not_a_failure_of_those_beside_it() {
    on_both(|store| async move {
        for number in 0..60 {
            let token = bootstrap(&format!("t{number}"), 1000);
            store.create_bootstrap(&token).await.unwrap();
        }
        let tries = (0..60).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let token = format!("t{number}");
                let new = NewRefreshToken {
                    digest: OpaqueDigest::of(&format!("r{number}")),
                    family: &format!("f{number}"),
                };
                let record = |(): &()| match number % 3 {
                    0 => Err(StoreError::Column("none")),
                    _ => Ok(()),
                };
                store
                    .redeem_bootstrap(&OpaqueDigest::of(&token), &new, 1, |_| Ok(()), record)
                    .await
            })
        });
        for (number, one) in tries.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(one.await.unwrap().is_ok(), number % 3 != 0, "{number}");
        }
        for number in 0..60 {
            let again = redeem(&store, &format!("t{number}"), &format!("again{number}"), 1).await;
            assert_eq!(again.is_ok(), number % 3 == 0, "{number}");
            let record = store
                .refresh_record(&OpaqueDigest::of(&format!("r{number}")), 1)
                .await
                .unwrap();
            assert_eq!(record.is_some(), number % 3 != 0, "{number}");
        }
    });
}

#[test]
fn what_is_given_up_on_its_way_leaves_nothing_and_stops_nobody() {
    on_both(|store| async move {
        for number in 0..200 {
            let token = format!("given-up-{number}");
            // Dropped after as many steps as it takes to be somewhere else each time.
            let digest = OpaqueDigest::of(&token);
            let mut giving_up = pin!(store.first_seen(&digest, 100));
            for _ in 0..number % 8 {
                let mut context = Context::from_waker(Waker::noop());
                if let Poll::Ready(done) = giving_up.as_mut().poll(&mut context) {
                    done.unwrap();
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let kept = store.first_seen(&OpaqueDigest::of("kept"), 100).await;
        assert!(kept.unwrap());
        let again = store.first_seen(&OpaqueDigest::of("kept"), 100).await;
        assert!(!again.unwrap());
    });
}

#[test]
fn a_refresh_token_is_used_once_and_its_replay_ends_the_family() {
    on_both(|store| async move {
        store.create_bootstrap(&bootstrap("t", 1000)).await.unwrap();
        redeem(&store, "t", "f", 1).await.unwrap();
        rotate(&store, "refresh-of-f", "second", None)
            .await
            .unwrap();
        rotate(&store, "second", "third", None).await.unwrap();
        let replayed = rotate(&store, "refresh-of-f", "x", None).await.unwrap_err();
        assert_eq!(refusal(replayed), Refusal::Replayed);
        let revoked = rotate(&store, "third", "x", None).await.unwrap_err();
        assert_eq!(refusal(revoked), Refusal::Revoked);
        assert!(store.is_revoked("some-jti", "f").await.unwrap());
        assert!(!store.is_revoked("some-jti", "g").await.unwrap());
    });
}

#[test]
fn a_family_of_a_certificate_needs_it() {
    on_both(|store| async move {
        let family = Family {
            id: "s".to_owned(),
            origin: FamilyOrigin::Session,
            grant: grant(),
            refresh_ttl: 100,
            confirmation: Some("thumbprint".to_owned()),
            ends_at: None,
        };
        let first = OpaqueDigest::of("first");
        store
            .start_family(&family, &first, 1, || Ok::<_, StoreError>(()))
            .await
            .unwrap();
        for shown in [None, Some("other")] {
            let error = rotate(&store, "first", "second", shown).await.unwrap_err();
            assert_eq!(refusal(error), Refusal::Bound);
        }
        let shown = Some("thumbprint");
        rotate(&store, "first", "second", shown).await.unwrap();
        let told = store
            .refresh_record(&OpaqueDigest::of("second"), 2)
            .await
            .unwrap()
            .unwrap();
        assert!(told.active);
    });
}

#[test]
fn attempts_are_counted_in_windows() {
    on_both(|store| async move {
        for now in 0..5 {
            let wait = store.attempt_wait("a", now, 60, 5).await.unwrap();
            assert_eq!(wait, None);
            store.attempt_failed("a", now, 60).await.unwrap();
        }
        assert_eq!(store.attempt_wait("a", 5, 60, 5).await.unwrap(), Some(55));
        assert_eq!(store.attempt_wait("b", 5, 60, 5).await.unwrap(), None);
        assert_eq!(store.attempt_wait("a", 60, 60, 5).await.unwrap(), None);
        store.attempt_failed("a", 61, 60).await.unwrap();
        assert_eq!(store.attempt_wait("a", 62, 60, 5).await.unwrap(), None);
    });
}

#[test]
fn a_provider_is_replaced_by_who_knew_the_last() {
    on_both(|store| async move {
        assert_eq!(store.oidc_provider().await.unwrap(), None);
        let recorded = || Ok::<_, StoreError>(());
        let first = store
            .set_oidc_provider("https://a", "c", 0, 1, recorded)
            .await;
        assert_eq!(first.unwrap(), Some(1));
        let late = store
            .set_oidc_provider("https://b", "c", 0, 1, recorded)
            .await;
        assert_eq!(late.unwrap(), None);
        let second = store
            .set_oidc_provider("https://b", "d", 1, 1, recorded)
            .await;
        assert_eq!(second.unwrap(), Some(2));
        let now = store.oidc_provider().await.unwrap().unwrap();
        assert_eq!((&*now.issuer, &*now.client_id), ("https://b", "d"));
    });
}

#[test]
fn the_sequence_of_policies_never_goes_back() {
    on_both(|store| async move {
        let mut numbers = Vec::new();
        for version in ["v2:a", "v2:a", "v2:b", "v2:a", "v2:a"] {
            numbers.push(store.policy_sequence(version, 1).await.unwrap());
        }
        assert_eq!(numbers, [1, 1, 2, 3, 3]);
    });
}

#[test]
fn what_has_ended_is_removed() {
    on_both(|store| async move {
        for number in 0..1_200 {
            let digest = OpaqueDigest::of(&number.to_string());
            assert!(store.first_seen(&digest, number).await.unwrap());
        }
        store.create_bootstrap(&bootstrap("t", 1000)).await.unwrap();
        redeem(&store, "t", "f", 1).await.unwrap();
        let before = NewBootstrapToken {
            created_at: -1,
            ..bootstrap("before", 1000)
        };
        store.create_bootstrap(&before).await.unwrap();
        assert_eq!(store.purge(1_100).await.unwrap(), 1_100 + 3);
        assert_eq!(store.purge(1_100).await.unwrap(), 0);
        let error = redeem(&store, "before", "g", 1).await.unwrap_err();
        assert_eq!(refusal(error), Refusal::Unknown);
        let error = redeem(&store, "t", "g", 1).await.unwrap_err();
        assert_eq!(refusal(error), Refusal::Redeemed, "the newest stays");
        let policy = store.bootstrap_policy("boot-service").await.unwrap();
        assert_eq!(policy, Some((grant(), 100)));
    });
}
