use super::gnostic::{Choice, DOCUMENT, Form, Message};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn a_schema_says_in_v2_no_more_than_v2_can() {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    for (v3, v2) in [
        (reference("a.B"), json!({"$ref": "#/definitions/a.B"})),
        (
            json!({"description": "d", "type": "object", "allOf": [reference("B")]}),
            json!({"description": "d", "$ref": "#/definitions/B"}),
        ),
        (json!({"type": "string", "nullable": true}), json!({})),
        (json!({"x-kubernetes-int-or-string": true}), json!({"x-kubernetes-int-or-string": true})),
        (
            json!({"type": "string", "oneOf": [], "anyOf": [], "not": {}, "allOf": []}),
            json!({"type": "string"}),
        ),
        (
            json!({"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true}),
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        ),
        (
            json!({"type": "array", "items": {}, "x-kubernetes-preserve-unknown-fields": true}),
            json!({"x-kubernetes-preserve-unknown-fields": true}),
        ),
        (
            json!({"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string", "nullable": true}, "b": {"type": "string"}}}),
            json!({"type": "object", "required": ["b"], "properties": {"a": {}, "b": {"type": "string"}}}),
        ),
        (
            json!({"type": "array", "items": reference("B"), "x-kubernetes-list-type": "map"}),
            json!({"type": "array", "items": {"$ref": "#/definitions/B"}, "x-kubernetes-list-type": "map"}),
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string", "nullable": true}}),
            json!({"type": "object", "additionalProperties": {}}),
        ),
        (
            json!({"type": "object", "additionalProperties": true}),
            json!({"type": "object", "additionalProperties": true}),
        ),
    ] {
        assert_eq!(schema::converted(&v3), v2, "{v3}");
    }
}

#[test]
fn an_operation_has_its_body_among_its_parameters() {
    let schema = |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
    let v3 = json!({"openapi": "3.0.0", "components": {"schemas": {}}, "paths": {"/a/{name}": {
        "parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}],
        "put": {
            "operationId": "replaceA", "x-kubernetes-action": "put",
            "parameters": [
                {"name": "dryRun", "in": "query", "schema": {"type": "string"}},
                {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}},
            ],
            "requestBody": {"required": true, "content": {"application/json": schema("A")}},
            "responses": {
                "200": {"description": "OK", "content": {"application/json": schema("A"), "text/x": schema("A")}},
                "default": {"description": "Failure", "content": {"application/json": schema("Status")}},
            },
        },
    }}});
    let reference = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
    assert_eq!(
        merged([&v3])["paths"]["/a/{name}"],
        json!({
            "parameters": [{"name": "name", "in": "path", "required": true, "type": "string", "uniqueItems": true}],
            "put": {
                "operationId": "replaceA", "x-kubernetes-action": "put",
                "consumes": ["application/json"], "produces": ["application/json", "text/x"], "schemes": ["https"],
                "parameters": [
                    {"name": "body", "in": "body", "required": true, "schema": reference("A")},
                    {"name": "dryRun", "in": "query", "type": "string", "uniqueItems": true},
                ],
                "responses": {
                    "200": {"description": "OK", "schema": reference("A")},
                    "default": {"description": "Failure", "schema": reference("Status")},
                },
            },
        })
    );
}

/// One of each form, written out by hand from gnostic's `OpenAPIv2.proto`.
#[test]
fn the_encoding_is_gnostics() {
    let document = json!({
        "swagger": "2.0",
        "paths": {"/a": {"patch": {
            "parameters": [{"name": "dryRun", "in": "query"}, {"name": "body", "in": "body", "schema": {}}],
            "x-b": [1],
        }}},
        "definitions": {"D": {
            "type": "object", "maxLength": 300, "minimum": 1.0, "items": {}, "additionalProperties": false,
            "enum": ["e"], "properties": {"p": {"$ref": "#/r"}},
        }},
        "security": [{"T": []}],
    });
    let bytes = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    // Numbers above 15 take two bytes.
    let far = |number: u32, content: &[u8]| {
        [&[(number << 3 | 2) as u8 | 0x80, (number >> 4) as u8, content.len() as u8], content].concat()
    };
    let query = bytes(3, &[bytes(2, b"query"), bytes(4, b"dryRun")].concat());
    let body = bytes(1, &[bytes(2, b"body"), bytes(3, b"body"), bytes(5, b"")].concat());
    let extension = bytes(13, &[bytes(1, b"x-b"), bytes(2, &bytes(2, b"[1]"))].concat());
    let operation = [bytes(8, &bytes(1, &bytes(2, &query))), bytes(8, &bytes(1, &body)), extension].concat();
    let path = [bytes(1, b"/a"), bytes(2, &bytes(8, &operation))].concat();
    let schema = [
        [9 << 3 | 1].to_vec(),
        1.0_f64.to_le_bytes().to_vec(),
        [11 << 3, 0xac, 0x02].to_vec(),
        far(20, &bytes(2, b"\"e\"")),
        far(21, &[2 << 3, 0]),
        far(22, &bytes(1, b"object")),
        far(23, &bytes(1, b"")),
        far(25, &bytes(1, &[bytes(1, b"p"), bytes(2, &bytes(1, b"#/r"))].concat())),
    ]
    .concat();
    let definition = [bytes(1, b"D"), bytes(2, &schema)].concat();
    let security = bytes(1, &[bytes(1, b"T"), bytes(2, b"")].concat());
    let expected = [
        bytes(1, b"2.0"),
        bytes(8, &bytes(2, &path)),
        bytes(9, &bytes(1, &definition)),
        bytes(12, &security),
    ];
    assert_eq!(protobuf(&document), expected.concat());
}

proptest! {
    /// Decoding by the same tables gives the document back: nothing is lost, cut or mixed up, however it is nested.
    #[test]
    fn what_was_encoded_decodes_to_the_same(document in object(&DOCUMENT, 6)) {
        prop_assert_eq!(decode(&DOCUMENT, &protobuf(&document)), document);
    }

    /// The encoder takes any JSON.
    #[test]
    fn any_json_is_encoded(text in "\\PC*", number in any::<i64>()) {
        for value in [json!(text), json!(number), json!([text]), json!({"paths": text, "definitions": {"a": number}})] {
            read(&protobuf(&value));
        }
    }
}

fn object(message: &'static Message, depth: u32) -> BoxedStrategy<Value> {
    if depth == 0 {
        return Just(json!({})).boxed();
    }
    let field = |(name, _, form): &'static (&'static str, u32, Form)| {
        value(form, depth - 1).prop_map(move |value| (*name, value)).boxed()
    };
    let fields: Vec<_> = message.fields.iter().map(field).collect();
    let some = proptest::sample::subsequence(fields, 0..=message.fields.len().min(3));
    let extension = proptest::option::of(("x-[a-z]{1,5}", leaf()));
    (some.prop_flat_map(|fields| fields), extension)
        .prop_map(|(fields, extension)| {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(fields.chain(extension).collect())
        })
        .boxed()
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,9}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!([{"a": 1}]))
    ]
}

fn value(form: &'static Form, depth: u32) -> BoxedStrategy<Value> {
    match form {
        Form::Text => "\\PC{0,200}".prop_map(Value::from).boxed(),
        Form::Flag => any::<bool>().prop_map(Value::from).boxed(),
        Form::Integer => any::<i64>().prop_map(Value::from).boxed(),
        Form::Number => any::<i32>().prop_map(|number| f64::from(number).into()).boxed(),
        Form::Any => leaf().boxed(),
        Form::One(message) => object(message, depth),
        Form::Each(form) => proptest::collection::vec(value(form, depth), 1..3).prop_map(Value::from).boxed(),
        Form::Named(form) => proptest::collection::btree_map("\\PC{1,9}", value(form, depth), 0..3)
            .prop_map(|named| json!(named))
            .boxed(),
        Form::Within(_, form) => value(form, depth),
        Form::Either(forms) => proptest::sample::select((0..forms.len()).collect::<Vec<_>>())
            .prop_flat_map(move |index| alternative(forms, index, depth))
            .boxed(),
    }
}

/// A value that is read as what form number `index` was made for.
fn alternative(forms: Forms, index: usize, depth: u32) -> BoxedStrategy<Value> {
    let marks = ["body", "path", "query"].map(|place| json!({"in": place}));
    let mark = marks.into_iter().find(|mark| forms.len() == 3 && chosen(forms, mark) == index);
    let marked = value(&forms[index].1, depth).prop_map(move |mut value| {
        if let (Some(Value::Object(mark)), Value::Object(fields)) = (mark.clone(), &mut value) {
            fields.extend(mark);
        }
        value
    });
    marked.boxed()
}

type Forms = &'static [Choice];

fn chosen(forms: Forms, value: &Value) -> usize {
    forms.iter().position(|(fits, _)| fits(value)).unwrap()
}

#[derive(Clone, Debug)]
enum Payload<'a> {
    Varint(u64),
    Fixed([u8; 8]),
    Bytes(&'a [u8]),
}

/// The fields of a message by their number.
fn read(mut bytes: &[u8]) -> BTreeMap<u32, Vec<Payload<'_>>> {
    let mut fields: BTreeMap<u32, Vec<Payload<'_>>> = BTreeMap::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let payload = match tag & 7 {
            0 => Payload::Varint(varint(&mut bytes)),
            1 => Payload::Fixed(take(&mut bytes, 8).try_into().unwrap()),
            2 => {
                let length = varint(&mut bytes);
                Payload::Bytes(take(&mut bytes, length as usize))
            }
            other => panic!("wire type {other}"),
        };
        fields.entry((tag >> 3) as u32).or_default().push(payload);
    }
    fields
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (head, rest) = bytes.split_at(length);
    *bytes = rest;
    head
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

impl<'a> Payload<'a> {
    fn bytes(&self) -> &'a [u8] {
        let Self::Bytes(bytes) = self else { panic!("{self:?} is no run of bytes") };
        bytes
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

fn decode(message: &Message, bytes: &[u8]) -> Value {
    let mut object = Map::new();
    for (number, payloads) in read(bytes) {
        if let Some((name, _, form)) = message.fields.iter().find(|(_, have, _)| *have == number) {
            object.insert((*name).to_owned(), decoded(form, &payloads));
            continue;
        }
        assert_eq!(message.extensions, Some(number));
        let Value::Object(extensions) = decoded(&Form::Named(&Form::Any), &payloads) else { panic!() };
        object.extend(extensions);
    }
    Value::Object(object)
}

fn decoded(form: &Form, payloads: &[Payload<'_>]) -> Value {
    match (form, payloads) {
        (Form::Each(form), _) => {
            payloads.iter().map(|one| decoded(form, std::slice::from_ref(one))).collect()
        }
        (Form::Named(form), _) => {
            let named = payloads.iter().map(|one| {
                let pair = read(one.bytes());
                (pair[&1][0].text(), decoded(form, pair.get(&2).map_or(&[], Vec::as_slice)))
            });
            Value::Object(named.collect())
        }
        (Form::Text, [one]) => one.text().into(),
        (Form::Flag, [Payload::Varint(flag)]) => (*flag == 1).into(),
        (Form::Integer, [Payload::Varint(integer)]) => (*integer as i64).into(),
        (Form::Number, [Payload::Fixed(bits)]) => f64::from_le_bytes(*bits).into(),
        (Form::Any, [one]) => serde_json::from_str(&read(one.bytes())[&2][0].text()).unwrap(),
        (Form::One(message), [one]) => decode(message, one.bytes()),
        (Form::Within(number, form), [one]) => {
            decoded(form, read(one.bytes()).get(number).map_or(&[], Vec::as_slice))
        }
        (Form::Either(forms), [one]) => {
            let (_, form) = forms.iter().find(|(_, form)| fits(form, one)).unwrap();
            decoded(form, payloads)
        }
        (_, other) => panic!("{} payloads where one was expected", other.len()),
    }
}

fn fits(form: &Form, payload: &Payload<'_>) -> bool {
    let Form::Within(number, inner) = form else { return true };
    read(payload.bytes()).get(number).is_some_and(|found| fits(inner, &found[0]))
}
