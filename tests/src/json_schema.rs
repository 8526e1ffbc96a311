//! As much of JSON Schema as the schemas that tests check against use. A keyword that is not known here ends the test, so that
//! nothing passes because nobody looked.

use serde_json::Value;

/// Where a document is not as a schema says; empty where it is. References are resolved in `root`.
pub fn problems(root: &Value, schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(root, schema, document, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, document: &Value, place: &str, found: &mut Vec<String>) {
    let Value::Object(keywords) = schema else { panic!("{place}: {schema} is no schema") };
    for (keyword, expected) in keywords {
        match keyword.as_str() {
            "$ref" => {
                let path = expected.as_str().unwrap().strip_prefix('#').unwrap();
                let target = root.pointer(path).unwrap_or_else(|| panic!("{place}: no {path}"));
                check(root, target, document, place, found);
            }
            "type" => {
                let is_of = |name: &Value| match name.as_str().unwrap() {
                    "string" => document.is_string(),
                    "integer" => document.is_i64() || document.is_u64(),
                    "number" => document.is_number(),
                    "boolean" => document.is_boolean(),
                    "object" => document.is_object(),
                    "array" => document.is_array(),
                    "null" => document.is_null(),
                    other => panic!("{place}: the type {other} is not known here"),
                };
                let is_any =
                    expected.as_array().map_or_else(|| is_of(expected), |names| names.iter().any(is_of));
                if !is_any {
                    found.push(format!("{place}: {document} is not of type {expected}"));
                }
            }
            "enum" if !expected.as_array().unwrap().contains(document) => {
                found.push(format!("{place}: {document} is none of {expected}"));
            }
            "required" => {
                for key in expected.as_array().unwrap() {
                    if document.get(key.as_str().unwrap()).is_none() {
                        found.push(format!("{place}: {key} is missing"));
                    }
                }
            }
            "items" => {
                for (index, item) in document.as_array().into_iter().flatten().enumerate() {
                    check(root, expected, item, &format!("{place}[{index}]"), found);
                }
            }
            "properties" => {
                for (key, value) in document.as_object().into_iter().flatten() {
                    if let Some(schema) = expected.get(key) {
                        check(root, schema, value, &format!("{place}.{key}"), found);
                    }
                }
            }
            "additionalProperties" => {
                let known = keywords.get("properties");
                let others = document.as_object().into_iter().flatten();
                for (key, value) in
                    others.filter(|(key, _)| known.is_none_or(|known| known.get(key).is_none()))
                {
                    match expected {
                        Value::Bool(true) => {}
                        Value::Bool(false) => found.push(format!("{place}: there is no key {key}")),
                        schema => check(root, schema, value, &format!("{place}.{key}"), found),
                    }
                }
            }
            "oneOf" => {
                let matching = expected.as_array().unwrap().iter();
                let count = matching.filter(|schema| problems(root, schema, document).is_empty()).count();
                if count != 1 {
                    found.push(format!("{place}: {document} is {count} of {expected}"));
                }
            }
            // ranges of whole numbers and forms of texts, which the type says well enough
            "enum" | "format" | "$comment" | "$schema" => {}
            other => panic!("{place}: the keyword {other} is not known here"),
        }
    }
}
