//! Reads the sources through figment, then each option by itself, so that one mistake does not hide the next.

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value as Raw};
use figment::{Figment, Profile, Source};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{ENVIRONMENT_PREFIX, Options, TABLE};
use crate::toggles::{Toggles, nearest};

const TOGGLES: &str = "feature_toggles";

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
        let mut loader =
            Loader { figment: figment(sources, file.as_deref()), file, sources, faults: Vec::new() };
        let options = loader.options(toggles);
        let values = loader.values(&options);
        if loader.faults.is_empty() { Ok(Self { options, values }) } else { Err(Faults(loader.faults)) }
    }
}

fn read_file(path: &Path) -> Result<String, Fault> {
    let fault =
        |message: String| Fault { key: path.display().to_string(), origin: "--config".to_owned(), message };
    let text = std::fs::read_to_string(path).map_err(|why| fault(format!("cannot read the file: {why}")))?;
    match Figment::from(Toml::string(&text)).extract::<Dict>() {
        Ok(_) => Ok(text),
        Err(why) => Err(fault(format!("not valid TOML: {}", why.to_string().trim()))),
    }
}

fn figment(sources: &Sources, file: Option<&str>) -> Figment {
    let mut figment = Figment::new();
    for spec in TABLE {
        figment = figment.merge(Serialized::default(spec.key, spec.default));
    }
    if let Some(text) = file {
        figment = figment.merge(Toml::string(text));
    }
    figment = figment.merge(Env::prefixed(ENVIRONMENT_PREFIX).split("__"));
    for flag in &sources.flags {
        figment = figment.merge(Serialized::global(&flag.key, &flag.value));
    }
    figment.select(Profile::Default)
}

struct Loader<'a> {
    figment: Figment,
    file: Option<String>,
    sources: &'a Sources,
    faults: Vec<Fault>,
}

impl Loader<'_> {
    fn options(&mut self, toggles: &[&str]) -> Options {
        let mut options = Options { toggles: Toggles::off(toggles.iter().copied()), ..Options::default() };
        for (key, raw) in self.leaves() {
            let outcome = match key.strip_prefix(TOGGLES).and_then(|rest| rest.strip_prefix('.')) {
                Some(toggle) => set_toggle(&mut options.toggles, toggle, raw.as_deref()),
                None => set_option(&mut options, &key, raw.as_deref()),
            };
            if let Err(message) = outcome {
                self.faults.push(Fault { origin: self.origin(&key), key, message });
            }
        }
        options
    }

    fn values(&self, options: &Options) -> Vec<Value> {
        let given: BTreeMap<_, _> = self.leaves().into_iter().collect();
        let plain = TABLE.iter().map(|spec| {
            let value = given.get(spec.key).cloned().flatten().unwrap_or_else(|| spec.default.to_owned());
            Value { key: spec.key.to_owned(), value, origin: self.origin(spec.key) }
        });
        let toggles = options.toggles.iter().map(|(name, on)| {
            let key = format!("{TOGGLES}.{name}");
            let typed = given.keys().find(|have| have.eq_ignore_ascii_case(&key));
            let origin = typed.map_or_else(|| "default".to_owned(), |typed| self.origin(typed));
            Value { key, value: on.to_string(), origin }
        });
        plain.chain(toggles).collect()
    }

    /// Every leaf of the merged sources: its dotted key, and its text unless it is a list.
    fn leaves(&self) -> Vec<(String, Option<String>)> {
        let mut leaves = Vec::new();
        if let Ok(dict) = self.figment.extract::<Dict>() {
            collect(&dict, "", &mut leaves);
        }
        leaves
    }

    fn origin(&self, key: &str) -> String {
        if let Some(flag) = self.sources.flags.iter().rev().find(|flag| flag.key == key) {
            return format!("flag {}", flag.flag);
        }
        let Some(metadata) = self.figment.find_metadata(key) else { return "default".to_owned() };
        match (&metadata.source, &self.sources.config) {
            (None, _) if metadata.name.contains("environment") => {
                format!("variable {ENVIRONMENT_PREFIX}{}", key.replace('.', "__").to_uppercase())
            }
            (None | Some(Source::Code(_)), Some(path)) if metadata.name.contains("TOML") => {
                let line = self.file.as_deref().and_then(|text| line_of(text, key));
                line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()))
            }
            _ => "default".to_owned(),
        }
    }
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

    fn load(config: &str, flags: &[(&str, &str)]) -> Result<Loaded, Faults> {
        let file = (!config.is_empty()).then(|| config.to_owned());
        let flags = flags.iter().map(|(key, value)| Flag {
            key: (*key).into(),
            flag: format!("--{key}"),
            value: (*value).into(),
        });
        let sources =
            Sources { config: file.as_ref().map(|_| PathBuf::from("d.toml")), flags: flags.collect() };
        let mut loader = Loader {
            figment: figment(&sources, file.as_deref()),
            file,
            sources: &sources,
            faults: Vec::new(),
        };
        let options = loader.options(&crate::toggles::BUILT_IN);
        let values = loader.values(&options);
        if loader.faults.is_empty() { Ok(Loaded { options, values }) } else { Err(Faults(loader.faults)) }
    }

    #[test]
    fn later_sources_win_and_origins_are_told() {
        let config =
            "secure_port = 1\nstorage = \"memory\"\n[feature_toggles]\nkubernetesaggregator = true\n";
        let loaded = load(config, &[("secure_port", "2")]).unwrap();
        assert_eq!(loaded.options.secure_port, 2);
        assert!(loaded.options.toggles.is_on("kubernetesAggregator"));
        let origin = |key: &str| loaded.values.iter().find(|value| value.key == key).unwrap().origin.clone();
        assert_eq!(origin("secure_port"), "flag --secure_port");
        assert_eq!(origin("storage"), "d.toml:2");
        assert_eq!(origin("bind_address"), "default");
        assert_eq!(origin("feature_toggles.kubernetesAggregator"), "d.toml:4");
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let config = "secure_prot = 1\nstorage = \"etc\"\nbind_address = [1]\n[feature_toggles]\nkubernetesAgregator = true\n[limits]\nmax_connections = 0\n";
        let Faults(faults) = load(config, &[("secure_port", "x")]).unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "bind_address",
                "feature_toggles.kubernetesAgregator",
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
