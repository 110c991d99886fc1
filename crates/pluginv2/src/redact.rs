//! A secret never reaches a log by way of `{:?}`: the two messages that carry secrets show only their names.

use std::collections::BTreeMap;
use std::fmt;

use crate::proto::{AppInstanceSettings, DataSourceInstanceSettings};

/// The names of the secrets, never their values.
fn names(secrets: &BTreeMap<String, String>) -> Vec<&str> {
    secrets.keys().map(String::as_str).collect()
}

impl fmt::Debug for AppInstanceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppInstanceSettings")
            .field("last_updated_ms", &self.last_updated_ms)
            .field("api_version", &self.api_version)
            .field("secrets", &names(&self.decrypted_secure_json_data))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DataSourceInstanceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSourceInstanceSettings")
            .field("id", &self.id)
            .field("uid", &self.uid)
            .field("name", &self.name)
            .field("last_updated_ms", &self.last_updated_ms)
            .field("api_version", &self.api_version)
            .field("secrets", &names(&self.decrypted_secure_json_data))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::PluginContext;

    #[test]
    fn debug_names_secrets_and_hides_their_values() {
        let secrets = BTreeMap::from([("password".to_owned(), "hunter2".to_owned())]);
        let context = PluginContext {
            app_instance_settings: Some(AppInstanceSettings {
                decrypted_secure_json_data: secrets.clone(),
                ..AppInstanceSettings::default()
            }),
            data_source_instance_settings: Some(DataSourceInstanceSettings {
                uid: "main".to_owned(),
                decrypted_secure_json_data: secrets,
                ..DataSourceInstanceSettings::default()
            }),
            ..PluginContext::default()
        };
        let shown = format!("{context:?}");
        assert_eq!(shown.matches("password").count(), 2, "{shown}");
        assert!(shown.contains("main") && !shown.contains("hunter2"), "{shown}");
    }
}
