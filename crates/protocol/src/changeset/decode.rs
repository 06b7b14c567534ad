//! Reads a changeset, strictly: whatever no device writes is refused, and memory follows the input's size.
//!
//! Spec: changeset format, sections 9, 12, 13 and 15.

use super::encode::{COEFFICIENT_BITS, DECIMAL_BIAS, DECLARATION};
use super::{
    AddColumn, Changeset, CollectionKind, Decimal, Instruction, KeySpec, KeyType, Kind, Link,
    ObjectKey, Path, PathElement, Payload, Symbol, TableKind, Target, Timestamp, TypeCode,
    UpdateKind,
};
use crate::codec::{IntegerFault, Reader};

/// Why bytes are not a changeset, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {fault}")]
pub struct DecodeError {
    /// The first byte of the field at fault.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: DecodeFault,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// An integer is not well formed.
    #[error(transparent)]
    Integer(#[from] IntegerFault),
    /// Fewer bytes are left than a field needs or announces.
    #[error("the input ends inside a field")]
    Truncated,
    /// There is no such instruction.
    #[error("there is no instruction {0}")]
    Opcode(u64),
    /// There is no such type.
    #[error("there is no type {0}")]
    TypeCode(i64),
    /// The type cannot be an object key.
    #[error("a value of type {0:?} cannot be an object key")]
    ObjectKeyType(TypeCode),
    /// The type cannot be a value.
    #[error("a value cannot be of type {0:?}")]
    PayloadType(TypeCode),
    /// The type cannot be a primary key.
    #[error("a primary key cannot be of type {0:?}")]
    PrimaryKeyType(TypeCode),
    /// There is no such kind of class.
    #[error("there is no kind of class {0}")]
    TableType(u8),
    /// There is no such kind of collection.
    #[error("there is no kind of collection {0}")]
    CollectionType(u8),
    /// A list instruction needs a path that ends with a position.
    #[error("a list instruction has no position in a list")]
    ArrayPath,
    /// Strings are declared in the order of their indexes.
    #[error("string {0} is declared out of order")]
    InternIndex(u32),
    /// A string is declared once.
    #[error("a string is declared twice")]
    InternDuplicate,
    /// A string is declared before it is used.
    #[error("string {0} is not declared")]
    InternUnknown(u32),
    /// A string is too long.
    #[error("a string has {0} bytes, more than {max}", max = MAX_STRING_LEN)]
    StringLength(u64),
    /// A binary value is too long.
    #[error("a binary value has {0} bytes, more than {max}", max = MAX_BINARY_LEN)]
    BinaryLength(u64),
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A boolean is neither 0 nor 1.
    #[error("a boolean is {0}")]
    Bool(u8),
    /// A path element is neither an index of 32 bits nor the marker of a key.
    #[error("a path element is {0}")]
    PathElement(i64),
    /// A path is too long.
    #[error("a path has {0} elements, more than {max}", max = MAX_PATH_ELEMENTS)]
    PathDepth(u32),
    /// The nanoseconds of a timestamp are out of range or contradict the sign of the seconds.
    #[error("a timestamp has {0} nanoseconds")]
    Timestamp(i64),
    /// A decimal has a sign other than 0 or 1, or an exponent that its bits cannot hold.
    #[error("a decimal has an impossible sign or exponent")]
    Decimal,
    /// The changeset is larger than the limits allow.
    #[error("the changeset has {0} bytes, more than the limit")]
    ChangesetLength(usize),
    /// The changeset would take more memory than the limits allow.
    #[error("the changeset has more than {0} instructions or strings")]
    TooMany(usize),
}

/// How much a changeset may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of the changeset.
    pub max_len: usize,
    /// Instructions; each takes about a hundred bytes of memory, and at least two of the input.
    pub max_instructions: usize,
    /// Interned strings; each takes at least three bytes of the input.
    pub max_strings: usize,
}

impl DecodeLimits {
    /// For what was checked before it was stored, and may have grown since: merging and rewriting add to
    /// changesets.
    pub const NONE: Self =
        Self { max_len: usize::MAX, max_instructions: usize::MAX, max_strings: usize::MAX };
}

impl Default for DecodeLimits {
    /// 16 MiB, with 2^22 instructions (some 400 MB of memory in the worst case) and 2^20 strings.
    fn default() -> Self {
        Self { max_len: 16 << 20, max_instructions: 1 << 22, max_strings: 1 << 20 }
    }
}

/// The longest string, interned or value, in bytes: what Realm files can hold.
pub const MAX_STRING_LEN: u64 = 16_777_199;
/// The longest binary value, in bytes: what Realm files can hold.
pub const MAX_BINARY_LEN: u64 = 16_777_200;
/// The longest path; Realm nests collections 100 levels deep.
pub(super) const MAX_PATH_ELEMENTS: u32 = 256;

impl Changeset {
    /// Decodes a changeset within the default limits.
    ///
    /// Takes one pass and allocates in proportion to `bytes.len()`, whatever the input claims.
    ///
    /// # Errors
    ///
    /// The first fault, with its byte offset.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_within(bytes, &DecodeLimits::default())
    }

    /// As [`decode`](Self::decode), within limits of the caller's.
    ///
    /// # Errors
    ///
    /// The first fault, with its byte offset.
    pub fn decode_within(bytes: &[u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        if bytes.len() > limits.max_len {
            return Err(DecodeError {
                offset: 0,
                fault: DecodeFault::ChangesetLength(bytes.len()),
            });
        }
        let mut decoder =
            Decoder { reader: Reader::new(bytes), offset: 0, changeset: Self::default() };
        match decoder.changeset(limits) {
            Ok(()) => Ok(decoder.changeset),
            Err(fault) => Err(DecodeError { offset: decoder.offset, fault }),
        }
    }
}

struct Decoder<'a> {
    reader: Reader<'a>,
    /// Where the field that is being read starts.
    offset: usize,
    changeset: Changeset,
}

type Decoded<T> = Result<T, DecodeFault>;

impl<'a> Decoder<'a> {
    fn changeset(&mut self, limits: &DecodeLimits) -> Decoded<()> {
        while !self.reader.is_at_end() {
            let opcode = self.u64()?;
            if opcode == DECLARATION {
                self.declaration(limits)?;
            } else {
                let instruction = self.instruction(opcode)?;
                if self.changeset.instructions.len() == limits.max_instructions {
                    return Err(DecodeFault::TooMany(limits.max_instructions));
                }
                self.changeset.instructions.push(instruction);
            }
        }
        Ok(())
    }

    fn declaration(&mut self, limits: &DecodeLimits) -> Decoded<()> {
        let index = self.u32()?;
        if index as usize != self.changeset.strings.count() {
            return Err(DecodeFault::InternIndex(index));
        }
        if index as usize == limits.max_strings {
            return Err(DecodeFault::TooMany(limits.max_strings));
        }
        let text = self.string()?;
        self.changeset.strings.declare(text).ok_or(DecodeFault::InternDuplicate)?;
        Ok(())
    }

    fn instruction(&mut self, opcode: u64) -> Decoded<Instruction> {
        let kind = kind(opcode).ok_or(DecodeFault::Opcode(opcode))?;
        Ok(match kind {
            Kind::AddTable => {
                Instruction::AddTable { table: self.symbol()?, kind: self.table_kind()? }
            }
            Kind::EraseTable => Instruction::EraseTable { table: self.symbol()? },
            Kind::CreateObject => {
                Instruction::CreateObject { table: self.symbol()?, object: self.object_key()? }
            }
            Kind::EraseObject => {
                Instruction::EraseObject { table: self.symbol()?, object: self.object_key()? }
            }
            Kind::Update => {
                let target = self.target()?;
                let value = self.payload()?;
                let kind = if target.index().is_some() {
                    UpdateKind::Element { prior_size: self.u32()? }
                } else {
                    UpdateKind::Value { is_default: self.bool()? }
                };
                Instruction::Update { target, value, kind }
            }
            Kind::AddInteger => {
                Instruction::AddInteger { target: self.target()?, value: self.i64()? }
            }
            Kind::AddColumn => Instruction::AddColumn(Box::new(self.add_column()?)),
            Kind::EraseColumn => {
                Instruction::EraseColumn { table: self.symbol()?, field: self.symbol()? }
            }
            Kind::ArrayInsert => Instruction::ArrayInsert {
                target: self.element()?,
                value: self.payload()?,
                prior_size: self.u32()?,
            },
            Kind::ArrayMove => Instruction::ArrayMove {
                target: self.element()?,
                to: self.u32()?,
                prior_size: self.u32()?,
            },
            Kind::ArrayErase => {
                Instruction::ArrayErase { target: self.element()?, prior_size: self.u32()? }
            }
            Kind::Clear => {
                Instruction::Clear { target: self.target()?, collection: self.collection_kind()? }
            }
            Kind::SetInsert => {
                Instruction::SetInsert { target: self.target()?, value: self.payload()? }
            }
            Kind::SetErase => {
                Instruction::SetErase { target: self.target()?, value: self.payload()? }
            }
        })
    }

    fn table_kind(&mut self) -> Decoded<TableKind> {
        match self.u8()? {
            0 => Ok(TableKind::TopLevel(self.key_spec()?)),
            1 => Ok(TableKind::Embedded),
            2 => Ok(TableKind::Asymmetric(self.key_spec()?)),
            other => Err(DecodeFault::TableType(other)),
        }
    }

    fn key_spec(&mut self) -> Decoded<KeySpec> {
        let field = self.symbol()?;
        let key_type = match self.type_code()? {
            TypeCode::GlobalKey => KeyType::GlobalKey,
            TypeCode::Int => KeyType::Int,
            TypeCode::String => KeyType::String,
            TypeCode::ObjectId => KeyType::ObjectId,
            TypeCode::Uuid => KeyType::Uuid,
            other => return Err(DecodeFault::PrimaryKeyType(other)),
        };
        Ok(KeySpec { field, key_type, nullable: self.bool()? })
    }

    fn add_column(&mut self) -> Decoded<AddColumn> {
        let table = self.symbol()?;
        let field = self.symbol()?;
        let column_type = self.type_code()?;
        let nullable = self.bool()?;
        let collection = self.collection_kind()?;
        let link_target = if column_type == TypeCode::Link { Some(self.symbol()?) } else { None };
        let key_type =
            if collection == CollectionKind::Dictionary { Some(self.type_code()?) } else { None };
        Ok(AddColumn { table, field, column_type, nullable, collection, link_target, key_type })
    }

    /// The target of a list instruction: its path ends with a position.
    fn element(&mut self) -> Decoded<Target> {
        let target = self.target()?;
        if target.index().is_none() {
            return Err(DecodeFault::ArrayPath);
        }
        Ok(target)
    }

    fn target(&mut self) -> Decoded<Target> {
        Ok(Target {
            table: self.symbol()?,
            object: self.object_key()?,
            field: self.symbol()?,
            path: self.path()?,
        })
    }

    fn path(&mut self) -> Decoded<Path> {
        let count = self.u32()?;
        if count > MAX_PATH_ELEMENTS {
            return Err(DecodeFault::PathDepth(count));
        }
        let mut path = Path::new();
        for _ in 0..count {
            path.push(match self.i64()? {
                -1 => PathElement::Key(self.symbol()?),
                other => match u32::try_from(other) {
                    Ok(index) => PathElement::Index(index),
                    Err(_) => return Err(DecodeFault::PathElement(other)),
                },
            });
        }
        Ok(path)
    }

    fn object_key(&mut self) -> Decoded<ObjectKey> {
        Ok(match self.type_code()? {
            TypeCode::Null => ObjectKey::Null,
            TypeCode::Int => ObjectKey::Int(self.i64()?),
            TypeCode::String => ObjectKey::String(self.symbol()?),
            TypeCode::ObjectId => ObjectKey::ObjectId(self.array()?),
            TypeCode::Uuid => ObjectKey::Uuid(self.array()?),
            TypeCode::GlobalKey => ObjectKey::GlobalKey { hi: self.u64()?, lo: self.u64()? },
            other => return Err(DecodeFault::ObjectKeyType(other)),
        })
    }

    fn payload(&mut self) -> Decoded<Payload> {
        Ok(match self.type_code()? {
            TypeCode::Set => Payload::Set,
            TypeCode::List => Payload::List,
            TypeCode::Erased => Payload::Erased,
            TypeCode::Dictionary => Payload::Dictionary,
            TypeCode::ObjectValue => Payload::ObjectValue,
            TypeCode::GlobalKey => return Err(DecodeFault::PayloadType(TypeCode::GlobalKey)),
            TypeCode::Null => Payload::Null,
            TypeCode::Int => Payload::Int(self.i64()?),
            TypeCode::Bool => Payload::Bool(self.bool()?),
            TypeCode::String => Payload::String(self.string()?.into()),
            TypeCode::Binary => Payload::Binary(self.binary()?.into()),
            TypeCode::Timestamp => Payload::Timestamp(self.timestamp()?),
            TypeCode::Float => Payload::Float(f32::from_le_bytes(self.array()?)),
            TypeCode::Double => Payload::Double(f64::from_le_bytes(self.array()?)),
            TypeCode::Decimal => Payload::Decimal(self.decimal()?),
            TypeCode::Link => {
                Payload::Link(Link { table: self.symbol()?, object: self.object_key()? })
            }
            TypeCode::ObjectId => Payload::ObjectId(self.array()?),
            TypeCode::Uuid => Payload::Uuid(self.array()?),
        })
    }

    fn timestamp(&mut self) -> Decoded<Timestamp> {
        const LIMIT: i64 = 1_000_000_000;
        let seconds = self.i64()?;
        let nanoseconds = self.i64()?;
        let signs_differ = seconds.signum() * nanoseconds.signum() < 0;
        match i32::try_from(nanoseconds) {
            Ok(nanoseconds) if i64::from(nanoseconds).abs() < LIMIT && !signs_differ => {
                Ok(Timestamp { seconds, nanoseconds })
            }
            _ => Err(DecodeFault::Timestamp(nanoseconds)),
        }
    }

    fn decimal(&mut self) -> Decoded<Decimal> {
        let coefficient = self.field(Reader::u128)?;
        let exponent = self.field(Reader::i32)?.checked_add(DECIMAL_BIAS);
        let exponent = match exponent.map(u128::try_from) {
            Some(Ok(exponent)) if exponent < 1 << 14 => exponent,
            _ => return Err(DecodeFault::Decimal),
        };
        let sign = match self.field(Reader::i32)? {
            0 => 0,
            1 => 1,
            _ => return Err(DecodeFault::Decimal),
        };
        Ok(Decimal(sign << 127 | exponent << COEFFICIENT_BITS | coefficient))
    }

    fn string(&mut self) -> Decoded<&'a str> {
        let len = self.u64()?;
        if len > MAX_STRING_LEN {
            return Err(DecodeFault::StringLength(len));
        }
        std::str::from_utf8(self.raw(len)?).map_err(|_| DecodeFault::Utf8)
    }

    fn binary(&mut self) -> Decoded<&'a [u8]> {
        let len = self.u64()?;
        if len > MAX_BINARY_LEN {
            return Err(DecodeFault::BinaryLength(len));
        }
        self.raw(len)
    }

    fn symbol(&mut self) -> Decoded<Symbol> {
        let index = self.u32()?;
        if index as usize >= self.changeset.strings.count() {
            return Err(DecodeFault::InternUnknown(index));
        }
        Ok(Symbol(index))
    }

    fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeFault::Bool(other)),
        }
    }

    fn collection_kind(&mut self) -> Decoded<CollectionKind> {
        Ok(match self.u8()? {
            0 => CollectionKind::Single,
            1 => CollectionKind::List,
            2 => CollectionKind::Dictionary,
            3 => CollectionKind::Set,
            other => return Err(DecodeFault::CollectionType(other)),
        })
    }

    fn type_code(&mut self) -> Decoded<TypeCode> {
        let code = self.i64()?;
        type_code(code).ok_or(DecodeFault::TypeCode(code))
    }

    fn i64(&mut self) -> Decoded<i64> {
        self.field(Reader::i64)
    }

    fn u64(&mut self) -> Decoded<u64> {
        self.field(Reader::u64)
    }

    fn u32(&mut self) -> Decoded<u32> {
        self.field(Reader::u32)
    }

    fn u8(&mut self) -> Decoded<u8> {
        self.field(Reader::u8)
    }

    #[inline]
    fn field<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, IntegerFault>,
    ) -> Decoded<T> {
        self.offset = self.reader.position();
        Ok(read(&mut self.reader)?)
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        self.offset = self.reader.position();
        self.reader.array().ok_or(DecodeFault::Truncated)
    }

    fn raw(&mut self, len: u64) -> Decoded<&'a [u8]> {
        let len = usize::try_from(len).map_err(|_| DecodeFault::Truncated)?;
        self.reader.bytes(len).ok_or(DecodeFault::Truncated)
    }
}

fn kind(opcode: u64) -> Option<Kind> {
    Some(match opcode {
        0 => Kind::AddTable,
        1 => Kind::EraseTable,
        2 => Kind::CreateObject,
        3 => Kind::EraseObject,
        4 => Kind::Update,
        5 => Kind::AddInteger,
        6 => Kind::AddColumn,
        7 => Kind::EraseColumn,
        8 => Kind::ArrayInsert,
        9 => Kind::ArrayMove,
        10 => Kind::ArrayErase,
        11 => Kind::Clear,
        12 => Kind::SetInsert,
        13 => Kind::SetErase,
        _ => return None,
    })
}

fn type_code(code: i64) -> Option<TypeCode> {
    Some(match code {
        -6 => TypeCode::Set,
        -5 => TypeCode::List,
        -4 => TypeCode::Erased,
        -3 => TypeCode::Dictionary,
        -2 => TypeCode::ObjectValue,
        -1 => TypeCode::GlobalKey,
        0 => TypeCode::Null,
        1 => TypeCode::Int,
        2 => TypeCode::Bool,
        3 => TypeCode::String,
        4 => TypeCode::Binary,
        5 => TypeCode::Timestamp,
        6 => TypeCode::Float,
        7 => TypeCode::Double,
        8 => TypeCode::Decimal,
        9 => TypeCode::Link,
        10 => TypeCode::ObjectId,
        11 => TypeCode::Uuid,
        _ => return None,
    })
}
