//! Changesets as readable text: instructions separated by semicolons.
//!
//! | text | instruction |
//! |---|---|
//! | `addtable Dog _id Int 0 0`, `addembedded Toy`, `erasetable Dog` | nullable key, asymmetric |
//! | `addcol Dog owner Link 1 single Person`, `erasecol Dog owner` | nullable, collection, target |
//! | `create Dog 1`, `erase Dog "rex` | keys: a number, `"text`, `null`, `g2-1` |
//! | `update Dog/1/age int:3`, `update Dog/1/age int:3 default` | |
//! | `update Dog/1/toys/0 obj 5`, `update Dog/1/map/@key erased` | an element with its prior size, an entry |
//! | `addint Dog/1/age 2`, `clear Dog/1/toys list` | |
//! | `insert Dog/1/toys/0 int:3 5`, `move Dog/1/toys/0 2 5`, `aerase Dog/1/toys/0 5` | prior sizes last |
//! | `sinsert Dog/1/tags str:a`, `serase Dog/1/tags link:Tag=3` | |

use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, Link, ObjectKey,
    PathElement, Payload, StringTable, Symbol, TableKind, Target, TypeCode, UpdateKind,
};

pub(in crate::merge) fn parse(text: &str) -> Changeset {
    let mut strings = StringTable::default();
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let instructions = parts.map(|part| parse_instruction(part, &mut strings)).collect();
    Changeset { strings, instructions }
}

fn parse_instruction(text: &str, strings: &mut StringTable) -> Instruction {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |i: usize| words[i].parse().unwrap();
    match words[0] {
        "addtable" => {
            let table = strings.intern(words[1]);
            let field = strings.intern(words[2]);
            let key = KeySpec { field, key_type: key_type(words[3]), nullable: words[4] == "1" };
            let is_asymmetric = words[5] == "1";
            let kind =
                if is_asymmetric { TableKind::Asymmetric(key) } else { TableKind::TopLevel(key) };
            Instruction::AddTable { table, kind }
        }
        "addembedded" => {
            Instruction::AddTable { table: strings.intern(words[1]), kind: TableKind::Embedded }
        }
        "erasetable" => Instruction::EraseTable { table: strings.intern(words[1]) },
        "addcol" => {
            let collection = collection(words[5]);
            Instruction::AddColumn(Box::new(AddColumn {
                table: strings.intern(words[1]),
                field: strings.intern(words[2]),
                column_type: column_type(words[3]),
                nullable: words[4] == "1",
                collection,
                link_target: words.get(6).map(|class| strings.intern(class)),
                key_type: (collection == CollectionKind::Dictionary).then_some(TypeCode::String),
            }))
        }
        "erasecol" => Instruction::EraseColumn {
            table: strings.intern(words[1]),
            field: strings.intern(words[2]),
        },
        "create" => Instruction::CreateObject {
            table: strings.intern(words[1]),
            object: key(words[2], strings),
        },
        "erase" => Instruction::EraseObject {
            table: strings.intern(words[1]),
            object: key(words[2], strings),
        },
        path_instruction => {
            let target = target(words[1], strings);
            match path_instruction {
                "update" => {
                    let kind = match (target.index(), words.get(3)) {
                        (Some(_), Some(size)) => {
                            UpdateKind::Element { prior_size: size.parse().unwrap() }
                        }
                        (_, last) => UpdateKind::Value { is_default: last == Some(&"default") },
                    };
                    Instruction::Update { target, value: payload(words[2], strings), kind }
                }
                "addint" => Instruction::AddInteger { target, value: words[2].parse().unwrap() },
                "insert" => Instruction::ArrayInsert {
                    target,
                    value: payload(words[2], strings),
                    prior_size: number(3),
                },
                "move" => Instruction::ArrayMove { target, to: number(2), prior_size: number(3) },
                "aerase" => Instruction::ArrayErase { target, prior_size: number(2) },
                "clear" => Instruction::Clear { target, collection: collection(words[2]) },
                "sinsert" => Instruction::SetInsert { target, value: payload(words[2], strings) },
                "serase" => Instruction::SetErase { target, value: payload(words[2], strings) },
                other => panic!("no instruction: {other}"),
            }
        }
    }
}

fn target(text: &str, strings: &mut StringTable) -> Target {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap();
    let (table, object, field) = (next(), next(), next());
    let table = strings.intern(table);
    let object = key(object, strings);
    let field = strings.intern(field);
    let path = parts.map(|part| match part.strip_prefix('@') {
        Some(key) => PathElement::Key(strings.intern(key)),
        None => PathElement::Index(part.parse().unwrap()),
    });
    Target { table, object, field, path: path.collect() }
}

fn key(text: &str, strings: &mut StringTable) -> ObjectKey {
    if let Some(text) = text.strip_prefix('"') {
        ObjectKey::String(strings.intern(text))
    } else if let Some((hi, lo)) = text.strip_prefix('g').and_then(|text| text.split_once('-')) {
        ObjectKey::GlobalKey { hi: hi.parse().unwrap(), lo: lo.parse().unwrap() }
    } else if text == "null" {
        ObjectKey::Null
    } else {
        ObjectKey::Int(text.parse().unwrap())
    }
}

fn payload(text: &str, strings: &mut StringTable) -> Payload {
    match text.split_once(':') {
        None => match text {
            "null" => Payload::Null,
            "obj" => Payload::ObjectValue,
            "dict" => Payload::Dictionary,
            "list" => Payload::List,
            "erased" => Payload::Erased,
            other => panic!("no payload: {other}"),
        },
        Some(("int", value)) => Payload::Int(value.parse().unwrap()),
        Some(("float", value)) => Payload::Float(value.parse().unwrap()),
        Some(("double", value)) => Payload::Double(value.parse().unwrap()),
        Some(("str", value)) => Payload::String(value.into()),
        Some(("link", value)) => {
            let (class, object) = value.split_once('=').unwrap();
            Payload::Link(Link { table: strings.intern(class), object: key(object, strings) })
        }
        Some(other) => panic!("no payload: {other:?}"),
    }
}

const COLLECTIONS: [&str; 4] = ["single", "list", "dict", "set"];

fn collection(text: &str) -> CollectionKind {
    use CollectionKind::{Dictionary, List, Set, Single};
    let i = COLLECTIONS.iter().position(|&name| name == text).unwrap();
    [Single, List, Dictionary, Set][i]
}

fn key_type(text: &str) -> KeyType {
    match text {
        "Int" => KeyType::Int,
        "String" => KeyType::String,
        "GlobalKey" => KeyType::GlobalKey,
        other => panic!("no key type: {other}"),
    }
}

fn column_type(text: &str) -> TypeCode {
    match text {
        "Mixed" => TypeCode::Null,
        "Int" => TypeCode::Int,
        "String" => TypeCode::String,
        "Link" => TypeCode::Link,
        other => panic!("no column type: {other}"),
    }
}

/// The text of a changeset, as [`parse`] reads it.
pub(super) fn print(changeset: &Changeset) -> String {
    let print = Print(changeset);
    let parts: Vec<_> = changeset.instructions.iter().map(|it| print.instruction(it)).collect();
    parts.join("; ")
}

struct Print<'a>(&'a Changeset);

impl Print<'_> {
    fn instruction(&self, instruction: &Instruction) -> String {
        match instruction {
            Instruction::AddTable { table, kind } => match kind {
                TableKind::Embedded => format!("addembedded {}", self.text(*table)),
                TableKind::TopLevel(key) | TableKind::Asymmetric(key) => {
                    let is_asymmetric = matches!(kind, TableKind::Asymmetric(_));
                    let (table, field) = (self.text(*table), self.text(key.field));
                    let nullable = u8::from(key.nullable);
                    let asymmetric = u8::from(is_asymmetric);
                    format!("addtable {table} {field} {:?} {nullable} {asymmetric}", key.key_type)
                }
            },
            Instruction::EraseTable { table } => format!("erasetable {}", self.text(*table)),
            Instruction::AddColumn(column) => {
                let column_type = match column.column_type {
                    TypeCode::Null => "Mixed".to_owned(),
                    other => format!("{other:?}"),
                };
                let target = column.link_target.map(|target| format!(" {}", self.text(target)));
                format!(
                    "addcol {} {} {column_type} {} {}{}",
                    self.text(column.table),
                    self.text(column.field),
                    u8::from(column.nullable),
                    COLLECTIONS[column.collection as usize],
                    target.unwrap_or_default(),
                )
            }
            Instruction::EraseColumn { table, field } => {
                format!("erasecol {} {}", self.text(*table), self.text(*field))
            }
            Instruction::CreateObject { table, object } => {
                format!("create {} {}", self.text(*table), self.key(*object))
            }
            Instruction::EraseObject { table, object } => {
                format!("erase {} {}", self.text(*table), self.key(*object))
            }
            Instruction::Update { target, value, kind } => {
                let last = match kind {
                    UpdateKind::Value { is_default: false } => String::new(),
                    UpdateKind::Value { is_default: true } => " default".to_owned(),
                    UpdateKind::Element { prior_size } => format!(" {prior_size}"),
                };
                format!("update {} {}{last}", self.target(target), self.payload(value))
            }
            Instruction::AddInteger { target, value } => {
                format!("addint {} {value}", self.target(target))
            }
            Instruction::ArrayInsert { target, value, prior_size } => {
                format!("insert {} {} {prior_size}", self.target(target), self.payload(value))
            }
            Instruction::ArrayMove { target, to, prior_size } => {
                format!("move {} {to} {prior_size}", self.target(target))
            }
            Instruction::ArrayErase { target, prior_size } => {
                format!("aerase {} {prior_size}", self.target(target))
            }
            Instruction::Clear { target, collection } => {
                format!("clear {} {}", self.target(target), COLLECTIONS[*collection as usize])
            }
            Instruction::SetInsert { target, value } => {
                format!("sinsert {} {}", self.target(target), self.payload(value))
            }
            Instruction::SetErase { target, value } => {
                format!("serase {} {}", self.target(target), self.payload(value))
            }
        }
    }

    fn target(&self, target: &Target) -> String {
        let path = target.path.iter().map(|element| match element {
            PathElement::Index(index) => format!("/{index}"),
            PathElement::Key(key) => format!("/@{}", self.text(*key)),
        });
        let path: String = path.collect();
        let (table, key) = (self.text(target.table), self.key(target.object));
        format!("{table}/{key}/{}{path}", self.text(target.field))
    }

    fn key(&self, key: ObjectKey) -> String {
        match key {
            ObjectKey::Null => "null".to_owned(),
            ObjectKey::Int(value) => value.to_string(),
            ObjectKey::String(symbol) => format!("\"{}", self.text(symbol)),
            ObjectKey::GlobalKey { hi, lo } => format!("g{hi}-{lo}"),
            ObjectKey::ObjectId(id) => format!("{id:?}"),
            ObjectKey::Uuid(id) => format!("{id:?}"),
        }
    }

    fn payload(&self, payload: &Payload) -> String {
        match payload {
            Payload::Null => "null".to_owned(),
            Payload::ObjectValue => "obj".to_owned(),
            Payload::Dictionary => "dict".to_owned(),
            Payload::List => "list".to_owned(),
            Payload::Erased => "erased".to_owned(),
            Payload::Int(value) => format!("int:{value}"),
            Payload::Float(value) => format!("float:{value}"),
            Payload::Double(value) => format!("double:{value}"),
            Payload::String(value) => format!("str:{value}"),
            Payload::Link(link) => {
                format!("link:{}={}", self.text(link.table), self.key(link.object))
            }
            other => format!("{other:?}"),
        }
    }

    fn text(&self, symbol: Symbol) -> &str {
        self.0.text(symbol)
    }
}
