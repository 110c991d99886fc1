//! Reads the sources through figment, then each option by itself, so that one mistake does not hide the next.

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use figment::value::{Dict, Value as Raw};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{ENVIRONMENT_PREFIX, Options, TABLE, etcd};
use crate::toggles::{Toggles, nearest};

const TOGGLES: &str = "feature_toggles.";

/// A value given on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The option's key.
    pub key: String,
    /// The flag as the user typed it, such as `--secure-port`.
    pub flag: String,
    /// The value.
    pub value: String,
}

/// Where options may come from, besides the defaults and the environment.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The command line.
    pub flags: Vec<Flag>,
}

/// One mistake: which key, from where, what is wrong and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The option's key, or the file's path when it cannot be read.
    pub key: String,
    /// Where the value came from.
    pub origin: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// Every mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {many} in the configuration:", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|fault| write!(f, "\n  {} (from {}): {}", fault.key, fault.origin, fault.message))
    }
}

impl std::error::Error for Faults {}

/// An effective value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The option's key.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// Where it came from.
    pub origin: String,
}

/// Options that hold together, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective options.
    pub options: Options,
    /// Every value with its origin, by key.
    pub values: Vec<Value>,
}

impl Loaded {
    /// Reads `sources`; `toggles` are the names that this edition knows.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn load(sources: &Sources, toggles: &[&str]) -> Result<Self, Faults> {
        let file =
            sources.config.as_deref().map(read_file).transpose().map_err(|fault| Faults(vec![fault]))?;
        let environment = leaves(&Figment::from(Env::prefixed(ENVIRONMENT_PREFIX).split("__")));
        Self::of(&given(sources, file.as_deref(), environment), toggles)
    }

    fn of(given: &Given, toggles: &[&str]) -> Result<Self, Faults> {
        let mut options = Options { toggles: Toggles::off(toggles.iter().copied()), ..Options::default() };
        let mut faults = Vec::new();
        for (key, (text, origin)) in given {
            let outcome = match key.strip_prefix(TOGGLES) {
                Some(toggle) => set_toggle(&mut options.toggles, toggle, text.as_deref()),
                None => set_option(&mut options, key, text.as_deref()),
            };
            faults.extend(outcome.err().map(|message| Fault {
                key: key.clone(),
                origin: origin.clone(),
                message,
            }));
        }
        if faults.is_empty() {
            let origin = |key: &str| given.get(key).map_or("default", |(_, origin)| origin).to_owned();
            let unfit = etcd::contradictions(&options).into_iter().chain(half_given(&options));
            faults.extend(unfit.map(|(key, message)| Fault {
                key: key.to_owned(),
                origin: origin(key),
                message,
            }));
        }
        let values = values(given, &options);
        if faults.is_empty() { Ok(Self { options, values }) } else { Err(Faults(faults)) }
    }
}

/// What was set, by key: its text unless it is a list, and where it came from.
type Given = BTreeMap<String, (Option<String>, String)>;

fn read_file(path: &Path) -> Result<String, Fault> {
    let fault =
        |message: String| Fault { key: path.display().to_string(), origin: "--config".to_owned(), message };
    let text = std::fs::read_to_string(path).map_err(|why| fault(format!("cannot read the file: {why}")))?;
    match Figment::from(Toml::string(&text)).extract::<Dict>() {
        Ok(_) => Ok(text),
        Err(why) => Err(fault(format!("not valid TOML: {}", why.to_string().trim()))),
    }
}

/// The sources one over the other: file, environment, flags.
fn given(sources: &Sources, file: Option<&str>, environment: Vec<(String, Option<String>)>) -> Given {
    let mut given = Given::new();
    if let (Some(text), Some(path)) = (file, &sources.config) {
        for (key, value) in leaves(&Figment::from(Toml::string(text))) {
            let line = line_of(text, &key).map_or_else(String::new, |line| format!(":{line}"));
            given.insert(normal(&key), (value, format!("{}{line}", path.display())));
        }
    }
    for (key, value) in environment {
        let name = format!("{ENVIRONMENT_PREFIX}{}", key.replace('.', "__").to_uppercase());
        given.insert(normal(&key), (value, format!("variable {name}")));
    }
    for flag in &sources.flags {
        given.insert(normal(&flag.key), (Some(flag.value.clone()), format!("flag {}", flag.flag)));
    }
    given
}

/// Toggles compare without regard to case, so that a later source finds what an earlier one said.
fn normal(key: &str) -> String {
    let toggle = key.get(..TOGGLES.len()).is_some_and(|start| start.eq_ignore_ascii_case(TOGGLES));
    if toggle { key.to_ascii_lowercase() } else { key.to_owned() }
}

fn leaves(figment: &Figment) -> Vec<(String, Option<String>)> {
    let mut leaves = Vec::new();
    if let Ok(dict) = figment.extract::<Dict>() {
        collect(&dict, "", &mut leaves);
    }
    leaves
}

fn values(given: &Given, options: &Options) -> Vec<Value> {
    let origin =
        |key: &str| given.get(key).map_or_else(|| "default".to_owned(), |(_, origin)| origin.clone());
    let plain = TABLE.iter().map(|spec| {
        let value = given.get(spec.key).and_then(|(text, _)| text.clone());
        Value {
            key: spec.key.to_owned(),
            value: value.unwrap_or_else(|| spec.default.to_owned()),
            origin: origin(spec.key),
        }
    });
    let toggles = options.toggles.iter().map(|(name, on)| {
        let key = format!("{TOGGLES}{name}");
        Value { value: on.to_string(), origin: origin(&normal(&key)), key }
    });
    plain.chain(toggles).collect()
}

fn set_option(options: &mut Options, key: &str, text: Option<&str>) -> Result<(), String> {
    let Some(spec) = TABLE.iter().find(|spec| spec.key == key) else {
        let hint = nearest(key, TABLE.iter().map(|spec| spec.key));
        let hint = hint.map_or_else(
            || "see `detectviz config` for all options".to_owned(),
            |near| format!("did you mean {near:?}?"),
        );
        return Err(format!("unknown option; {hint}"));
    };
    let text = text.ok_or_else(|| format!("must be a single value; allowed: {}", spec.allowed))?;
    (spec.set)(options, text)
        .map_err(|why| format!("{text:?} is not allowed: {why}; allowed: {}", spec.allowed))
}

/// A serving certificate without its key, or the other way round.
fn half_given(options: &Options) -> Option<(&'static str, String)> {
    let is_given = |file: &PathBuf| !file.as_os_str().is_empty();
    let (key, other) = match (is_given(&options.tls.cert_file), is_given(&options.tls.key_file)) {
        (true, false) => ("tls.key_file", "tls.cert_file"),
        (false, true) => ("tls.cert_file", "tls.key_file"),
        _ => return None,
    };
    Some((key, format!("must be given together with {other}")))
}

fn set_toggle(toggles: &mut Toggles, name: &str, text: Option<&str>) -> Result<(), String> {
    let on = match text.map(str::to_ascii_lowercase).as_deref() {
        Some("true") => true,
        Some("false") => false,
        other => {
            return Err(format!("{:?} is not allowed; allowed: true or false", other.unwrap_or("a list")));
        }
    };
    toggles.set(name, on)
}

fn collect(dict: &Dict, prefix: &str, leaves: &mut Vec<(String, Option<String>)>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Raw::Dict(_, inner) => collect(inner, &key, leaves),
            value => leaves.push((key, text_of(value))),
        }
    }
}

fn text_of(value: &Raw) -> Option<String> {
    match value {
        Raw::String(_, text) => Some(text.clone()),
        Raw::Char(_, c) => Some(c.to_string()),
        Raw::Bool(_, on) => Some(on.to_string()),
        Raw::Num(_, number) => {
            let whole =
                number.to_i128().map(|n| n.to_string()).or_else(|| number.to_u128().map(|n| n.to_string()));
            whole.or_else(|| number.to_f64().map(|n| n.to_string()))
        }
        Raw::Empty(..) | Raw::Dict(..) | Raw::Array(..) => None,
    }
}

/// The line, counted from 1, on which `key` is set in a TOML text; good enough for a hint.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut current = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            header.trim().clone_into(&mut current);
        }
        let Some((left, _)) = line.split_once('=') else { continue };
        let left = left.trim().trim_matches('"');
        if (current == table && left == name) || (current.is_empty() && left == key) {
            return Some(index + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(config: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, Faults> {
        let flags = flags.iter().map(|(key, value)| Flag {
            key: (*key).into(),
            flag: format!("--{key}"),
            value: (*value).into(),
        });
        let sources = Sources { config: Some(PathBuf::from("d.toml")), flags: flags.collect() };
        let environment = environment.iter().map(|(key, value)| ((*key).into(), Some((*value).into())));
        Loaded::of(&given(&sources, Some(config), environment.collect()), &crate::toggles::BUILT_IN)
    }

    #[test]
    fn later_sources_win_and_origins_are_told() {
        let config =
            "secure_port = 1\nstorage = \"memory\"\n[feature_toggles]\nkubernetesaggregator = true\n";
        let environment =
            [("bind_address", "::1"), ("secure_port", "3"), ("feature_toggles.dataplaneaggregator", "false")];
        let flags = [("secure_port", "2"), ("feature_toggles.dataplaneAggregator", "true")];
        let loaded = load(config, &environment, &flags).unwrap();
        assert_eq!(loaded.options.secure_port, 2);
        assert!(loaded.options.toggles.iter().all(|(_, on)| on), "a flag wins over a variable in any case");
        let origin = |key: &str| loaded.values.iter().find(|value| value.key == key).unwrap().origin.clone();
        assert_eq!(origin("secure_port"), "flag --secure_port");
        assert_eq!(origin("storage"), "d.toml:2");
        assert_eq!(origin("bind_address"), "variable DETECTVIZ_BIND_ADDRESS");
        assert_eq!(origin("data_dir"), "default");
        assert_eq!(origin("feature_toggles.kubernetesAggregator"), "d.toml:4");
    }

    #[test]
    fn a_serving_certificate_has_a_key() {
        let key = |config: &str| load(config, &[], &[]).err().map(|faults| faults.0[0].key.clone());
        assert_eq!(key("[tls]\ncert_file = \"a\"\n").as_deref(), Some("tls.key_file"));
        assert_eq!(key("[tls]\nkey_file = \"a\"\n").as_deref(), Some("tls.cert_file"));
        assert_eq!(key("[tls]\nkey_file = \"a\"\ncert_file = \"b\"\n"), None);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let config = "secure_prot = 1\nstorage = \"etc\"\nbind_address = [1]\n[feature_toggles]\nkubernetesAgregator = true\n[limits]\nmax_connections = 0\n";
        let Faults(faults) = load(config, &[], &[("secure_port", "x")]).unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "bind_address",
                "feature_toggles.kubernetesagregator",
                "limits.max_connections",
                "secure_port",
                "secure_prot",
                "storage"
            ]
        );
        assert!(
            faults[4].message.contains("did you mean \"secure_port\"?") && faults[4].origin == "d.toml:1",
            "{faults:?}"
        );
        assert!(faults[5].message.contains("allowed: embedded, memory or etcd"), "{faults:?}");
    }
}
