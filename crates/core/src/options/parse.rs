//! How values of options are read. Each says what is wrong with a text; what is allowed stands in the table.

use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub(super) fn parsed<T: FromStr>(text: &str, slot: &mut T) -> Result<(), String>
where
    T::Err: std::fmt::Display,
{
    *slot = text.parse().map_err(|fault: T::Err| fault.to_string())?;
    Ok(())
}

pub(super) fn log_level(text: &str, slot: &mut String) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default().trim();
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) || part.starts_with('=') {
            return Err(format!("{part:?} names no level"));
        }
    }
    text.clone_into(slot);
    Ok(())
}

pub(super) fn serving_names(text: &str, slot: &mut Vec<String>) -> Result<(), String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let checked = names.map(|name| match name.parse::<IpAddr>() {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => detectviz_api::names::check_dns_subdomain(name)
            .map(|()| name.to_owned())
            .map_err(|_| format!("{name:?} is neither a DNS name nor an IP address")),
    });
    *slot = checked.collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) fn path(text: &str, slot: &mut PathBuf) -> Result<(), String> {
    *slot = PathBuf::from(text);
    Ok(())
}

pub(super) fn folders(text: &str, slot: &mut Vec<PathBuf>) -> Result<(), String> {
    let paths = text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(Path::new);
    let plain = |path: &Path| {
        path.is_absolute() && path.components().all(|part| !matches!(part, Component::ParentDir))
    };
    let checked = paths.map(|path| match plain(path) {
        true => Ok(path.components().collect()),
        false => Err(format!("{:?} is no absolute path without \"..\"", path.display().to_string())),
    });
    *slot = checked.collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) fn number(
    text: &str,
    range: std::ops::RangeInclusive<usize>,
    slot: &mut usize,
) -> Result<(), String> {
    let value: usize = text.parse().map_err(|_| "not a whole number".to_owned())?;
    if !range.contains(&value) {
        return Err("out of range".to_owned());
    }
    *slot = value;
    Ok(())
}

pub(super) fn seconds(
    text: &str,
    range: std::ops::RangeInclusive<usize>,
    slot: &mut Duration,
) -> Result<(), String> {
    let mut value = 0;
    number(text, range, &mut value)?;
    *slot = Duration::from_secs(value as u64);
    Ok(())
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)], slot: &mut T) -> Result<(), String> {
    let chosen = choices.iter().find(|(name, _)| *name == text);
    *slot = chosen.ok_or_else(|| "not one of the choices".to_owned())?.1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_level_is_one_or_is_for_a_target() {
        let mut level = String::new();
        for good in ["info", "WARN", "info,detectviz_server=debug", "off"] {
            assert!(log_level(good, &mut level).is_ok() && level == good, "{good}");
        }
        for bad in ["loud", "", ",,=", "info,", "a=b", "=info"] {
            assert!(log_level(bad, &mut level).is_err(), "{bad}");
        }
    }

    #[test]
    fn folders_are_absolute() {
        let mut found = Vec::new();
        folders("/run/a, /run//b/.,", &mut found).unwrap();
        assert_eq!(found, [Path::new("/run/a"), Path::new("/run/b")]);
        folders("", &mut found).unwrap();
        assert!(found.is_empty());
        for bad in ["run", "/run/../etc", "/a,b"] {
            assert!(folders(bad, &mut found).is_err(), "{bad}");
        }
    }

    #[test]
    fn serving_names_are_names_or_addresses() {
        let mut names = Vec::new();
        serving_names("api.example.com, 10.0.0.1,::1", &mut names).unwrap();
        assert_eq!(names, ["api.example.com", "10.0.0.1", "::1"]);
        for bad in ["https://a", "a b", "a:6443"] {
            assert!(serving_names(bad, &mut names).is_err(), "{bad}");
        }
    }
}
