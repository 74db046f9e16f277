//! Known classes of vulnerabilities in JWT software, what the design does about each, and the test
//! that would fail if it did not.
//!
//! | vulnerability | design | test |
//! | --- | --- | --- |
//! | `alg: none`, in any spelling | [`Algorithm`](crate::jose::Algorithm) has no such value, names are compared exactly | `header_rules` in `jose/compact.rs`, recorded cases |
//! | a public key used as an HMAC secret | there is no HMAC; an algorithm is bound to the key's type, curve and `alg` ([`Jwk::allows`](crate::jose::Jwk::allows)) | recorded cases, "HMAC with the public key" in `tests/browser` |
//! | the token brings its own key: `jwk`, `jku`, `x5u`, `x5c` | [`Header`](crate::jose::Header) has no such member: keys come from configuration only | `header_rules`, `differential.rs` |
//! | a key of one issuer accepted for another | [`KeyRing`](crate::verify::KeyRing) binds each key to the issuer that published it | recorded cases |
//! | `kid` as a path, a query or a choice among several keys | `kid` is only ever compared; without it there has to be exactly one fitting key | recorded cases |
//! | ECDSA with r = s = 0, or DER where r \|\| s is defined | refused by every provider | `ecdsa_zeros_and_der_are_refused`, `wycheproof.rs` |
//! | RSASSA-PSS with a salt of another length | refused by every provider | `rsa_pss` in `wycheproof.rs` |
//! | weak keys: short RSA, bad exponents, points off the curve | refused when the key set is read | `keys_that_must_not_verify` |
//! | private keys published by mistake | a JWK with private members is left out and reported | `keys_that_must_not_verify` |
//! | unknown critical extensions, unencoded payloads | `crit` and `b64` are refused | `header_rules`, `headers` in `any_input.rs` |
//! | documents that parsers read differently: duplicate members, trailing bits, white space | strict parsing: one spelling of each segment, no member twice at any depth | `refuses_duplicates_depth_and_size`, `base64url_has_one_spelling` |
//! | tokens of another kind: ID, logout and refresh tokens, DPoP proofs | `typ` and `token_use` are checked (RFC 8725 section 3.11) | recorded cases, `differential.rs` |
//! | claims of the wrong type read as absent, such as `"exp": "never"` | a wrong type is an error | `claims` in `any_input.rs`, recorded cases |
//! | tokens for another service, issuer or time | `iss` and `aud` are never optional; one leeway, at most ten minutes | recorded cases |
//! | cached verdicts that outlive their token, key or policy | an entry ends with its token, all entries with a change of keys or configuration | `ends_with_the_token_and_the_epoch`, `an_expired_token_is_refused_though_it_was_cached` |
//! | fetch storms by forged `kid`s | one fetch at a time, none within the cool-down | `jwks_simulation.rs` |
//! | withdrawn keys that go on verifying | gone with the next good answer; no set lives past its hard expiry, and its age counts from when it was asked for; late answers are dropped | `jwks_simulation.rs`, `an_answer_that_comes_late_changes_nothing` |
//! | memory and time: long tokens, deep or wide JSON, large key sets | [`Limits`](crate::jose::Limits) hold before anything is decoded | `segments_and_encoding`, `refuses_duplicates_depth_and_size` |
//! | paths that the proxy and the service read differently | ambiguous paths are refused, not repaired | `forms` in `decide/path.rs`, `paths_are_settled` |
//! | a stolen token used by the thief | bound tokens are refused without their certificate or a proof of their key, also where they were seen before | `a_token_bound_to_a_key_needs_a_proof_each_time`, `a_token_bound_to_a_certificate_needs_that_certificate` |
//! | a stolen proof used again, for another request or token | `htm`, `htu`, `iat`, `ath` and `jti` are checked; a store that cannot tell refuses | `proofs_that_are_not_for_this_request`, `a_full_store_never_forgets_early` |
//! | forged tokens that push good ones out of a cache, or cost a signature check each time | refusals have a small room of their own and last ten seconds | `is_bounded_and_keeps_what_is_used`, `refusals_are_short_and_only_what_cannot_change` |
//! | identity headers sent by the caller | stripped on every route, public ones included | `off_checks_nothing_and_still_strips`, the suite in Envoy |
