use super::*;
use std::collections::BTreeMap;

fn jane() -> Identity {
    let extra = BTreeMap::from([
        ("Acme.io/Team".to_owned(), vec!["red".to_owned(), "blue".to_owned()]),
        ("scopes".to_owned(), vec!["a b".to_owned()]),
    ]);
    let groups = vec!["crew".to_owned(), "system:authenticated".to_owned()];
    Identity { name: "jane".to_owned(), uid: "7".to_owned(), groups, extra }
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(parse) {
        headers.append::<HeaderName>(name, value);
    }
    headers
}

fn rewritten(fields: &[(&str, &str)], identity: &Identity) -> Result<Vec<String>, Status> {
    let mut headers = map(fields);
    let (host, hop) = (HeaderValue::from_static("svc.ns.svc"), HeaderValue::from_static("own"));
    rewrite(&mut headers, identity, (&host, &hop))?;
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    Ok(lines)
}

const OURS: [&str; 9] = [
    "detectviz-hop: own",
    "host: svc.ns.svc",
    "x-remote-extra-acme.io%2fteam: blue",
    "x-remote-extra-acme.io%2fteam: red",
    "x-remote-extra-scopes: a b",
    "x-remote-group: crew",
    "x-remote-group: system:authenticated",
    "x-remote-uid: 7",
    "x-remote-user: jane",
];

#[test]
fn nothing_that_a_client_says_about_itself_travels() {
    for name in [
        "X-Remote-User",
        "x-remote-user",
        "X_Remote_User",
        "X-Remote_User",
        "x_remote-group",
        "X-REMOTE-GROUP",
        "X-Remote-Uid",
        "X-Remote-Extra-Scopes",
        "X_Remote_Extra_acme.io%2Fteam",
        "X-Remote-Later",
        "Impersonate-User",
        "impersonate_group",
        "Authorization",
        "Cookie",
        "Expect",
        "Forwarded",
        "X-Forwarded-For",
        "X_Forwarded_Host",
        "X-Real-IP",
        "X-HTTP-Method-Override",
        "X_Original_URL",
        "Connection",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
        "proxy_authenticate",
        "TE",
        "Transfer-Encoding",
        "transfer_encoding",
        "Upgrade",
        "HTTP2-Settings",
        "traceparent",
        "tracestate",
        "Host",
    ] {
        assert_eq!(
            rewritten(&[(name, "forged"), (name, "system:masters")], &jane()).unwrap(),
            OURS,
            "{name}"
        );
    }
}

#[test]
fn connection_cannot_remove_what_we_set() {
    let listed =
        "X-Remote-Group, x-remote-user,x-remote-uid , Host, detectviz-hop, x-remote-extra-scopes, close";
    let fields =
        [("Connection", listed), ("Connection", "X-Custom"), ("X-Custom", "1"), ("X-Remote-Group", "a")];
    assert_eq!(rewritten(&fields, &jane()).unwrap(), OURS);
}

#[test]
fn everything_else_travels() {
    let fields = [
        ("accept", "application/json"),
        ("content-length", "3"),
        ("content-type", "application/json"),
        ("user-agent", "kubectl"),
        ("x-remote", "1"),
        ("x-remotely", "1"),
    ];
    let mut expected: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    expected.extend(OURS.map(str::to_owned));
    expected.sort();
    assert_eq!(rewritten(&fields, &jane()).unwrap(), expected);
}

#[test]
fn harmless_trailers_stay_announced() {
    let mut headers = map(&[("Trailer", "Checksum, X-Remote-User, x_remote_group"), ("TE", "trailers")]);
    clean_answer(&mut headers);
    assert_eq!(headers, map(&[("trailer", "checksum")]));
}

#[test]
fn a_request_that_goes_round_is_refused() {
    for fields in
        [&[("detectviz-hop", "own")][..], &[("detectviz-hop", "a, own"), ("connection", "detectviz-hop")]]
    {
        assert_eq!(rewritten(fields, &jane()).unwrap_err().code, 508);
    }
    assert_eq!(rewritten(&[("detectviz-hop", "x"); MAX_HOPS], &jane()).unwrap_err().code, 508);
    let passed = rewritten(&[("detectviz-hop", "another")], &jane()).unwrap();
    assert_eq!(passed[..2], ["detectviz-hop: another", "detectviz-hop: own"]);
}

#[test]
fn an_identity_without_a_uid_has_no_uid_header_and_a_bad_one_is_refused() {
    let plain = Identity { uid: String::new(), extra: BTreeMap::new(), ..jane() };
    assert!(!rewritten(&[], &plain).unwrap().iter().any(|line| line.contains("x-remote-uid")));
    let bad = Identity { groups: vec!["a\r\nX-Remote-Group: system:masters".to_owned()], ..plain };
    assert_eq!(rewritten(&[], &bad).unwrap_err().code, 400);
}

#[test]
fn a_token_among_the_subprotocols_goes_no_further() {
    let token = "base64url.bearer.authorization.k8s.io.c2VjcmV0";
    for (offered, left) in [
        (vec![token, "v4.channel.k8s.io"], Some("v4.channel.k8s.io")),
        (vec!["a, b"], Some("a, b")),
        (vec![token], None),
    ] {
        let mut headers = HeaderMap::new();
        for value in offered {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
        }
        without_token(&mut headers);
        let found = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
        assert_eq!(found.map(|value| value.to_str().unwrap()), left);
    }
}
