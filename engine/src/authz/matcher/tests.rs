use super::{parse, parse_rule};

#[test]
fn canonical_forms() {
    let cases = [
        ("r.sub", "r.sub"),
        ("r2_sub.Owner", "r2.sub.Owner"),
        ("p_eft == 'allow'", "(p.eft == \"allow\")"),
        ("r.sub_id.a_b", "r.sub_id.a_b"),
        ("r__a", "r._a"),
        (
            "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
            "(g(r.sub, p.sub) && (r.obj == p.obj) && (r.act == p.act))",
        ),
        ("r.a || r.b && r.c || r.d", "(r.a || (r.b && r.c) || r.d)"),
        ("r.a && (r.b && r.c)", "(r.a && (r.b && r.c))"),
        ("(r.a && r.b) && r.c", "(r.a && r.b && r.c)"),
        ("r.a == r.b != r.c", "((r.a == r.b) != r.c)"),
        ("1 - 2 - 3 * 4 % 5", "((1 - 2) - ((3 * 4) % 5))"),
        ("2 ** 3 ** 2", "((2 ** 3) ** 2)"),
        ("-2 ** 2", "(-2 ** 2)"),
        ("1 | 2 & 3 << 4 + 5", "((1 | 2) & (3 << (4 + 5)))"),
        ("1 < 2 | 3", "(1 < (2 | 3))"),
        ("!r.a == r.b", "(!r.a == r.b)"),
        ("!(r.a == r.b)", "!(r.a == r.b)"),
        ("!g(r.a, r.b) && ~1 >= - 1", "(!g(r.a, r.b) && (~1 >= -1))"),
        ("!(!r.a)", "!(!r.a)"),
        ("!('a')", "!(\"a\")"),
        ("((r.a))", "r.a"),
        ("r.a ? r.b : r.c", "(r.a ? r.b : r.c)"),
        ("r.a ? 1 : 2 ? 3 : 4", "((r.a ? 1 : 2) ? 3 : 4)"),
        ("r.a ?? r.b ?? 1", "((r.a ?? r.b) ?? 1)"),
        ("r.a ? 1 : 2 ?? 3", "((r.a ? 1 : 2) ?? 3)"),
        (
            "r.a || r.b ? r.c : r.d && r.e",
            "((r.a || r.b) ? r.c : (r.d && r.e))",
        ),
        ("r.a in ('x', \"y\")", "(r.a in (\"x\", \"y\"))"),
        ("r.a in ['x'] && true", "((r.a in (\"x\")) && true)"),
        ("r.a IN (1, r.b + 1, !r.c)", "(r.a in (1, (r.b + 1), !r.c))"),
        ("r.a in r.b.All", "(r.a in r.b.All)"),
        ("r.a in (r.b)", "(r.a in r.b)"),
        ("r.a in (('x'))", "(r.a in \"x\")"),
        ("r.a in (r.b) + r.c", "(r.a in (r.b + r.c))"),
        ("r.a in (true) == false", "((r.a in (true)) == false)"),
        (
            "r.obj =~ '^/a/.*$' || r.obj !~ 'b'",
            "((r.obj =~ \"^/a/.*$\") || (r.obj !~ \"b\"))",
        ),
        ("f()", "f()"),
        (
            "f(g2(-1), 'a\\b', r.x ? 1 : 2)",
            "f(g2(-1), \"a\\b\", (r.x ? 1 : 2))",
        ),
        ("0xff + .5 + 5. + 1.50", "(((255 + 0.5) + 5) + 1.5)"),
        ("100000000000000000000000", "100000000000000000000000"),
        ("eval(p.sub_rule)\n", "eval(p.sub_rule)"),
    ];
    for (text, canonical) in cases {
        let expr = parse(text).unwrap();
        assert_eq!(expr.to_string(), canonical, "{text}");
        assert_eq!(parse(canonical), Ok(expr), "{text}");
    }
}

#[test]
fn mistakes_name_the_column() {
    let cases = [
        ("", 1, "expected a value, found the end"),
        ("r.sub == ", 10, "expected a value, found the end"),
        ("r.sub r.obj", 7, "expected an operator, found `r.obj`"),
        (
            "(r.a == r.b) (r.c == r.d)",
            14,
            "expected an operator, found `(`",
        ),
        ("(r.a", 5, "expected `)`, found the end"),
        ("r.a)", 4, "expected an operator, found `)`"),
        ("()", 2, "expected a value, found `)`"),
        ("r.a in ()", 9, "expected a value, found `)`"),
        ("r.a && ! !r.b", 10, "expected a value, found `!`"),
        ("!'a'", 2, "expected something else than a string literal"),
        ("r.a == ~ -1", 10, "expected a value, found `-`"),
        ("r.a, r.b", 4, "expected an operator, found `,`"),
        (
            "(r.a, r.b)",
            1,
            "a list may only stand directly behind `in`",
        ),
        ("f((1, 2))", 3, "a list may only stand directly behind `in`"),
        (
            "r.a in -(1, 2)",
            9,
            "a list may only stand directly behind `in`",
        ),
        (
            "r.a in (1, 2) + 3",
            15,
            "expected the end of the operand of `in`, found `+`",
        ),
        ("f(1,)", 5, "expected a value, found `)`"),
        ("f(r.a r.b)", 7, "expected `)`, found `r.b`"),
        (
            "r.a ? r.b",
            10,
            "expected `:`; nested conditions need parentheses, found the end",
        ),
        (
            "r.a ? r.b ? 1 : 2 : 3",
            11,
            "expected `:`; nested conditions need parentheses",
        ),
        ("r.a : r.b", 5, "expected an operator, found `:`"),
        (
            "r.sub.IsOwner()",
            1,
            "method call `r.sub.IsOwner` is not supported",
        ),
        ("sub == 'a'", 1, "unknown name `sub`"),
        ("r.a && role.b", 8, "unknown name `role.b`"),
        ("r == 'a'", 1, "unknown name `r`"),
        ("r. == 'a'", 1, "unknown name `r.`"),
        ("r.a..b", 1, "unknown name `r.a..b`"),
        ("true(1)", 5, "expected an operator, found `(`"),
        ("r.a == in", 8, "expected a value, found `in`"),
        ("g", 1, "unknown name `g`"),
        ("1 2", 3, "expected an operator, found `2`"),
    ];
    for (text, column, message) in cases {
        let error = parse(text).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn limits() {
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(64)).is_ok());
    assert!(parse(&nested(65)).is_err());
    let calls = |depth: usize| format!("{}1{}", "f(".repeat(depth), ")".repeat(depth));
    assert!(parse(&calls(64)).is_ok());
    assert!(parse(&calls(65)).is_err());
    let chain = |operator: &str, length: usize| vec!["r.a"; length].join(operator);
    for (operator, most) in [
        (" + ", 65),
        (" ** ", 65),
        (" ?? ", 65),
        (" && ", 512),
        (" || ", 512),
    ] {
        let expr = parse(&chain(operator, most)).unwrap();
        assert_eq!(parse(&expr.to_string()), Ok(expr), "{operator}");
        assert!(parse(&chain(operator, most + 1)).is_err(), "{operator}");
    }
    let long = format!("'{}'", "a".repeat(16 * 1024));
    assert_eq!(
        parse(&long).unwrap_err().message,
        "matcher is longer than 16 KiB"
    );
}

#[test]
fn rules_are_read_as_casbin_reads_them() {
    assert!(parse_rule("r.sub.Age > 18 && r.sub.Name in ('a', 'b')").is_ok());
    assert!(parse_rule("r.sub.Name in ['a', 'b']").is_err());
    assert!(parse_rule("regexMatch(r.sub, '\\d')").is_err());
    assert!(parse_rule("regexMatch(r.sub, '[a-z] in')").is_ok());
}
