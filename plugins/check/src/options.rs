//! JSON Schemas of options: whether one is a schema at all, and what it says about defaults. Only what the host
//! relies on is looked at; a validator of everything would be a large dependency.

use serde_json::{Map, Value};

/// The words that `type` may be.
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// What is wrong with a schema of options; `Ok` if nothing that the host relies on.
pub(crate) fn check(schema: &Value) -> Result<(), String> {
    let Some(object) = schema.as_object() else {
        return Err("the schema is no JSON object, or no JSON at all".into());
    };
    if object.get("type") != Some(&Value::from("object")) {
        return Err("options are a table: the schema needs \"type\": \"object\"".into());
    }
    check_part(schema, schema, "")?;
    let properties = properties(schema);
    for name in required(schema) {
        if !properties.is_some_and(|known| known.contains_key(&name)) {
            return Err(format!("{name} is required and not among the properties"));
        }
    }
    for (name, property) in properties.into_iter().flatten() {
        if let (Some(default), Some(types)) = (property.get("default"), types(property))
            && !types.contains(&type_of(default))
            && !(type_of(default) == "integer" && types.contains(&"number"))
        {
            return Err(format!("the default of {name} is {default}, and its type {}", types.join(" or ")));
        }
    }
    Ok(())
}

/// Looks at a part of a schema and what is in it. `place` is a JSON pointer.
fn check_part(root: &Value, part: &Value, place: &str) -> Result<(), String> {
    let object = match part {
        Value::Bool(_) => return Ok(()),
        Value::Object(object) => object,
        _ => return Err(format!("{place}: a schema is an object or a bool")),
    };
    if let Some(found) = object.get("type") {
        let words: Vec<&Value> = found.as_array().map_or_else(|| vec![found], |list| list.iter().collect());
        if !words.iter().all(|word| word.as_str().is_some_and(|word| TYPES.contains(&word))) {
            return Err(format!("{place}/type: {found} is no type"));
        }
    }
    if let Some(reference) = object.get("$ref") {
        let target = reference.as_str().and_then(|text| text.strip_prefix('#'));
        if target.is_none_or(|pointer| root.pointer(pointer).is_none()) {
            return Err(format!("{place}/$ref: {reference} leads nowhere"));
        }
    }
    for key in ["required", "enum"] {
        if object.get(key).is_some_and(|list| !list.is_array()) {
            return Err(format!("{place}/{key}: not a list"));
        }
    }
    for key in ["properties", "$defs", "definitions", "patternProperties"] {
        match object.get(key) {
            None => {}
            Some(Value::Object(parts)) => {
                for (name, part) in parts {
                    check_part(root, part, &format!("{place}/{key}/{name}"))?;
                }
            }
            Some(_) => return Err(format!("{place}/{key}: not an object")),
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for (index, part) in object.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            check_part(root, part, &format!("{place}/{key}/{index}"))?;
        }
    }
    for key in ["items", "additionalProperties", "not"] {
        if let Some(part) = object.get(key) {
            check_part(root, part, &format!("{place}/{key}"))?;
        }
    }
    Ok(())
}

/// The options that must be given.
pub(crate) fn required(schema: &Value) -> Vec<String> {
    let list = schema.get("required").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Every option that has a default, with it.
pub(crate) fn defaults(schema: &Value) -> Map<String, Value> {
    let stated = |(name, property): (&String, &Value)| Some((name.clone(), property.get("default")?.clone()));
    properties(schema).into_iter().flatten().filter_map(stated).collect()
}

/// The options that have no description.
pub(crate) fn undocumented(schema: &Value) -> Vec<&str> {
    let has_none = |(_, property): &(&String, &Value)| {
        property.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty())
    };
    properties(schema).into_iter().flatten().filter(has_none).map(|(name, _)| name.as_str()).collect()
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// The words of `type`, if it is given.
fn types(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::Array(list) => Some(list.iter().filter_map(Value::as_str).collect()),
        other => Some(other.as_str().into_iter().collect()),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|n| n.fract() != 0.0) => {
            "number"
        }
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_told_from_what_is_none() {
        let good = json!({"type": "object", "$defs": {"Kind": {"enum": ["a"]}}, "required": ["kind"], "properties": {
            "kind": {"$ref": "#/$defs/Kind"}, "step": {"type": ["number", "null"], "default": 1}}});
        assert_eq!(check(&good), Ok(()));
        assert_eq!(required(&good), ["kind"]);
        assert_eq!(Value::from(defaults(&good)), json!({"step": 1}));
        assert_eq!(undocumented(&good), ["kind", "step"]);
        for (bad, part) in [
            (Value::Null, "no JSON"),
            (json!({"type": "array"}), "table"),
            (json!({"type": "object", "properties": []}), "/properties"),
            (json!({"type": "object", "properties": {"x": {"type": "float"}}}), "/properties/x/type"),
            (json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}}), "leads nowhere"),
            (json!({"type": "object", "required": ["x"]}), "x is required"),
            (
                json!({"type": "object", "properties": {"x": {"type": "string", "default": 1}}}),
                "default of x",
            ),
            (json!({"type": "object", "properties": {"x": {"anyOf": [7]}}}), "/properties/x/anyOf/0"),
        ] {
            let reason = check(&bad).unwrap_err();
            assert!(reason.contains(part), "{bad}: {reason}");
        }
    }
}
