//! A transaction that is too long for one UPLOAD, in pieces that are not.

use bailiwick_protocol::changeset::{Changeset, Instruction, StringTable, Symbol};
use bytes::Bytes;

/// The length, in bytes, that a piece of a transaction does not exceed unless it is a single instruction.
///
/// A changeset travels in one message, and servers refuse messages of much more than 16 MiB. So a longer
/// transaction becomes several changesets in a row. Each can be applied after those before it, but other devices may
/// see the realm between two of them, and a server may take some and refuse the next one.
pub const MAX_PIECE_LEN: usize = 8 << 20;

/// The encoded changeset, or its pieces in order; never none.
///
/// An object does not come in two pieces unless it is too long for one.
pub(super) fn split(changeset: Changeset) -> Vec<Bytes> {
    let encoded = changeset.encode();
    if encoded.len() <= MAX_PIECE_LEN {
        return vec![encoded.into()];
    }
    drop(encoded);
    let Changeset { strings, mut instructions } = changeset;
    let mut splitter = Splitter { pieces: Vec::new(), piece: Piece::new(&strings) };
    let mut ruler = Ruler::default();
    let object = |instruction: &Instruction| (instruction.table(), instruction.object());
    for run in instructions.chunk_by_mut(|a, b| object(a) == object(b)) {
        let lens: Vec<_> = run.iter_mut().map(|instruction| ruler.len(instruction)).collect();
        let strings_len = splitter.piece.new_strings_len(run);
        let len = lens.iter().sum::<usize>() + strings_len;
        if len <= MAX_PIECE_LEN {
            splitter.make_room(len);
        }
        for (instruction, len) in run.iter_mut().zip(lens) {
            let strings_len = splitter.piece.new_strings_len(std::slice::from_mut(instruction));
            splitter.make_room(len + strings_len);
            splitter.piece.push(std::mem::replace(instruction, PLACEHOLDER), len);
        }
    }
    splitter.finish()
}

/// What stands where an instruction was taken out.
const PLACEHOLDER: Instruction = Instruction::EraseTable { table: Symbol(0) };

struct Splitter<'a> {
    pieces: Vec<Bytes>,
    piece: Piece<'a>,
}

impl Splitter<'_> {
    /// Begins another piece if this one has no room for so many bytes.
    fn make_room(&mut self, len: usize) {
        if !self.piece.changeset.is_empty() && self.piece.len + len > MAX_PIECE_LEN {
            let next = Piece::new(self.piece.texts);
            let full = std::mem::replace(&mut self.piece, next);
            self.pieces.push(full.changeset.encode().into());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.pieces.push(self.piece.changeset.encode().into());
        self.pieces
    }
}

/// A piece that is being filled: a changeset with only the strings that it uses.
struct Piece<'a> {
    /// The strings of the whole transaction.
    texts: &'a StringTable,
    /// What the symbols of the whole transaction are here.
    symbols: Vec<Option<Symbol>>,
    changeset: Changeset,
    /// Its length in bytes.
    len: usize,
}

/// Measures instructions by encoding them.
#[derive(Default)]
struct Ruler {
    changeset: Changeset,
    bytes: Vec<u8>,
}

impl<'a> Piece<'a> {
    fn new(texts: &'a StringTable) -> Self {
        let symbols = vec![None; texts.count()];
        Self { texts, symbols, changeset: Changeset::default(), len: 0 }
    }

    /// The most that the strings take that instructions need and that are not here yet.
    fn new_strings_len(&self, instructions: &mut [Instruction]) -> usize {
        let mut len = 0;
        for instruction in instructions {
            instruction.for_each_symbol_mut(|symbol| {
                if self.symbols[symbol.0 as usize].is_none() {
                    len += declaration_len(self.texts.get(*symbol));
                }
            });
        }
        len
    }

    /// Takes an instruction, which is `len` bytes long without its strings.
    fn push(&mut self, mut instruction: Instruction, len: usize) {
        instruction.for_each_symbol_mut(|symbol| {
            let text = self.texts.get(*symbol);
            *symbol = *self.symbols[symbol.0 as usize].get_or_insert_with(|| {
                self.len += declaration_len(text);
                self.changeset.strings.intern(text)
            });
        });
        self.len += len;
        self.changeset.instructions.push(instruction);
    }
}

/// The most that the declaration of a string takes: the opcode, the symbol and the length, and the text.
fn declaration_len(text: &str) -> usize {
    1 + 5 + 5 + text.len()
}

impl Ruler {
    /// The encoded length of an instruction, which is the same afterwards.
    fn len(&mut self, instruction: &mut Instruction) -> usize {
        self.changeset.instructions.push(std::mem::replace(instruction, PLACEHOLDER));
        self.bytes.clear();
        self.changeset.encode_into(&mut self.bytes);
        if let Some(measured) = self.changeset.instructions.pop() {
            *instruction = measured;
        }
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_core::state::State;
    use bailiwick_protocol::changeset::{
        AddColumn, CollectionKind, DecodeLimits, KeySpec, KeyType, ObjectKey, Path, Payload,
        TableKind, Target, TypeCode, UpdateKind,
    };

    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_transaction_that_fits_stays_whole() {
        check(&Changeset::default(), &[0]);
        check(&transaction(&[[10], [20]]), &[6]);
        check(&transaction(&[[3 * MIB]; 2]), &[6]);
    }

    #[test]
    fn pieces_end_between_objects() {
        check(&transaction(&[[3 * MIB]; 5]), &[6, 4, 2]);
        check(&transaction(&[vec![3 * MIB], vec![3 * MIB; 2], vec![MIB]]), &[4, 5]);
    }

    #[test]
    fn an_object_longer_than_a_piece_ends_within() {
        check(&transaction(&[[5 * MIB; 3]]), &[4, 1, 1]);
        check(&transaction(&[vec![10], vec![5 * MIB; 3], vec![10]]), &[6, 1, 3]);
    }

    #[test]
    fn an_instruction_longer_than_a_piece_is_alone() {
        check(&transaction(&[[10, 12 * MIB, 10]]), &[4, 1, 1]);
    }

    #[test]
    fn a_piece_has_only_the_strings_that_it_uses() {
        let pieces = check(&transaction(&[[5 * MIB]; 2]), &[4, 2]);
        let strings = |piece: &Changeset| piece.strings.iter().collect::<Vec<_>>().join(" ");
        assert_eq!(strings(&pieces[0]), "Blob _id data 0");
        assert_eq!(strings(&pieces[1]), "Blob 1 data");
    }

    /// A transaction that creates objects, each of which is given binary values of these lengths.
    fn transaction<V: AsRef<[usize]>>(objects: &[V]) -> Changeset {
        let mut changeset = Changeset::default();
        let [table, id, data] = ["Blob", "_id", "data"].map(|text| changeset.strings.intern(text));
        let key = KeySpec { field: id, key_type: KeyType::String, nullable: false };
        changeset.instructions = vec![
            Instruction::AddTable { table, kind: TableKind::TopLevel(key) },
            Instruction::AddColumn(Box::new(AddColumn {
                table,
                field: data,
                column_type: TypeCode::Binary,
                nullable: false,
                collection: CollectionKind::Single,
                link_target: None,
                key_type: None,
            })),
        ];
        for (number, values) in objects.iter().enumerate() {
            let object = ObjectKey::String(changeset.strings.intern(&number.to_string()));
            changeset.instructions.push(Instruction::CreateObject { table, object });
            for &len in values.as_ref() {
                changeset.instructions.push(Instruction::Update {
                    target: Target { table, object, field: data, path: Path::new() },
                    value: Payload::Binary(vec![7; len].into()),
                    kind: UpdateKind::Value { is_default: false },
                });
            }
        }
        changeset
    }

    /// The pieces of a transaction, which together do the same, one after the other.
    fn check(changeset: &Changeset, instructions: &[usize]) -> Vec<Changeset> {
        let encoded = split(changeset.clone());
        let pieces: Vec<_> = encoded
            .iter()
            .map(|piece| Changeset::decode_within(piece, &DecodeLimits::NONE).unwrap())
            .collect();
        let counts: Vec<_> = pieces.iter().map(|piece| piece.instructions.len()).collect();
        assert_eq!(counts, instructions);
        for (piece, encoded) in pieces.iter().zip(&encoded) {
            assert!(encoded.len() <= MAX_PIECE_LEN || piece.instructions.len() == 1);
            piece.check().unwrap();
        }
        let [mut whole, mut in_pieces] = [(); 2].map(|()| State::default());
        let _ = whole.apply(changeset).unwrap();
        for piece in &pieces {
            let _ = in_pieces.apply(piece).unwrap();
        }
        assert_eq!(whole, in_pieces);
        pieces
    }
}
