/// What a method does in the terms of a REST interface; another method is its own action.
pub(super) fn rest_action(method: &str) -> &str {
    match method {
        "GET" | "HEAD" => "read",
        "POST" | "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods() {
        let cases = [
            ("GET", "read"),
            ("HEAD", "read"),
            ("POST", "write"),
            ("PUT", "write"),
            ("PATCH", "write"),
            ("DELETE", "delete"),
            ("OPTIONS", "OPTIONS"),
            ("get", "get"),
        ];
        for (method, action) in cases {
            assert_eq!(rest_action(method), action);
        }
    }
}
