//! Compiling a definition: everything that can be wrong with a schema is found here, so that no walk over it can fail.

mod junctors;
mod rules;

use detectviz_api::definition::{Additional, Definition, Schema, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::managed::Form;
use crate::meta;
use crate::node::{Field, Format, Kind, Node, Role, Strategy};

/// Schemas that definitions share, by the name that `$ref` calls them.
pub type Fragments = BTreeMap<String, Schema>;

/// Why a definition cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compile {definition}: {path}: {fault}")]
pub struct CompileError {
    /// The resource, as `plural.group`.
    pub definition: String,
    /// Where in the definition, such as `versions[0].schema.openAPIV3Schema.properties[spec]`.
    pub path: String,
    /// What is wrong there, and what is allowed.
    pub fault: String,
}

/// A definition, ready to serve. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Compiled {
    definition: Arc<Definition>,
    versions: Arc<[CompiledVersion]>,
}

/// One version of a definition, ready to serve. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CompiledVersion {
    /// The version, such as `v1`.
    pub name: Arc<str>,
    /// Whether it is served.
    pub served: bool,
    /// Whether objects are stored in it.
    pub storage: bool,
    pub(crate) root: Arc<Node>,
    /// The kind.
    pub(crate) kind: Arc<str>,
    /// Whether the kind is built in.
    pub(crate) built_in: bool,
    /// The other forms of its objects in which fields are called otherwise.
    pub(crate) forms: Arc<[Form]>,
}

impl CompiledVersion {
    /// Whether the kind is built in: what has a wrong type is then no such object at all, as where Go decodes it.
    pub fn is_built_in(&self) -> bool {
        self.built_in
    }
}

impl Compiled {
    /// Checks and compiles `definition` of a user; its `$ref`s name `fragments`.
    ///
    /// # Errors
    /// The first thing that is wrong with the definition, and where.
    pub fn new(definition: Definition, fragments: &Fragments) -> Result<Self, CompileError> {
        Self::compile(definition, fragments, false)
    }

    /// Checks and compiles `definition` of a built-in kind; its `$ref`s name `fragments`.
    ///
    /// # Errors
    /// The first thing that is wrong with the definition, and where.
    pub fn built_in(definition: Definition, fragments: &Fragments) -> Result<Self, CompileError> {
        Self::compile(definition, fragments, true)
    }

    fn compile(definition: Definition, fragments: &Fragments, built_in: bool) -> Result<Self, CompileError> {
        let versions = check_versions(&definition)
            .and_then(|()| Compiler::new(fragments, built_in).versions(&definition))
            .map_err(|(path, fault)| CompileError {
                definition: format!("{}.{}", definition.names.plural, definition.group),
                path,
                fault,
            })?;
        Ok(Self { definition: Arc::new(definition), versions: versions.into() })
    }

    /// What was compiled, with its `$ref`s as they were written.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// All versions, in the order of the definition.
    pub fn versions(&self) -> &[CompiledVersion] {
        &self.versions
    }

    /// The version called `name`, served or not.
    pub fn version(&self, name: &str) -> Option<&CompiledVersion> {
        self.versions.iter().find(|version| &*version.name == name)
    }

    /// The version in which objects are stored.
    pub fn storage(&self) -> &CompiledVersion {
        self.versions
            .iter()
            .find(|version| version.storage)
            .expect("compiling refuses a definition without one")
    }
}

/// Compiles a schema that stands by itself.
///
/// # Errors
/// Where it is wrong and what is.
pub(crate) fn compile_schema(schema: &Schema) -> Result<Arc<Node>, Fault> {
    Compiler::new(&Fragments::new(), true).node(schema, "")
}

/// A path in the definition and what is wrong there.
pub(crate) type Fault = (String, String);

fn fault<T>(path: &str, fault: impl Into<String>) -> Result<T, Fault> {
    Err((path.to_owned(), fault.into()))
}

fn check_versions(definition: &Definition) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    if let Some(twice) = definition.versions.iter().find(|version| !names.insert(&version.name)) {
        return fault(
            "versions",
            format!("version {:?} stands there twice; each must have its own name", twice.name),
        );
    }
    match definition.versions.iter().filter(|version| version.storage).count() {
        1 => Ok(()),
        count => fault("versions", format!("{count} versions have storage: true; exactly one must")),
    }
}

struct Compiler<'a> {
    fragments: &'a Fragments,
    /// Fragments that are compiled already, so that all that name one share it.
    done: BTreeMap<&'a str, Arc<Node>>,
    /// Fragments that are being compiled, outermost first: one that is met again is a cycle.
    open: Vec<&'a str>,
    built_in: bool,
}

impl<'a> Compiler<'a> {
    fn new(fragments: &'a Fragments, built_in: bool) -> Self {
        Self { fragments, done: BTreeMap::new(), open: Vec::new(), built_in }
    }

    fn versions(mut self, definition: &Definition) -> Result<Vec<CompiledVersion>, Fault> {
        let kind: Arc<str> = definition.names.kind.as_str().into();
        let compile = |(index, version): (usize, &Version)| {
            let path = format!("versions[{index}].schema.openAPIV3Schema");
            Ok(CompiledVersion {
                name: version.name.as_str().into(),
                served: version.served,
                storage: version.storage,
                root: Arc::new(self.root(&version.schema.open_api_v3_schema, &path)?),
                kind: Arc::clone(&kind),
                built_in: self.built_in,
                forms: Arc::default(),
            })
        };
        definition.versions.iter().enumerate().map(compile).collect()
    }

    fn root(&mut self, schema: &Schema, path: &str) -> Result<Node, Fault> {
        let mut node = Arc::unwrap_or_clone(self.node(schema, path)?);
        rules::check_object(&node, path)?;
        self.add_type_and_metadata(&mut node)?;
        node.role = Role::Root;
        Ok(node)
    }

    /// Makes known what every object has: `apiVersion`, `kind` and all of `metadata`.
    fn add_type_and_metadata(&mut self, node: &mut Node) -> Result<(), Fault> {
        let text = Arc::new(Node { kind: Kind::String, ..Node::default() });
        for name in ["apiVersion", "kind"] {
            node.fields.entry(name.to_owned()).or_insert_with(|| Field::of(&text));
        }
        let shared = self.object_meta()?;
        let field = node.fields.entry("metadata".to_owned()).or_insert_with(|| Field::of(&shared));
        if field.node.is_bare() || Arc::ptr_eq(&field.node, &shared) {
            field.node = shared;
            return Ok(());
        }
        // A CRD may narrow the name only, so what it says is laid over what all metadata is.
        let mut whole = (*shared).clone();
        whole.fields.extend(field.node.fields.clone());
        field.node = Arc::new(whole);
        Ok(())
    }

    fn object_meta(&mut self) -> Result<Arc<Node>, Fault> {
        let fragments = self.fragments;
        let built_in = std::mem::replace(&mut self.built_in, true);
        let node = match fragments.keys().find(|name| meta::is_object_meta(name)) {
            Some(name) => self.fragment(name, "metadata"),
            None => self.node(&meta::object_meta(), "metadata"),
        };
        self.built_in = built_in;
        node
    }

    fn fragment(&mut self, name: &str, path: &str) -> Result<Arc<Node>, Fault> {
        if let Some(node) = self.done.get(name) {
            return Ok(Arc::clone(node));
        }
        if self.open.contains(&name) {
            return fault(
                path,
                format!("$ref {name:?} leads back to itself through {}", self.open.join(", ")),
            );
        }
        let Some((name, schema)) = self.fragments.get_key_value(name) else {
            let known: Vec<&str> = self.fragments.keys().map(String::as_str).collect();
            return fault(path, format!("$ref {name:?} names no fragment; there are: {}", known.join(", ")));
        };
        self.open.push(name);
        let node = self.node(schema, path)?;
        self.open.pop();
        self.done.insert(name, Arc::clone(&node));
        Ok(node)
    }

    fn node(&mut self, schema: &Schema, path: &str) -> Result<Arc<Node>, Fault> {
        let node = match &schema.reference {
            None => Arc::new(self.own_node(schema, path)?),
            Some(name) => overlaid(self.fragment(name, path)?, schema),
        };
        rules::check_default(&node, path)?;
        Ok(node)
    }

    fn own_node(&mut self, schema: &Schema, path: &str) -> Result<Node, Fault> {
        let Some(kind) = Kind::of(schema) else {
            return fault(
                &format!("{path}.type"),
                format!("{:?} is no type here; allowed: {TYPES}", schema.kind),
            );
        };
        let fields = self.fields(schema, path)?;
        let items = self.items(schema, kind, path)?;
        let mut node = Node {
            kind,
            format: Format::of(&schema.format, kind, self.built_in),
            nullable: schema.nullable,
            default: schema.default.clone(),
            allowed: schema.allowed.clone(),
            defaulted: rules::defaulted(&fields),
            numbers: rules::numbers(schema, path)?,
            fields,
            required: schema.required.clone(),
            values: self.values(schema, path)?,
            open: Node::is_open(schema),
            atomic: rules::is_atomic_map(schema, kind, path)?,
            list: rules::list_type(schema, kind, items.as_deref(), path)?,
            items,
            bounds: rules::bounds(schema, path)?,
            role: Role::Part,
            junctors: None,
        };
        node.junctors = junctors::compile(schema, &node, path)?;
        if schema.embedded_resource {
            rules::check_object(&node, path)?;
            self.add_type_and_metadata(&mut node)?;
            node.role = Role::Embedded;
        }
        Ok(node)
    }

    fn fields(&mut self, schema: &Schema, path: &str) -> Result<BTreeMap<String, Field>, Fault> {
        let compile = |(name, property): (&String, &Schema)| {
            let merge_key = Some(&property.patch_merge_key).filter(|key| !key.is_empty()).cloned();
            let strategy = Strategy::of(&property.patch_strategy);
            let node = self.node(property, &format!("{path}.properties[{name}]"))?;
            let pointer = property.protobuf_field.is_some() && node.nullable;
            Ok((name.clone(), Field { node, strategy, merge_key, pointer }))
        };
        schema.properties.iter().map(|(name, property)| (name, &**property)).map(compile).collect()
    }

    fn values(&mut self, schema: &Schema, path: &str) -> Result<Option<Arc<Node>>, Fault> {
        let Some(Additional::Schema(values)) = &schema.additional_properties else { return Ok(None) };
        if !schema.properties.is_empty() {
            return fault(path, "properties and additionalProperties exclude each other; give one of them");
        }
        self.node(values, &format!("{path}.additionalProperties")).map(Some)
    }

    fn items(&mut self, schema: &Schema, kind: Kind, path: &str) -> Result<Option<Arc<Node>>, Fault> {
        match (&schema.items, kind) {
            (None, Kind::Array) => fault(&format!("{path}.items"), "an array must say what its items are"),
            (None, _) => Ok(None),
            (Some(items), _) => self.node(items, &format!("{path}.items")).map(Some),
        }
    }
}

/// The fragment `shared`, with what stands beside the `$ref` that names it.
fn overlaid(shared: Arc<Node>, schema: &Schema) -> Arc<Node> {
    let atomic = schema.map_type == "atomic";
    if !schema.nullable && schema.default.is_none() && !atomic {
        return shared;
    }
    let mut node = Arc::unwrap_or_clone(shared);
    node.nullable |= schema.nullable;
    node.atomic |= atomic;
    node.default = schema.default.clone().or(node.default);
    Arc::new(node)
}

const TYPES: &str = "object, array, string, integer, number, boolean, or none with \
                     x-kubernetes-int-or-string or x-kubernetes-preserve-unknown-fields";

impl Field {
    fn of(node: &Arc<Node>) -> Self {
        Self { node: Arc::clone(node), strategy: Strategy::Default, merge_key: None, pointer: false }
    }
}

#[cfg(test)]
mod tests;
