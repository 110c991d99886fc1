//! The command line, the same in every edition: it reads options, builds the server in named phases, and prints for
//! people or, with `-o json`, for programs.

mod args;
mod data_dir;
mod print;
mod reference;
mod serve;
mod store;
mod telemetry;

pub use detectviz_core::Edition;

use args::{Arguments, Command, Config, ConfigPage};
use clap::Parser;
use detectviz_controlplane::definitions::{Extent, groups_of};
use detectviz_core::EditionTable;
use detectviz_core::options::{Faults, Loaded};
use std::process::ExitCode;

/// The exit code of a command that was given bad options; others that fail end with 1.
const BAD_OPTIONS: u8 = 2;

/// Runs the command line of `edition`.
pub fn run(edition: Edition) -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(edition, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            print::error(&fault);
            if fault.is::<Faults>() { ExitCode::from(BAD_OPTIONS) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(edition: Edition, arguments: &Arguments) -> anyhow::Result<()> {
    let table = EditionTable::collect(edition)?;
    match &arguments.command {
        Command::Serve(serve) => serve::run(&table, serve.sources()),
        Command::Editions(shown) => {
            let loaded = Loaded::load(&shown.sources(), &table.toggles())?;
            let extent = Extent::of(loaded.options.batteries);
            let groups = groups_of(extent)?.len();
            print::editions(&table.report(&loaded.options.toggles, groups), shown.output)
        }
        Command::Config(Config { page: Some(ConfigPage::Docs), .. }) => {
            print::page(reference::options().as_bytes())
        }
        Command::Config(Config { page: None, shown }) => {
            print::config(&Loaded::load(&shown.sources(), &table.toggles())?, shown.output)
        }
        Command::Completions { shell } => print::page(&reference::completions(*shell)),
        Command::Store(store) => store::run(&table, store),
        Command::Version(shown) => print::version(edition, shown.output),
    }
}
