//! ServiceAccounts: of the Secrets that one names, the names count and nothing else.

use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value};

pub(super) struct ServiceAccounts;

impl Strategy for ServiceAccounts {
    fn prepare_create(&self, object: &mut Value) {
        keep_names(object);
    }

    fn prepare_update(&self, object: &mut Value, _: &Value) {
        keep_names(object);
    }
}

fn keep_names(account: &mut Value) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten();
    for secret in secrets.filter_map(Value::as_object_mut) {
        let name = secret.remove("name");
        *secret = Map::from_iter(name.map(|name| ("name".to_owned(), name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_its_name() {
        let mut account = json!({"secrets": [{"kind": "Secret", "name": "a", "namespace": "b"}, {}, 1]});
        ServiceAccounts.prepare_create(&mut account);
        assert_eq!(account, json!({"secrets": [{"name": "a"}, {}, 1]}));
    }
}
