//! The partition values of `vectors/partitioning/types.json`: spellings, and which key takes which type.

use bailiwick_core::partition::{PartitionKey, PartitionType, PartitionValue};
use serde_json::Value;

#[test]
fn every_case_is_bound_or_refused_as_stated() {
    let vectors = include_str!("../../../vectors/partitioning/types.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 20, "the file has its cases");
    for case in cases {
        let key = PartitionKey {
            partition_type: PartitionType::from_name(case["type"].as_str().unwrap()).unwrap(),
            required: case["required"].as_bool().unwrap(),
        };
        let bound = key.bind(case["bind"].as_str().unwrap());
        assert_eq!(bound.is_ok(), case["ok"].as_bool().unwrap(), "{case}: {bound:?}");
        let message = bound.as_ref().map_err(ToString::to_string).err();
        match case["error"].as_str() {
            Some(expected) if expected.starts_with("attempted") => {
                assert_eq!(message.as_deref(), Some(expected), "{case}");
            }
            _ => (),
        }
        if let Ok(value) = bound {
            assert_eq!(value, PartitionValue::parse(&case["value"].to_string()).unwrap(), "{case}");
        }
    }
}
