//! The JSON form of changesets: what the test vectors use, and what a person can read.
//!
//! An instruction is an object with `op` and its fields in the order of the wire; interned strings are
//! replaced by their text. Integers beyond 2^53-1 are strings of decimal digits.

mod bits;
mod convert;

use serde::{Deserialize, Serialize};

use bits::{Hex, HexBytes, Int};

/// A changeset as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangesetJson {
    /// The interned strings, by index.
    pub strings: Vec<String>,
    /// The instructions.
    pub instructions: Vec<InstructionJson>,
}

/// Why JSON is not a changeset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A field that the instruction needs is missing.
    #[error("{op} needs {field}")]
    Missing {
        /// The instruction.
        op: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A type cannot be a primary key.
    #[error("a primary key cannot be of type {0:?}")]
    PrimaryKeyType(TypeJson),
}

/// An instruction as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of `Instruction`")]
pub enum InstructionJson {
    AddTable {
        table: String,
        kind: TableKindJson,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pk_field: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pk_type: Option<TypeJson>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pk_nullable: Option<bool>,
    },
    EraseTable {
        table: String,
    },
    CreateObject {
        table: String,
        object: KeyJson,
    },
    EraseObject {
        table: String,
        object: KeyJson,
    },
    Update {
        #[serde(flatten)]
        target: TargetJson,
        value: ValueJson,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prior_size: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_default: Option<bool>,
    },
    AddInteger {
        #[serde(flatten)]
        target: TargetJson,
        value: Int,
    },
    AddColumn {
        table: String,
        field: String,
        r#type: TypeJson,
        nullable: bool,
        collection: CollectionJson,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link_target: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_type: Option<TypeJson>,
    },
    EraseColumn {
        table: String,
        field: String,
    },
    ArrayInsert {
        #[serde(flatten)]
        target: TargetJson,
        value: ValueJson,
        prior_size: u32,
    },
    ArrayMove {
        #[serde(flatten)]
        target: TargetJson,
        to: u32,
        prior_size: u32,
    },
    ArrayErase {
        #[serde(flatten)]
        target: TargetJson,
        prior_size: u32,
    },
    Clear {
        #[serde(flatten)]
        target: TargetJson,
        collection: CollectionJson,
    },
    SetInsert {
        #[serde(flatten)]
        target: TargetJson,
        value: ValueJson,
    },
    SetErase {
        #[serde(flatten)]
        target: TargetJson,
        value: ValueJson,
    },
}

/// The place that a path instruction changes, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetJson {
    /// The class.
    pub table: String,
    /// The object.
    pub object: KeyJson,
    /// The field.
    pub field: String,
    /// The way below the field.
    pub path: Vec<ElementJson>,
}

/// A path element as JSON: a number for an index, a string for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ElementJson {
    /// A position in a list.
    Index(u32),
    /// A dictionary key, or a field of an embedded object.
    Key(String),
}

/// The kinds of classes, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of `TableKind`")]
pub enum TableKindJson {
    TopLevel,
    Embedded,
    Asymmetric,
}

/// The kinds of collections, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of `CollectionKind`")]
pub enum CollectionJson {
    Single,
    List,
    Dictionary,
    Set,
}

/// The types, as JSON; as the type of a column, `null` means mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of `TypeCode`")]
pub enum TypeJson {
    Null,
    Int,
    Bool,
    String,
    Binary,
    Timestamp,
    Float,
    Double,
    Decimal,
    Link,
    ObjectId,
    Uuid,
    GlobalKey,
    ObjectValue,
    Dictionary,
    Erased,
    List,
    Set,
}

/// An object key as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
#[expect(missing_docs, reason = "the variants are those of `ObjectKey`")]
pub enum KeyJson {
    Null,
    Int { value: Int },
    String { value: String },
    ObjectId { value: HexBytes<12> },
    Uuid { value: UuidJson },
    GlobalKey { hi: Hex<16>, lo: Hex<16> },
}

/// A payload as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
#[expect(missing_docs, reason = "the variants are those of `Payload`")]
pub enum ValueJson {
    Null,
    ObjectValue,
    Dictionary,
    List,
    Set,
    Erased,
    Int {
        value: Int,
    },
    Bool {
        value: bool,
    },
    String {
        value: String,
    },
    Binary {
        #[serde(with = "hex::serde")]
        hex: Vec<u8>,
    },
    Timestamp {
        seconds: Int,
        nanoseconds: i32,
    },
    Float {
        bits: Hex<8>,
    },
    Double {
        bits: Hex<16>,
    },
    Decimal {
        hi: Hex<16>,
        lo: Hex<16>,
    },
    Link {
        table: String,
        object: KeyJson,
    },
    ObjectId {
        value: HexBytes<12>,
    },
    Uuid {
        value: UuidJson,
    },
}

pub use bits::{Hex as HexJson, HexBytes as HexBytesJson, Int as IntJson, Uuid as UuidJson};
