//! Writes changesets for tests, in few words.

use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, Link, ObjectKey, Path,
    PathElement, Payload, TableKind, Target, TypeCode, UpdateKind,
};

/// A changeset in the making. Path instructions are about object 1 of the class.
#[derive(Clone, Debug, Default)]
pub(super) struct Author(Changeset);

impl Author {
    pub(super) fn changeset(&self) -> &Changeset {
        &self.0
    }

    pub(super) fn class(self, class: &str, key_type: KeyType) -> Self {
        self.table(class, |key| TableKind::TopLevel(KeySpec { key_type, ..key }))
    }

    pub(super) fn asymmetric(self, class: &str) -> Self {
        self.table(class, TableKind::Asymmetric)
    }

    pub(super) fn embedded(self, class: &str) -> Self {
        self.table(class, |_| TableKind::Embedded)
    }

    /// `[T]` is a list, `{T}` a dictionary, `<T>` a set; `T` is a type, nullable with `?`, or `->Class`.
    pub(super) fn column(mut self, class: &str, field: &str, spec: &str) -> Self {
        let (collection, element) = match spec.as_bytes()[0] {
            b'[' => (CollectionKind::List, &spec[1..spec.len() - 1]),
            b'{' => (CollectionKind::Dictionary, &spec[1..spec.len() - 1]),
            b'<' => (CollectionKind::Set, &spec[1..spec.len() - 1]),
            _ => (CollectionKind::Single, spec),
        };
        let column_type = match element.trim_end_matches('?') {
            "int" => TypeCode::Int,
            "string" => TypeCode::String,
            "float" => TypeCode::Float,
            "decimal" => TypeCode::Decimal,
            "mixed" => TypeCode::Null,
            _ => TypeCode::Link,
        };
        let table = self.0.strings.intern(class);
        let column = AddColumn {
            table,
            field: self.0.strings.intern(field),
            column_type,
            nullable: element.ends_with('?'),
            collection,
            link_target: element.strip_prefix("->").map(|target| self.0.strings.intern(target)),
            key_type: (collection == CollectionKind::Dictionary).then_some(TypeCode::String),
        };
        self.with(Instruction::AddColumn(Box::new(column)))
    }

    pub(super) fn erase_table(mut self, class: &str) -> Self {
        let table = self.0.strings.intern(class);
        self.with(Instruction::EraseTable { table })
    }

    pub(super) fn erase_column(mut self, class: &str, field: &str) -> Self {
        let (table, field) = (self.0.strings.intern(class), self.0.strings.intern(field));
        self.with(Instruction::EraseColumn { table, field })
    }

    pub(super) fn create(self, class: &str, key: i64) -> Self {
        self.create_key(class, ObjectKey::Int(key))
    }

    pub(super) fn create_key(mut self, class: &str, object: ObjectKey) -> Self {
        let table = self.0.strings.intern(class);
        self.with(Instruction::CreateObject { table, object })
    }

    pub(super) fn erase(mut self, class: &str, key: i64) -> Self {
        let table = self.0.strings.intern(class);
        self.with(Instruction::EraseObject { table, object: ObjectKey::Int(key) })
    }

    pub(super) fn update(self, class: &str, path: &str, value: Payload) -> Self {
        self.update_at(class, path, 0, value)
    }

    /// As `update`, with the length of the list that the path leads to.
    pub(super) fn update_at(
        mut self,
        class: &str,
        path: &str,
        prior_size: u32,
        value: Payload,
    ) -> Self {
        let target = self.target(class, path);
        let kind = match target.index() {
            Some(_) => UpdateKind::Element { prior_size },
            None => UpdateKind::Value { is_default: false },
        };
        self.with(Instruction::Update { target, value, kind })
    }

    pub(super) fn update_link(self, class: &str, path: &str, target: &str, key: i64) -> Self {
        self.update_link_key(class, path, target, ObjectKey::Int(key))
    }

    pub(super) fn update_link_key(
        mut self,
        class: &str,
        path: &str,
        target: &str,
        object: ObjectKey,
    ) -> Self {
        let table = self.0.strings.intern(target);
        self.update(class, path, Payload::Link(Link { table, object }))
    }

    pub(super) fn add(mut self, class: &str, path: &str, value: i64) -> Self {
        let target = self.target(class, path);
        self.with(Instruction::AddInteger { target, value })
    }

    pub(super) fn insert(
        mut self,
        class: &str,
        path: &str,
        prior_size: u32,
        value: Payload,
    ) -> Self {
        let target = self.target(class, path);
        self.with(Instruction::ArrayInsert { target, value, prior_size })
    }

    pub(super) fn move_to(mut self, class: &str, path: &str, to: u32, prior_size: u32) -> Self {
        let target = self.target(class, path);
        self.with(Instruction::ArrayMove { target, to, prior_size })
    }

    pub(super) fn erase_at(mut self, class: &str, path: &str, prior_size: u32) -> Self {
        let target = self.target(class, path);
        self.with(Instruction::ArrayErase { target, prior_size })
    }

    pub(super) fn clear(mut self, class: &str, path: &str, collection: CollectionKind) -> Self {
        let target = self.target(class, path);
        self.with(Instruction::Clear { target, collection })
    }

    pub(super) fn set_insert(mut self, class: &str, path: &str, value: Payload) -> Self {
        let target = self.target(class, path);
        self.with(Instruction::SetInsert { target, value })
    }

    pub(super) fn set_erase(mut self, class: &str, path: &str, value: Payload) -> Self {
        let target = self.target(class, path);
        self.with(Instruction::SetErase { target, value })
    }

    fn table(mut self, class: &str, kind: impl FnOnce(KeySpec) -> TableKind) -> Self {
        let table = self.0.strings.intern(class);
        let field = self.0.strings.intern("_id");
        let kind = kind(KeySpec { field, key_type: KeyType::Int, nullable: false });
        self.with(Instruction::AddTable { table, kind })
    }

    /// A field, then positions and names, with dots between them.
    fn target(&mut self, class: &str, path: &str) -> Target {
        let strings = &mut self.0.strings;
        let mut parts = path.split('.');
        let field = parts.next().expect("a path has a field");
        let path: Path = parts
            .map(|part| match part.parse() {
                Ok(index) => PathElement::Index(index),
                Err(_) => PathElement::Key(strings.intern(part)),
            })
            .collect();
        Target {
            table: strings.intern(class),
            object: ObjectKey::Int(1),
            field: strings.intern(field),
            path,
        }
    }

    fn with(mut self, instruction: Instruction) -> Self {
        self.0.instructions.push(instruction);
        self
    }
}
