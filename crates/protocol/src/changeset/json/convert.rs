//! Between changesets and their JSON form.

use super::bits::{Hex, HexBytes, Int, Uuid};
use super::{
    ChangesetJson, CollectionJson, ElementJson, InstructionJson, JsonError, KeyJson, TableKindJson,
    TargetJson, TypeJson, ValueJson,
};
use crate::changeset::{
    AddColumn, Changeset, CollectionKind, Decimal, Instruction, KeySpec, KeyType, Link, ObjectKey,
    PathElement, Payload, StringTable, TableKind, Target, Timestamp, TypeCode, UpdateKind,
};

impl From<&Changeset> for ChangesetJson {
    fn from(changeset: &Changeset) -> Self {
        let writer = Writer { strings: &changeset.strings };
        Self {
            strings: changeset.strings.iter().map(str::to_owned).collect(),
            instructions: changeset.instructions.iter().map(|i| writer.instruction(i)).collect(),
        }
    }
}

impl TryFrom<&ChangesetJson> for Changeset {
    type Error = JsonError;

    /// The strings keep their indexes; those that an instruction uses without a declaration are added.
    fn try_from(json: &ChangesetJson) -> Result<Self, JsonError> {
        let mut reader = Reader { strings: json.strings.iter().map(String::as_str).collect() };
        let instructions =
            json.instructions.iter().map(|i| reader.instruction(i)).collect::<Result<_, _>>()?;
        Ok(Self { strings: reader.strings, instructions })
    }
}

struct Writer<'a> {
    strings: &'a StringTable,
}

impl Writer<'_> {
    fn instruction(&self, instruction: &Instruction) -> InstructionJson {
        match instruction {
            Instruction::AddTable { table, kind } => self.add_table(*table, kind),
            Instruction::EraseTable { table } => {
                InstructionJson::EraseTable { table: self.text(*table) }
            }
            Instruction::CreateObject { table, object } => {
                InstructionJson::CreateObject { table: self.text(*table), object: self.key(object) }
            }
            Instruction::EraseObject { table, object } => {
                InstructionJson::EraseObject { table: self.text(*table), object: self.key(object) }
            }
            Instruction::Update { target, value, kind } => {
                let (prior_size, is_default) = match kind {
                    UpdateKind::Value { is_default } => (None, Some(*is_default)),
                    UpdateKind::Element { prior_size } => (Some(*prior_size), None),
                };
                let (target, value) = (self.target(target), self.value(value));
                InstructionJson::Update { target, value, prior_size, is_default }
            }
            Instruction::AddInteger { target, value } => {
                InstructionJson::AddInteger { target: self.target(target), value: Int(*value) }
            }
            Instruction::AddColumn(column) => InstructionJson::AddColumn {
                table: self.text(column.table),
                field: self.text(column.field),
                r#type: column.column_type.into(),
                nullable: column.nullable,
                collection: column.collection.into(),
                link_target: column.link_target.map(|target| self.text(target)),
                key_type: column.key_type.map(TypeJson::from),
            },
            Instruction::EraseColumn { table, field } => {
                InstructionJson::EraseColumn { table: self.text(*table), field: self.text(*field) }
            }
            Instruction::ArrayInsert { target, value, prior_size } => {
                InstructionJson::ArrayInsert {
                    target: self.target(target),
                    value: self.value(value),
                    prior_size: *prior_size,
                }
            }
            Instruction::ArrayMove { target, to, prior_size } => InstructionJson::ArrayMove {
                target: self.target(target),
                to: *to,
                prior_size: *prior_size,
            },
            Instruction::ArrayErase { target, prior_size } => {
                InstructionJson::ArrayErase { target: self.target(target), prior_size: *prior_size }
            }
            Instruction::Clear { target, collection } => InstructionJson::Clear {
                target: self.target(target),
                collection: (*collection).into(),
            },
            Instruction::SetInsert { target, value } => {
                InstructionJson::SetInsert { target: self.target(target), value: self.value(value) }
            }
            Instruction::SetErase { target, value } => {
                InstructionJson::SetErase { target: self.target(target), value: self.value(value) }
            }
        }
    }

    fn add_table(&self, table: crate::changeset::Symbol, kind: &TableKind) -> InstructionJson {
        let (kind, key) = match kind {
            TableKind::TopLevel(key) => (TableKindJson::TopLevel, Some(key)),
            TableKind::Embedded => (TableKindJson::Embedded, None),
            TableKind::Asymmetric(key) => (TableKindJson::Asymmetric, Some(key)),
        };
        InstructionJson::AddTable {
            table: self.text(table),
            kind,
            pk_field: key.map(|key| self.text(key.field)),
            pk_type: key.map(|key| key.key_type.into()),
            pk_nullable: key.map(|key| key.nullable),
        }
    }

    fn target(&self, target: &Target) -> TargetJson {
        let element = |element: &PathElement| match element {
            PathElement::Index(index) => ElementJson::Index(*index),
            PathElement::Key(key) => ElementJson::Key(self.text(*key)),
        };
        TargetJson {
            table: self.text(target.table),
            object: self.key(&target.object),
            field: self.text(target.field),
            path: target.path.iter().map(element).collect(),
        }
    }

    fn key(&self, key: &ObjectKey) -> KeyJson {
        match key {
            ObjectKey::Null => KeyJson::Null,
            ObjectKey::Int(value) => KeyJson::Int { value: Int(*value) },
            ObjectKey::String(text) => KeyJson::String { value: self.text(*text) },
            ObjectKey::ObjectId(id) => KeyJson::ObjectId { value: HexBytes(*id) },
            ObjectKey::Uuid(id) => KeyJson::Uuid { value: Uuid(*id) },
            ObjectKey::GlobalKey { hi, lo } => KeyJson::GlobalKey { hi: Hex(*hi), lo: Hex(*lo) },
        }
    }

    fn value(&self, value: &Payload) -> ValueJson {
        match value {
            Payload::Null => ValueJson::Null,
            Payload::ObjectValue => ValueJson::ObjectValue,
            Payload::Dictionary => ValueJson::Dictionary,
            Payload::List => ValueJson::List,
            Payload::Set => ValueJson::Set,
            Payload::Erased => ValueJson::Erased,
            Payload::Int(value) => ValueJson::Int { value: Int(*value) },
            Payload::Bool(value) => ValueJson::Bool { value: *value },
            Payload::String(value) => ValueJson::String { value: value.to_string() },
            Payload::Binary(bytes) => ValueJson::Binary { hex: bytes.to_vec() },
            Payload::Timestamp(time) => {
                ValueJson::Timestamp { seconds: Int(time.seconds), nanoseconds: time.nanoseconds }
            }
            Payload::Float(value) => ValueJson::Float { bits: Hex(value.to_bits().into()) },
            Payload::Double(value) => ValueJson::Double { bits: Hex(value.to_bits()) },
            Payload::Decimal(Decimal(bits)) => {
                let half =
                    |bits: u128| Hex(u64::try_from(bits & u128::from(u64::MAX)).expect("64 bits"));
                ValueJson::Decimal { hi: half(bits >> 64), lo: half(*bits) }
            }
            Payload::Link(link) => {
                ValueJson::Link { table: self.text(link.table), object: self.key(&link.object) }
            }
            Payload::ObjectId(id) => ValueJson::ObjectId { value: HexBytes(*id) },
            Payload::Uuid(id) => ValueJson::Uuid { value: Uuid(*id) },
        }
    }

    fn text(&self, symbol: crate::changeset::Symbol) -> String {
        self.strings.get(symbol).to_owned()
    }
}

struct Reader {
    strings: StringTable,
}

impl Reader {
    fn instruction(&mut self, json: &InstructionJson) -> Result<Instruction, JsonError> {
        Ok(match json {
            InstructionJson::AddTable { table, kind, pk_field, pk_type, pk_nullable } => {
                let table = self.strings.intern(table);
                let mut key = || self.key_spec(pk_field.as_deref(), *pk_type, *pk_nullable);
                let kind = match kind {
                    TableKindJson::TopLevel => TableKind::TopLevel(key()?),
                    TableKindJson::Embedded => TableKind::Embedded,
                    TableKindJson::Asymmetric => TableKind::Asymmetric(key()?),
                };
                Instruction::AddTable { table, kind }
            }
            InstructionJson::EraseTable { table } => {
                Instruction::EraseTable { table: self.strings.intern(table) }
            }
            InstructionJson::CreateObject { table, object } => Instruction::CreateObject {
                table: self.strings.intern(table),
                object: self.key(object),
            },
            InstructionJson::EraseObject { table, object } => Instruction::EraseObject {
                table: self.strings.intern(table),
                object: self.key(object),
            },
            InstructionJson::Update { target, value, prior_size, is_default } => {
                let (target, value) = (self.target(target), self.value(value));
                let kind = if target.index().is_some() {
                    let prior_size = needed("Update", "priorSize", *prior_size)?;
                    UpdateKind::Element { prior_size }
                } else {
                    UpdateKind::Value { is_default: needed("Update", "isDefault", *is_default)? }
                };
                Instruction::Update { target, value, kind }
            }
            InstructionJson::AddInteger { target, value } => {
                Instruction::AddInteger { target: self.target(target), value: value.0 }
            }
            InstructionJson::AddColumn {
                table,
                field,
                r#type,
                nullable,
                collection,
                link_target,
                key_type,
            } => Instruction::AddColumn(Box::new(AddColumn {
                table: self.strings.intern(table),
                field: self.strings.intern(field),
                column_type: (*r#type).into(),
                nullable: *nullable,
                collection: (*collection).into(),
                link_target: link_target.as_ref().map(|target| self.strings.intern(target)),
                key_type: key_type.map(TypeCode::from),
            })),
            InstructionJson::EraseColumn { table, field } => Instruction::EraseColumn {
                table: self.strings.intern(table),
                field: self.strings.intern(field),
            },
            InstructionJson::ArrayInsert { target, value, prior_size } => {
                Instruction::ArrayInsert {
                    target: self.target(target),
                    value: self.value(value),
                    prior_size: *prior_size,
                }
            }
            InstructionJson::ArrayMove { target, to, prior_size } => Instruction::ArrayMove {
                target: self.target(target),
                to: *to,
                prior_size: *prior_size,
            },
            InstructionJson::ArrayErase { target, prior_size } => {
                Instruction::ArrayErase { target: self.target(target), prior_size: *prior_size }
            }
            InstructionJson::Clear { target, collection } => {
                Instruction::Clear { target: self.target(target), collection: (*collection).into() }
            }
            InstructionJson::SetInsert { target, value } => {
                Instruction::SetInsert { target: self.target(target), value: self.value(value) }
            }
            InstructionJson::SetErase { target, value } => {
                Instruction::SetErase { target: self.target(target), value: self.value(value) }
            }
        })
    }

    fn key_spec(
        &mut self,
        field: Option<&str>,
        key_type: Option<TypeJson>,
        nullable: Option<bool>,
    ) -> Result<KeySpec, JsonError> {
        let field = self.strings.intern(needed("AddTable", "pkField", field)?);
        let key_type = match needed("AddTable", "pkType", key_type)? {
            TypeJson::GlobalKey => KeyType::GlobalKey,
            TypeJson::Int => KeyType::Int,
            TypeJson::String => KeyType::String,
            TypeJson::ObjectId => KeyType::ObjectId,
            TypeJson::Uuid => KeyType::Uuid,
            other => return Err(JsonError::PrimaryKeyType(other)),
        };
        Ok(KeySpec { field, key_type, nullable: needed("AddTable", "pkNullable", nullable)? })
    }

    fn target(&mut self, json: &TargetJson) -> Target {
        Target {
            table: self.strings.intern(&json.table),
            object: self.key(&json.object),
            field: self.strings.intern(&json.field),
            path: json
                .path
                .iter()
                .map(|element| match element {
                    ElementJson::Index(index) => PathElement::Index(*index),
                    ElementJson::Key(key) => PathElement::Key(self.strings.intern(key)),
                })
                .collect(),
        }
    }

    fn key(&mut self, json: &KeyJson) -> ObjectKey {
        match json {
            KeyJson::Null => ObjectKey::Null,
            KeyJson::Int { value } => ObjectKey::Int(value.0),
            KeyJson::String { value } => ObjectKey::String(self.strings.intern(value)),
            KeyJson::ObjectId { value } => ObjectKey::ObjectId(value.0),
            KeyJson::Uuid { value } => ObjectKey::Uuid(value.0),
            KeyJson::GlobalKey { hi, lo } => ObjectKey::GlobalKey { hi: hi.0, lo: lo.0 },
        }
    }

    fn value(&mut self, json: &ValueJson) -> Payload {
        match json {
            ValueJson::Null => Payload::Null,
            ValueJson::ObjectValue => Payload::ObjectValue,
            ValueJson::Dictionary => Payload::Dictionary,
            ValueJson::List => Payload::List,
            ValueJson::Set => Payload::Set,
            ValueJson::Erased => Payload::Erased,
            ValueJson::Int { value } => Payload::Int(value.0),
            ValueJson::Bool { value } => Payload::Bool(*value),
            ValueJson::String { value } => Payload::String(value.as_str().into()),
            ValueJson::Binary { hex } => Payload::Binary(hex.as_slice().into()),
            ValueJson::Timestamp { seconds, nanoseconds } => {
                Payload::Timestamp(Timestamp { seconds: seconds.0, nanoseconds: *nanoseconds })
            }
            ValueJson::Float { bits } => Payload::Float(f32::from_bits(
                u32::try_from(bits.0).expect("eight digits are 32 bits"),
            )),
            ValueJson::Double { bits } => Payload::Double(f64::from_bits(bits.0)),
            ValueJson::Decimal { hi, lo } => {
                Payload::Decimal(Decimal(u128::from(hi.0) << 64 | u128::from(lo.0)))
            }
            ValueJson::Link { table, object } => {
                Payload::Link(Link { table: self.strings.intern(table), object: self.key(object) })
            }
            ValueJson::ObjectId { value } => Payload::ObjectId(value.0),
            ValueJson::Uuid { value } => Payload::Uuid(value.0),
        }
    }
}

fn needed<T>(op: &'static str, field: &'static str, value: Option<T>) -> Result<T, JsonError> {
    value.ok_or(JsonError::Missing { op, field })
}

/// Two enums with the same variants, as one list.
macro_rules! same_variants {
    ($ours:ident, $json:ident: $($variant:ident)*) => {
        impl From<$ours> for $json {
            fn from(value: $ours) -> Self {
                match value { $($ours::$variant => Self::$variant,)* }
            }
        }
        impl From<$json> for $ours {
            fn from(value: $json) -> Self {
                match value { $($json::$variant => Self::$variant,)* }
            }
        }
    };
}

same_variants!(CollectionKind, CollectionJson: Single List Dictionary Set);
same_variants!(TypeCode, TypeJson:
    Set List Erased Dictionary ObjectValue GlobalKey Null Int Bool String Binary Timestamp Float Double Decimal
    Link ObjectId Uuid);

impl From<KeyType> for TypeJson {
    fn from(key_type: KeyType) -> Self {
        match key_type {
            KeyType::GlobalKey => Self::GlobalKey,
            KeyType::Int => Self::Int,
            KeyType::String => Self::String,
            KeyType::ObjectId => Self::ObjectId,
            KeyType::Uuid => Self::Uuid,
        }
    }
}
