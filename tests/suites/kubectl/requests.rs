//! What kubectl asks for, and how little of it twice.

use detectviz_tests::{Line, Server, every_line};
use std::collections::BTreeMap;

/// How many requests were answered, by verb and code, as `/metrics` tells.
#[derive(Clone, Debug)]
pub(super) struct Answered(BTreeMap<(String, u16), u64>);

impl Answered {
    pub(super) fn so_far(server: &Server) -> Self {
        let text = server.admin().get("/metrics").text();
        let counts = text.lines().filter_map(|line| {
            let (labels, count) = line.strip_prefix("apiserver_request_total{")?.split_once("} ")?;
            let labels: Vec<_> = labels.split('"').collect();
            Some(((labels[1].to_owned(), labels[3].parse().ok()?), count.parse().ok()?))
        });
        Self(counts.collect())
    }

    /// What was answered since `before`, without its own request, which is counted once it is answered.
    pub(super) fn since(server: &Server, before: &Self) -> Self {
        let mut now = Self::so_far(server);
        for (key, count) in &before.0 {
            *now.0.entry(key.clone()).or_default() -= count;
        }
        *now.0.entry(("get".to_owned(), 200)).or_default() -= 1;
        now.0.retain(|_, count| *count > 0);
        now
    }

    pub(super) fn of(&self, verb: &str, code: u16) -> u64 {
        self.0.get(&(verb.to_owned(), code)).copied().unwrap_or_default()
    }

    fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

fn asked(server: &Server, arguments: &str) -> Answered {
    let before = Answered::so_far(server);
    server.kubectl(arguments).ok();
    Answered::since(server, &before)
}

#[test]
fn discovery_is_asked_for_once() {
    every_line(|server| {
        let first = asked(&server, "get cm");
        // Everything in two documents, or a document for each group-version and two to find them by.
        let discovery = if server.line() == Line::Current { 2 } else { 2 + 15 };
        assert_eq!((first.of("get", 200), first.of("list", 200)), (discovery, 1), "{first:?}");
        let second = asked(&server, "get secrets");
        assert_eq!((second.of("list", 200), second.all()), (1, 1), "{second:?}");
        // This one wants to know anew.
        let anew = asked(&server, "api-resources");
        assert_eq!((anew.of("get", 304), anew.all()), (discovery, discovery), "{anew:?}");
    });
}

#[test]
fn schemas_are_asked_for_once() {
    every_line(|server| {
        let documents = if server.line() == Line::Current { 2 } else { 1 };
        server.kubectl("get cm").ok();
        let first = asked(&server, "explain configmap");
        assert_eq!((first.of("get", 200), first.all()), (documents, documents), "{first:?}");
        let second = asked(&server, "explain secret");
        assert_eq!((second.of("get", 304), second.all()), (1, 1), "{second:?}");
    });
}

#[test]
fn nothing_is_warned_about_however_closely_one_looks() {
    every_line(|server| {
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata: {a: b}\n";
        for arguments in [
            "apply -f -",
            "apply -f -",
            "get cm -o wide",
            "get cm it -o yaml",
            "get cm --sort-by=.metadata.name",
            "describe ns default",
            "describe cm it",
            "api-resources -o wide",
            "api-versions",
            "explain datasource --recursive",
            "label cm it a=b",
            "delete cm it",
        ] {
            let output = server.kubectl(&format!("{arguments} -v=8")).stdin(manifest).run();
            assert_eq!(output.code, 0, "{output}");
            // klog's head: a letter for the level, month and day.
            let complains = |line: &&str| {
                let (level, rest) = line.split_at_checked(1).unwrap_or_default();
                let is_logged = rest.bytes().take(4).filter(u8::is_ascii_digit).count() == 4;
                "WEF".contains(level) && !level.is_empty() && is_logged || line.starts_with("Warning:")
            };
            let complaints: Vec<_> = output.stderr.lines().filter(complains).collect();
            assert!(complaints.is_empty(), "{arguments}: {complaints:#?}");
        }
    });
}
