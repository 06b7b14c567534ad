//! Bodies of UPLOADs and DOWNLOADs, as a peer may make them that wants to do harm: streams that inflate to more than
//! anybody may send, with any length announced, cut off or with something behind them.

use std::cell::RefCell;

use bailiwick_protocol::message::Body;
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

use crate::input::Input;
use crate::memory;

/// The longest body that is taken, inflated.
pub(crate) const MAX_LEN: usize = 1 << 16;
/// The longest that is made: longer than may be, and quickly made.
const MAX_MADE_LEN: usize = MAX_LEN + (1 << 12);

/// A body, and what it says.
pub(crate) struct Made {
    pub(crate) body: Body,
    /// What it inflates to, if it was made as it has to be.
    plain: Option<Bytes>,
}

impl Made {
    /// The first bytes choose the form, what is wrong with it, and how often the others stand in it.
    pub(crate) fn read(mut input: Input<'_>) -> Self {
        let (form, times) = (input.u8(), input.u8());
        let any_len = if form & 0x30 == 0x30 { input.u32() } else { 0 };
        let damage = if form & 0x40 == 0 { 0 } else { input.u8() };
        let plain = repeated(input.rest(), times.into());
        let true_len = plain.len() as u64;
        let uncompressed_len = match form >> 4 & 0b11 {
            0 => true_len,
            1 => true_len + 1,
            2 => true_len.saturating_sub(1),
            _ => any_len.into(),
        };
        match form & 0x0f {
            level @ 0..=9 => {
                let bytes = damaged(deflated(&plain, level), damage);
                let is_sound = uncompressed_len == true_len && damage % 0x80 == 0;
                let body = Body::Compressed { uncompressed_len, bytes };
                Self { body, plain: is_sound.then_some(plain) }
            }
            // Hardly ever a stream.
            10 => Self { body: Body::Compressed { uncompressed_len, bytes: plain }, plain: None },
            _ => Self { body: Body::Plain(plain.clone()), plain: Some(plain) },
        }
    }

    /// A sound body of a length that may be is what it was made of, and too long a one is refused before it takes
    /// memory.
    pub(crate) fn check(&self) {
        // The decoder keeps a window of 32 KiB, and some tables.
        let inflated = memory::within(3 * MAX_LEN, || self.body.inflate(MAX_LEN));
        match &self.plain {
            Some(plain) if plain.len() <= MAX_LEN => {
                assert_eq!(inflated.as_ref().ok(), Some(plain));
            }
            Some(_) => assert!(inflated.is_err(), "it is too long"),
            None => {
                let Ok(plain) = inflated else { return };
                assert_eq!(plain.len() as u64, self.body.plain_len());
                assert!(plain.len() <= MAX_LEN);
            }
        }
    }
}

/// The bytes that often, and once more.
fn repeated(bytes: &[u8], times: usize) -> Bytes {
    let len = (bytes.len() * (times * times + 1)).min(MAX_MADE_LEN);
    bytes.iter().copied().cycle().take(len).collect()
}

thread_local! {
    /// One for each level. Kept, since libFuzzer's allocations between those of new ones every time would leave holes.
    static DEFLATE: RefCell<[Option<Compress>; 10]> = const { RefCell::new([const { None }; 10]) };
}

fn deflated(plain: &[u8], level: u8) -> Vec<u8> {
    DEFLATE.with_borrow_mut(|streams| {
        let level_of = || Compress::new(Compression::new(level.into()), true);
        let stream = streams[usize::from(level)].get_or_insert_with(level_of);
        stream.reset();
        // More than what it comes to if nothing can be compressed.
        let mut out = Vec::with_capacity(plain.len() + plain.len() / 8 + 64);
        let end = stream.compress_vec(plain, &mut out, FlushCompress::Finish);
        assert!(matches!(end, Ok(Status::StreamEnd)), "there was room for it: {end:?}");
        out.shrink_to_fit();
        out
    })
}

/// Without so many of its last bytes, or with so many behind them.
fn damaged(mut stream: Vec<u8>, damage: u8) -> Bytes {
    let count = usize::from(damage % 0x80);
    if damage < 0x80 {
        stream.truncate(stream.len().saturating_sub(count));
    } else {
        stream.resize(stream.len() + count, 0);
    }
    stream.into()
}
