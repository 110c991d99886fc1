//! Schemas of the API machinery's own messages, for definitions that do not bring them along.

use detectviz_api::definition::Schema;

/// `metav1.ObjectMeta`, with its protobuf numbers: what `metadata` is where no fragment says so.
pub fn object_meta() -> Schema {
    serde_json::from_str(include_str!("meta/object-meta.json"))
        .expect("the file is a schema, as its test shows")
}

/// `metav1.DeleteOptions`, with its protobuf numbers. Its scalars are `nullable` where Go has pointers:
/// a zero is then a value, not an absence.
pub fn delete_options() -> Schema {
    serde_json::from_str(include_str!("meta/delete-options.json"))
        .expect("the file is a schema, as its test shows")
}

/// Whether a fragment called `name` is the schema of all `metadata`.
pub(crate) fn is_object_meta(name: &str) -> bool {
    name.rsplit('.').next() == Some("ObjectMeta")
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::definition::ProtobufField;

    #[test]
    fn the_files_are_schemas() {
        let number = |schema: Schema, field: &str| schema.properties[field].protobuf_field.clone();
        assert_eq!(number(object_meta(), "managedFields"), Some(ProtobufField::Own(17)));
        assert_eq!(number(delete_options(), "dryRun"), Some(ProtobufField::Own(5)));
    }
}
