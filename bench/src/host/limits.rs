use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use tokensmith_tests::scratch::Scratch;

use crate::latency::Latency;
use crate::processor::{MEASURED, on, pin_this_thread};
use crate::report::{Report, Row};

const TIME: Duration = Duration::from_secs(2);
/// Bytes that a token's signature is over, about.
const SIGNED: &[u8] = &[b'x'; 800];

/// Bytes of the JSON file of a bootstrap token, redeemed.
const REDEEMED: usize = 560;
/// Bytes of the JSON file of a refresh family.
const FAMILY: usize = 460;
/// Bytes of the first file once the access token is noted in it.
const NOTED: usize = 1700;

/// Signatures in a second, and nothing else.
pub(crate) fn signatures(report: &mut Report) {
    let mut rows = Vec::new();
    for threads in [1, 2] {
        let (es256, rs256) = (es256(), rs256());
        for (name, per_second) in [
            ("ES256", per_second(threads, &es256)),
            ("RS256 (RSA-2048)", per_second(threads, &rs256)),
        ] {
            rows.push(Row {
                name: format!("{name} signature alone, a processor each"),
                at_once: threads,
                per_second,
                latency: None,
            });
        }
    }
    report.group("signatures of aws-lc-rs", &rows);
}

/// What the disk syncs in a second.
pub(crate) fn disk(report: &mut Report) {
    let scratch = Scratch::new();
    let mut file = File::create(scratch.path().join("log")).unwrap();
    let row = on(MEASURED, || {
        repeat("append of 4 KiB and fdatasync", |_| {
            file.write_all(&[b'x'; 4096]).unwrap();
            file.sync_data().unwrap();
        })
    });
    report.group("the disk, in the folder of temporary files", &[row]);
}

/// The least that a store of one JSON file for each bootstrap token and each refresh family has to
/// do for a redeem that is signed with RS256: mark the token, sign, write the family, note the
/// access token. The second row is as durable as a database's commit.
pub(crate) fn json_file_store() -> Vec<Row> {
    let sign = rs256();
    [("", false), (", each write synced", true)]
        .into_iter()
        .map(|(how, synced)| {
            let scratch = Scratch::new();
            let folder = scratch.path();
            let name = format!(
                "floor of a JSON file store: 3 file writes of {} bytes + RS256 signature{how}",
                REDEEMED + FAMILY + NOTED
            );
            on(MEASURED, || {
                repeat(&name, |number| {
                    let token = folder.join(format!("token-{number}.json"));
                    write(&token, REDEEMED, synced);
                    sign();
                    write(
                        &folder.join(format!("family-{number}.json")),
                        FAMILY,
                        synced,
                    );
                    write(&token, NOTED, synced);
                })
            })
        })
        .collect()
}

fn write(path: &Path, length: usize, synced: bool) {
    const TEXT: [u8; NOTED] = [b'x'; NOTED];
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    file.write_all(&TEXT[..length]).unwrap();
    if synced {
        file.sync_data().unwrap();
    }
}

fn es256() -> impl Fn() + Sync {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let random = SystemRandom::new();
    move || {
        black_box(key.sign(&random, black_box(SIGNED)).unwrap());
    }
}

fn rs256() -> impl Fn() + Sync {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let random = SystemRandom::new();
    move || {
        let mut signature = vec![0; key.public_modulus_len()];
        let message = black_box(SIGNED);
        key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
            .unwrap();
        black_box(signature);
    }
}

/// Does `work` again and again in `threads` threads, each on a processor of its own.
fn per_second(threads: usize, work: &(impl Fn() + Sync)) -> f64 {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|processor| {
                scope.spawn(move || {
                    pin_this_thread(u32::try_from(processor).unwrap());
                    let start = Instant::now();
                    let mut times = 0u64;
                    while start.elapsed() < TIME {
                        work();
                        times += 1;
                    }
                    times as f64 / start.elapsed().as_secs_f64()
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).sum()
    })
}

/// Does `work`, which is told how often it was done, again and again.
fn repeat(name: &str, mut work: impl FnMut(usize)) -> Row {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < TIME {
        let begun = Instant::now();
        work(times.len());
        times.push(u64::try_from(begun.elapsed().as_nanos()).unwrap());
    }
    Row {
        name: name.to_owned(),
        at_once: 1,
        per_second: times.len() as f64 / start.elapsed().as_secs_f64(),
        latency: Some(Latency::of(times)),
    }
}
