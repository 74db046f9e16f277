/// The baseline model: role-based access control with role inheritance.
pub const BASELINE_MODEL: &str = "\
[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
";

const OBJECTS: [&str; 7] = [
    "boot:configs",
    "boot:scripts",
    "boot:parameters",
    "metadata:nodes",
    "metadata:groups",
    "smd:hardware",
    "smd:components",
];

const GRANTS: [(&str, &[&str], &[&str]); 4] = [
    (
        "role:admin",
        &OBJECTS,
        &["create", "read", "update", "delete"],
    ),
    ("role:operator", &OBJECTS, &["create", "read", "update"]),
    ("role:viewer", &OBJECTS, &["read"]),
    (
        "role:service",
        &["metadata:nodes", "metadata:groups"],
        &["read"],
    ),
];

/// The baseline rules as CSV: what administrators, operators, viewers and services may do on
/// the boot, metadata and hardware inventory objects.
pub fn baseline_rules() -> String {
    let mut text = String::new();
    for (subject, objects, actions) in GRANTS {
        for object in objects {
            for action in actions {
                text.push_str(&format!("p, {subject}, {object}, {action}\n"));
            }
        }
    }
    text
}
