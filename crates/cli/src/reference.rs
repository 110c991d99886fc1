//! Pages that are made of what the command line and the table of options say: completions, and the options' reference.

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use detectviz_core::options::{ENVIRONMENT_PREFIX, TABLE};
use detectviz_core::toggles::BUILT_IN;
use std::collections::BTreeMap;
use std::fmt::Write;

use crate::args::{Arguments, Command};

/// What binaries are called.
const PROGRAM: &str = "detectviz";

/// The script that lets `shell` complete the command line.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
    script
}

/// The reference of all options, in Markdown.
pub(crate) fn options() -> String {
    let mut page = INTRODUCTION.to_owned();
    let flags = flags();
    let mut last = None;
    let mut specs: Vec<_> =
        TABLE.iter().map(|spec| (spec.key.split_once('.').map(|(of, _)| of), spec)).collect();
    specs.sort_by_key(|(section, _)| *section);
    for (of, spec) in specs {
        if last.replace(of) != Some(of) {
            let title = of.map_or_else(|| "## The server itself".to_owned(), |of| format!("## `[{of}]`"));
            page += &format!("\n{title}\n\n{HEAD}");
        }
        let row = Row {
            key: spec.key,
            flag: flags.get(spec.key).map(String::as_str),
            default: spec.default,
            allowed: spec.allowed,
            help: spec.help,
        };
        row.write(&mut page);
    }
    page += &format!("\n## `[feature_toggles]`\n\n{TOGGLES}\n{HEAD}");
    for name in BUILT_IN {
        let (key, help) = (format!("feature_toggles.{name}"), toggle_help(name));
        let flag = Some("--toggle");
        Row { key: &key, flag, default: "false", allowed: "true or false", help }.write(&mut page);
    }
    page
}

const INTRODUCTION: &str = "\
# Options

<!-- Made by `detectviz config docs`; do not edit. -->

Each option has a key in the configuration file (TOML, given as `--config`), a variable in the environment, and some have
a flag. Later ones win: the default, the file, the environment, the flag. `detectviz config` shows the value that each has
and where it comes from. Every mistake is told at once, with where it was made.
";

const HEAD: &str = "| key | default | allowed | what it does |\n|---|---|---|---|\n";

const TOGGLES: &str =
    "A part starts when its toggle is on and the edition has it; names compare without regard to case.\n";

/// One option, as a row of a table.
struct Row<'t> {
    key: &'t str,
    flag: Option<&'t str>,
    default: &'t str,
    allowed: &'t str,
    help: &'t str,
}

impl Row<'_> {
    fn write(&self, page: &mut String) {
        let variable = format!("{ENVIRONMENT_PREFIX}{}", self.key.replace('.', "__").to_uppercase());
        let flag = self.flag.map_or_else(String::new, |flag| format!("<br>`{flag}`"));
        let default = if self.default.is_empty() { "none".to_owned() } else { format!("`{}`", self.default) };
        let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
        let (allowed, help) = (cell(self.allowed), cell(self.help));
        // Writing to a text cannot fail.
        let _ = writeln!(page, "| `{}`<br>`{variable}`{flag} | {default} | {allowed} | {help} |", self.key);
    }
}

fn toggle_help(name: &str) -> &'static str {
    match name {
        detectviz_core::toggles::KUBERNETES_AGGREGATOR => "puts other API servers behind this one's address",
        detectviz_core::toggles::DATAPLANE_AGGREGATOR => "puts backend plugins behind this server's address",
        _ => "",
    }
}

/// The flags of `serve` by the keys that they set, found out by giving each of them.
fn flags() -> BTreeMap<String, String> {
    let command = Arguments::command();
    let serve = command.find_subcommand("serve");
    let names = serve.into_iter().flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long);
    let one = |name: &str| {
        let flag = format!("--{name}");
        let given = Arguments::try_parse_from([PROGRAM, "serve", &format!("{flag}=true")]).ok()?;
        let Command::Serve(serve) = given.command else { return None };
        Some((serve.sources().flags.pop()?.key, flag))
    };
    names.filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn the_committed_reference_is_the_one_that_is_made() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/options.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let hint = "docs/options.md is not what the table of options says; make it again with\n  \
                    cargo run -p detectviz-oss -- config docs > docs/options.md";
        assert!(committed == options(), "{hint}");
    }

    #[test]
    fn every_option_and_toggle_is_in_the_reference() {
        let page = options();
        for key in TABLE
            .iter()
            .map(|spec| spec.key.to_owned())
            .chain(BUILT_IN.map(|t| format!("feature_toggles.{t}")))
        {
            assert_eq!(page.matches(&format!("| `{key}`<br>")).count(), 1, "{key}");
        }
        assert!(page.contains("`data_dir`<br>`DETECTVIZ_DATA_DIR`<br>`--data-dir` | `./data` |"), "{page}");
        assert!(page.contains("`DETECTVIZ_LIMITS__MAX_BODY_BYTES` | `3145728` |"), "{page}");
        assert!(BUILT_IN.iter().all(|name| !toggle_help(name).is_empty()));
        assert!(
            page.lines().filter(|line| line.starts_with("| ")).all(|line| line.matches(" | ").count() == 3)
        );
    }

    #[test]
    fn each_shell_has_its_script() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(*shell)).unwrap();
            for word in ["detectviz", "completions", "secure-port", "compact"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
