//! What is sent.

/// The most bytes of a body, by default.
const FULL: usize = 3 * 1024 * 1024;
/// As large as fits beside the rest of an object.
const ALMOST: usize = FULL - 1000;
/// Levels that no stack has room for.
const DEEP: usize = 100_000;

/// A body, and what may be answered.
pub(super) struct Body {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) is_yaml: bool,
    pub(super) allowed: &'static [u16],
}

const REFUSED: &[u16] = &[400];
const INVALID: &[u16] = &[400, 422];
/// The store may be one that does not take objects of this size.
const ANY: &[u16] = &[200, 201, 400, 413, 422];

fn json(name: &'static str, text: String, allowed: &'static [u16]) -> Body {
    Body { name, text, is_yaml: false, allowed }
}

fn yaml(name: &'static str, text: String, allowed: &'static [u16]) -> Body {
    Body { name, text, is_yaml: true, allowed }
}

/// An object whose free settings hold `value`.
fn with(value: &str) -> String {
    with_metadata(r#""name":"hostile""#, value)
}

fn with_metadata(metadata: &str, value: &str) -> String {
    // What names no object is an update of the one in the path.
    format!(
        r#"{{"apiVersion":"datasource.detectviz.io/v0alpha1","kind":"DataSource","metadata":{{{metadata}}},"spec":{{"type":"x","jsonData":{{"x":{value}}}}}}}"#
    )
}

fn yaml_with(value: &str) -> String {
    let head =
        "apiVersion: datasource.detectviz.io/v0alpha1\nkind: DataSource\nmetadata: {\"name\":\"hostile\"}\n";
    format!("{head}spec:\n  type: x\n  jsonData:\n    x: {value}\n")
}

/// As many of `piece`, joined by commas, as fill a body.
fn full_of(piece: &str) -> String {
    vec![piece; ALMOST / (piece.len() + 1)].join(",")
}

/// Numbered keys, as many as fill a body.
fn keys(prefix: &str, value: &str) -> String {
    let size = prefix.len() + value.len() + 12;
    let key = |number| format!("\"{prefix}{number}\":{value}");
    (0..ALMOST / size).map(key).collect::<Vec<_>>().join(",")
}

pub(super) fn bodies() -> Vec<Body> {
    [deep(), scalars(), keyed(), many(), in_yaml()].into_iter().flatten().collect()
}

fn deep() -> Vec<Body> {
    vec![
        json("lists in lists", with(&format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP))), REFUSED),
        json(
            "objects in objects",
            with(&format!("{}1{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP))),
            REFUSED,
        ),
        json("brackets without end", "[".repeat(FULL), REFUSED),
        json("as deep as a parser goes", with(&format!("{}{}", "[".repeat(120), "]".repeat(120))), REFUSED),
    ]
}

fn scalars() -> Vec<Body> {
    let digits = "9".repeat(ALMOST);
    vec![
        json("a number beyond floats", with("1e999999"), REFUSED),
        json("a number beyond its exponent", with(&format!("1e{digits}")), REFUSED),
        json("a long number", with(&digits), REFUSED),
        json("a long number below zero", with(&format!("-{digits}")), REFUSED),
        json("a long fraction", with(&format!("0.{digits}")), ANY),
        json("a number that is almost nothing", with("1e-999999"), ANY),
        json("escapes", with(&format!("\"{}\"", "\\u0041".repeat(ALMOST / 6))), ANY),
        json("escaped controls", with(&format!("\"{}\"", "\\u0001".repeat(ALMOST / 6))), ANY),
        json(
            "half a pair",
            with(&format!("\"{}\\ud800\"", "\\ud83d\\ude00".repeat(ALMOST / 12 - 1))),
            REFUSED,
        ),
        json("quotes", with(&format!("\"{}\"", "\\\"".repeat(ALMOST / 2))), ANY),
    ]
}

fn keyed() -> Vec<Body> {
    let key = "k".repeat(ALMOST);
    let pair = format!("\"{key}\":\"v\"");
    let labels = |pairs: &str| with_metadata(&format!(r#""name":"hostile","labels":{{{pairs}}}"#), "1");
    let annotations =
        |pairs: &str| with_metadata(&format!(r#""name":"hostile","annotations":{{{pairs}}}"#), "1");
    vec![
        json("a huge key", with(&format!("{{{pair}}}")), ANY),
        json("a huge key of a label", labels(&pair), INVALID),
        json("a huge key of an annotation", annotations(&pair), INVALID),
        json("a huge key that is unknown", with_metadata(&format!("\"name\":\"hostile\",{pair}"), "1"), ANY),
        json("labels that are none", labels(&keys("-", "\"\"")), INVALID),
        json(
            "owners that are none",
            with_metadata(
                &format!(
                    r#""name":"hostile","ownerReferences":[{}]"#,
                    (0..400_000).map(|number| number.to_string()).collect::<Vec<_>>().join(",")
                ),
                "1",
            ),
            INVALID,
        ),
        json("labels of a wrong type", labels(&keys("k", "1")), INVALID),
        json("one key again and again", with(&format!("{{{}}}", full_of("\"k\":1"))), REFUSED),
        json("some keys again and again", with(&format!("{{{}}}", vec!["\"k\":1"; 100_000].join(","))), ANY),
        json("unknown fields", with_metadata(&format!("\"name\":\"hostile\",{}", keys("k", "1")), "1"), ANY),
    ]
}

fn many() -> Vec<Body> {
    vec![
        json("empty lists", with(&format!("[{}]", full_of("[]"))), REFUSED),
        json("empty objects", with(&format!("[{}]", full_of("{}"))), REFUSED),
        json("small objects", with(&format!("[{}]", full_of("{\"\":0}"))), REFUSED),
        json("numbers", with(&format!("[{}]", full_of("0"))), REFUSED),
        json(
            "as many small objects as are read",
            with(&format!("[{}]", vec!["{\"\":0}"; 90_000].join(","))),
            ANY,
        ),
    ]
}

fn in_yaml() -> Vec<Body> {
    let doubled = |levels: usize| {
        let level = |n: usize| format!("\n    - &l{} [{}]", n + 1, vec![format!("*l{n}"); 10].join(","));
        yaml_with(&format!("\n    - &l0 [x]{}", (0..levels).map(level).collect::<String>()))
    };
    vec![
        yaml("aliases of aliases", doubled(9), REFUSED),
        yaml("an alias of itself", yaml_with("&a [*a]"), REFUSED),
        yaml(
            "long aliases",
            yaml_with(&format!("[&a {}, {}]", "x".repeat(ALMOST / 2), vec!["*a"; 1000].join(","))),
            REFUSED,
        ),
        yaml("flow lists in flow lists", yaml_with(&"[".repeat(DEEP)), REFUSED),
        yaml("flow maps in flow maps", yaml_with(&"{a: ".repeat(DEEP)), REFUSED),
        yaml("block lists in block lists", yaml_with(&format!("\n    {}", "- ".repeat(DEEP))), REFUSED),
        yaml("keys of keys", yaml_with(&format!("\n    {}", "? ".repeat(DEEP))), REFUSED),
        // What stands in brackets may turn out to be a key, so that whoever reads it keeps all of it.
        yaml("numbers in brackets", yaml_with(&format!("[{}]", full_of("0"))), REFUSED),
        yaml("lists in brackets", yaml_with(&format!("[{}]", "[]".repeat(ALMOST / 2))), REFUSED),
        yaml("keys in brackets", yaml_with(&format!("[{}]", "? ".repeat(ALMOST / 2))), REFUSED),
        yaml("texts in brackets", yaml_with(&format!("[{}]", "\"\"".repeat(ALMOST / 2))), REFUSED),
        yaml("anchors in brackets", yaml_with(&format!("[{}]", "&a ".repeat(ALMOST / 3))), REFUSED),
        yaml(
            "as many numbers in brackets as are read",
            yaml_with(&format!("[{}]", vec!["0"; 490_000].join(","))),
            ANY,
        ),
        yaml("a number beyond floats", yaml_with("1e999999"), ANY),
        yaml("a long number", yaml_with(&"9".repeat(ALMOST)), ANY),
        yaml("a long hexadecimal number", yaml_with(&format!("0x{}", "f".repeat(ALMOST))), ANY),
        yaml("documents", "---\n".repeat(FULL / 4), REFUSED),
        yaml(
            "anchors",
            yaml_with(&(0..200_000).map(|n| format!("\n    - &a{n} x")).collect::<String>()),
            ANY,
        ),
    ]
}

/// Programs that a client has the server run.
pub(super) fn json_patches() -> Vec<Body> {
    let patch =
        |name, operations: Vec<String>, allowed| json(name, format!("[{}]", operations.join(",")), allowed);
    let add = |path: &str, value: &str| format!(r#"{{"op":"add","path":"{path}","value":{value}}}"#);
    let copy = |from: &str, to: &str| format!(r#"{{"op":"copy","from":"{from}","path":"{to}"}}"#);
    let moved = |from: &str, to: &str| format!(r#"{{"op":"move","from":"{from}","path":"{to}"}}"#);
    let free = "/spec/jsonData";
    let begun = |value: &str, rest: Vec<String>| [vec![add(&format!("{free}/a"), value)], rest].concat();
    let a = &format!("{free}/a");
    let long = &format!("[{}]", vec!["0"; 400_000].join(","));
    let text = &format!("[\"{}\"]", "x".repeat(1000));
    let doubling = (0..19).map(|power| copy(a, &format!("{a}{}", "/b".repeat(1 << power)))).collect();
    vec![
        patch("copies of copies", begun(text, vec![copy(a, &format!("{a}/-")); 200]), &[413]),
        patch("a document nested into itself", begun("{}", doubling), &[413]),
        patch("too many operations", vec![add(a, "1"); 10_001], &[413]),
        patch("operations for ever", vec![add(a, "1"); 60_000], &[413]),
        patch("items before many others", begun(long, vec![add(&format!("{a}/0"), "0"); 9_000]), &[413]),
        patch(
            "items moved among many",
            begun(long, vec![moved(&format!("{a}/0"), &format!("{a}/390000")); 9_000]),
            &[413],
        ),
        patch("a long pointer", vec![add(&"/a".repeat(ALMOST / 2 - 50), "1")], &[413, 422]),
        patch(
            "a pointer of escapes",
            vec![add(&format!("{a}/{}", "~0".repeat(ALMOST / 2 - 50)), "1")],
            &[200, 413, 422],
        ),
        patch(
            "an index without end",
            begun("[]", vec![add(&format!("{a}/{}", "9".repeat(2_000_000)), "1")]),
            &[422],
        ),
        patch("a value too deep", vec![add(a, &"[".repeat(DEEP))], REFUSED),
        patch("too many values", vec![add(a, &format!("[{}]", full_of("{}")))], REFUSED),
        patch("a number beyond floats", vec![add(a, "1e999999")], REFUSED),
        patch("one key again and again", vec![format!("{{{}}}", full_of(r#""op":"add""#))], REFUSED),
        patch(
            "tests of a large value",
            begun(long, vec![format!(r#"{{"op":"test","path":"{free}","value":1}}"#); 9_000]),
            &[422],
        ),
        patch("itself within itself", vec![moved("/spec", a)], &[400, 422]),
        patch("nothing left", vec![r#"{"op":"remove","path":""}"#.to_owned()], &[400, 422]),
    ]
}
