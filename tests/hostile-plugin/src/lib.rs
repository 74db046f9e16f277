//! A plugin that misbehaves: the claim `misbehave` says how, and by it the tests.

#[cfg(target_arch = "wasm32")]
mod component;

/// The value of the claim `misbehave`. No parser of JSON: the tests write it without spaces.
pub fn how(claims: &str) -> &str {
    let start = "\"misbehave\":\"";
    match claims.split_once(start) {
        Some((_, rest)) => rest.split('"').next().unwrap_or_default(),
        None => "",
    }
}

/// Misbehaves, or answers a claim mapper's question.
pub fn map_claims(claims: &str) -> Result<String, String> {
    match how(claims) {
        "loop" => endless(),
        "memory" => Ok(bomb()),
        "trap" => trap(),
        "stack" => Ok(format!("{{\"roles\":[\"{}\"]}}", deep(1))),
        "output" => Ok(format!("{{\"roles\":[\"{}\"]}}", "r".repeat(4 << 20))),
        "text" => Ok("all is well".to_owned()),
        "expiry" => Ok("{\"claims\":{\"exp\":99999999999}}".to_owned()),
        "refuse" => Err("not today\u{1b}[31m".to_owned()),
        _ => Ok("{}".to_owned()),
    }
}

/// Misbehaves, or answers a scope policy's question with more than was asked for.
pub fn limit_scopes(scopes: Vec<String>, claims: &str) -> Result<Vec<String>, String> {
    if claims.contains("\"scopes-loop@site.test\"") {
        endless();
    }
    if claims.contains("\"scopes-many@site.test\"") {
        return Ok(vec!["s".repeat(1 << 10); 8 << 10]);
    }
    let mut answered = scopes;
    answered.extend(["admin", "root", ""].map(str::to_owned));
    Ok(answered)
}

fn endless() -> ! {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

fn bomb() -> String {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

fn trap() -> ! {
    panic!("as the test wants it")
}

#[allow(unconditional_recursion)]
fn deep(depth: u64) -> u64 {
    let pad = std::hint::black_box([depth; 64]);
    deep(depth.wrapping_add(1)).wrapping_add(pad.iter().sum())
}
