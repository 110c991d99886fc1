//! A table shows objects to people: a version's columns, compiled once, turn each object into a row of cells.
//!
//! A cell whose value is missing is null; kubectl prints `<none>` for it.

mod at;
mod autoscalers;
mod computed;
mod network;
mod path;
mod pods;
mod quota;
mod workloads;

use at::At;
use computed::Computed;
use detectviz_api::definition::{PrinterColumn, Version};
use detectviz_api::timestamp;
use path::JsonPath;
use serde_json::{Value, json};

/// A column that cannot be compiled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("compile column {column:?} with path {path:?}: {reason}")]
pub struct ColumnError {
    /// The column's heading.
    pub column: String,
    /// Its path.
    pub path: String,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

/// The columns of a version's table.
#[derive(Debug)]
pub struct Columns {
    definitions: Value,
    cells: Vec<Cell>,
}

#[derive(Debug)]
enum Cell {
    At(At),
    Function(workloads::Function),
    Computed(Computed),
    Found(JsonPath, Kind),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
}

impl Columns {
    /// Compiles the version's columns: first the name, unless the version places it itself (a column of format
    /// `name`), then its own, or the age when it has none.
    ///
    /// # Errors
    /// Names the first column whose type, path or computation is unknown.
    pub fn compile(version: &Version) -> Result<Self, ColumnError> {
        let own = &version.additional_printer_columns;
        let mut columns = Vec::with_capacity(own.len() + 1);
        if !own.iter().any(|column| column.format == "name") {
            columns.push(name_column());
        }
        if own.is_empty() {
            columns.push(age_column());
        }
        columns.extend(own.iter().cloned());
        let cells = columns.iter().map(Cell::compile).collect::<Result<_, _>>()?;
        Ok(Self { definitions: columns.iter().map(definition).collect(), cells })
    }

    /// The table's `columnDefinitions`.
    pub fn definitions(&self) -> &Value {
        &self.definitions
    }

    /// The object's cells, one a column; ages are counted to now.
    pub fn row(&self, object: &Value) -> Vec<Value> {
        self.cells.iter().map(|cell| cell.value(object)).collect()
    }
}

fn name_column() -> PrinterColumn {
    PrinterColumn {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        description: "The object's name, unique among those of its kind in a namespace.".to_owned(),
        priority: 0,
        json_path: ".metadata.name".to_owned(),
    }
}

fn age_column() -> PrinterColumn {
    PrinterColumn {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        format: String::new(),
        description: "The time since the object was created.".to_owned(),
        priority: 0,
        json_path: ".metadata.creationTimestamp".to_owned(),
    }
}

fn definition(column: &PrinterColumn) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}

impl Cell {
    fn compile(column: &PrinterColumn) -> Result<Self, ColumnError> {
        let cell = match column.json_path.strip_prefix('=') {
            Some(name) => Self::computed(name),
            None => Kind::named(&column.kind)
                .and_then(|kind| JsonPath::parse(&column.json_path).map(|path| Self::Found(path, kind))),
        };
        cell.map_err(|reason| ColumnError {
            column: column.name.clone(),
            path: column.json_path.clone(),
            reason,
        })
    }

    /// The cell that is called `name`: a way to read and a pointer, or one word.
    fn computed(name: &str) -> Result<Self, String> {
        match (name.split_once(' '), workloads::named(name)) {
            (Some((reader, pointer)), _) => At::named(reader, pointer).map(Self::At),
            (None, Some(function)) => Ok(Self::Function(function)),
            (None, None) => Computed::named(name).map(Self::Computed),
        }
    }

    fn value(&self, object: &Value) -> Value {
        match self {
            Self::At(at) => at.value(object),
            Self::Function(function) => function(object),
            Self::Computed(computed) => computed.value(object),
            Self::Found(path, kind) => kind.cell(&path.find(object)),
        }
    }
}

impl Kind {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "string" => Ok(Self::Text),
            "integer" => Ok(Self::Integer),
            "number" => Ok(Self::Number),
            "boolean" => Ok(Self::Boolean),
            "date" => Ok(Self::Date),
            _ => Err(format!(
                "unknown type {name:?}, allowed are \"string\", \"integer\", \"number\", \"boolean\", \"date\""
            )),
        }
    }

    /// The cell for the values that a path found; one of another type than the column's is as good as missing.
    fn cell(self, found: &[&Value]) -> Value {
        let Some(first) = found.first() else { return Value::Null };
        match self {
            Self::Text => found.iter().map(|value| text(value)).collect::<Vec<_>>().join(",").into(),
            Self::Integer => whole(first).map_or(Value::Null, Value::from),
            Self::Number => only(first, first.is_number()),
            Self::Boolean => only(first, first.is_boolean()),
            Self::Date => first.as_str().map_or(Value::Null, age),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The number as an integer, its fraction cut off.
fn whole(value: &Value) -> Option<i64> {
    // The cast saturates, which is as good as any other answer for what does not fit a cell.
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}

fn only(value: &Value, fits: bool) -> Value {
    if fits { value.clone() } else { Value::Null }
}

fn age(text: &str) -> Value {
    match timestamp::parse(text) {
        Some(_) => timestamp::age(text).into(),
        None => "<invalid>".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::definition::{Schema, VersionSchema};

    fn version(columns: Value) -> Version {
        Version {
            name: "v1".to_owned(),
            served: true,
            storage: true,
            schema: VersionSchema { open_api_v3_schema: Schema::default() },
            subresources: None,
            additional_printer_columns: serde_json::from_value(columns).unwrap(),
            selectable_fields: Vec::new(),
        }
    }

    fn names(columns: &Columns) -> Vec<&str> {
        columns.definitions().as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_version_without_columns_shows_name_and_age() {
        let columns = Columns::compile(&version(json!([]))).unwrap();
        assert_eq!(names(&columns), ["Name", "Age"]);
        assert_eq!(columns.definitions()[0]["format"], "name");
        let now = timestamp::now();
        let row = columns.row(&json!({"metadata": {"name": "a", "creationTimestamp": now}}));
        assert_eq!(row[0], "a");
        assert!(row[1].as_str().unwrap().ends_with('s'), "{row:?}");
    }

    #[test]
    fn a_version_may_place_the_name_itself() {
        let own = json!([
            {"name": "Kind", "type": "string", "jsonPath": ".kind"},
            {"name": "Name", "type": "string", "format": "name", "jsonPath": ".metadata.name"},
        ]);
        let columns = Columns::compile(&version(own)).unwrap();
        assert_eq!(names(&columns), ["Kind", "Name"]);
    }

    #[test]
    fn cells_have_the_type_of_their_column() {
        for (kind, value, cell) in [
            ("string", json!("a"), json!("a")),
            ("string", json!(["a", 1]), json!("[\"a\",1]")),
            ("string", json!(true), json!("true")),
            ("string", json!(""), json!("")),
            ("string", Value::Null, Value::Null),
            ("integer", json!(3), json!(3)),
            ("integer", json!(3.7), json!(3)),
            ("integer", json!("3"), Value::Null),
            ("number", json!(3.5), json!(3.5)),
            ("boolean", json!(false), json!(false)),
            ("boolean", json!("false"), Value::Null),
            ("date", json!("yesterday"), json!("<invalid>")),
            ("date", Value::Null, Value::Null),
        ] {
            let own = json!([{"name": "Value", "type": kind, "jsonPath": ".value"}]);
            let row = Columns::compile(&version(own)).unwrap().row(&json!({"value": value}));
            assert_eq!(row, [Value::Null, cell], "{kind} of {value}");
        }
    }

    #[test]
    fn several_values_are_joined() {
        let own = json!([{"name": "Hosts", "type": "string", "jsonPath": ".hosts[*].name"}]);
        let row = Columns::compile(&version(own))
            .unwrap()
            .row(&json!({"metadata": {"name": "x"}, "hosts": [{"name": "a"}, {}, {"name": "b"}]}));
        assert_eq!(row, [json!("x"), json!("a,b")]);
    }

    #[test]
    fn a_faulty_column_is_named() {
        for (kind, path, part) in [
            ("text", ".a", "unknown type"),
            ("string", "a", "starts with '.'"),
            ("string", "=nothing", "allowed are data-count"),
        ] {
            let own = json!([{"name": "Odd", "type": kind, "jsonPath": path}]);
            let error = Columns::compile(&version(own)).unwrap_err().to_string();
            assert!(error.contains("column \"Odd\"") && error.contains(part), "{error}");
        }
    }
}
