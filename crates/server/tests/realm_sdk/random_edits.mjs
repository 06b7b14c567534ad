// Random edits of a few objects of the schema "thing", from a seed.
//
// Left out is what realm-core itself does not merge to one state: two devices that create an embedded object under the same
// key of a dictionary and fill it, and moves in a list of embedded objects that the other side edits.

const KEYS = [1, 2, 3, 4];
// Of different lengths: the SDK takes two removals of different strings for the same if their positions in the changesets are.
const WORDS = ["apple", "pear", "fig", "cherry"];
let state = 1;
let mine = "";

/** Starts a new stream of random numbers; no other device may have the same seed. */
export function seed(value) {
  state = (value >>> 0) || 1;
  mine = `of ${value}`;
}

/** Carries out this many transactions of one to three edits. */
export function randomEdits(count) {
  for (let i = 0; i < count; i++) {
    realm.write(() => {
      for (let left = 1 + below(3); left > 0; left--) edit();
    });
  }
}

// xorshift32
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state >>> 0;
}

const below = (bound) => random() % bound;
const pick = (from) => from[below(from.length)];
const word = () => `${pick(WORDS)} ${below(100)}`;

function edit() {
  const id = pick(KEYS);
  const thing = realm.objectForPrimaryKey("Thing", id);
  if (thing === null) {
    realm.create("Thing", { _id: id, a: word(), partMap: { [mine]: { x: below(10) } } });
    return;
  }
  const { list, set, map, parts, partMap, links, linkSet, linkMap, anyList } = thing;
  const other = realm.objectForPrimaryKey("Thing", pick(KEYS));
  const edits = [
    () => below(4) === 0 && realm.delete(thing),
    () => (thing.a = word()),
    () => (thing.count = below(100)),
    () => (thing.any = pick([null, true, 7n, 0.25, word(), other])),
    () => list.splice(below(list.length + 1), 0, word()),
    () => list.splice(below(list.length + 1), 0, word()),
    () => list.length > 0 && list.remove(below(list.length)),
    () => list.length > 0 && (list[below(list.length)] = word()),
    () => list.length > 1 && moveWithin(list),
    () => below(8) === 0 && (thing.list = [word(), word()]),
    () => anyList.splice(below(anyList.length + 1), 0, pick([null, 3n, 1.5, word(), other])),
    () => set.add(pick(WORDS)),
    () => set.delete(pick(WORDS)),
    () => map.set(pick(WORDS), word()),
    () => map.remove(pick(WORDS)),
    () => (thing.part = pick([{ x: below(10) }, { y: below(10), inner: { z: 1 } }])),
    () => thing.part !== null && below(2) === 0 && realm.delete(thing.part),
    () => thing.part !== null && (thing.part.x = below(100)),
    () => thing.part?.inner && thing.part.inner.marks.push(word()),
    () => parts.push({ x: below(10), label: word() }),
    () => parts.length > 0 && (parts[below(parts.length)].y = below(10)),
    () => parts.length > 0 && parts.remove(below(parts.length)),
    () => Object.values(partMap).forEach((part) => (part.y = below(10))),
    () => partMap.remove(pick(["none", ...Object.keys(partMap)])),
    () => (thing.link = other),
    () => other && links.splice(below(links.length + 1), 0, other),
    () => links.length > 0 && links.remove(below(links.length)),
    () => links.length > 1 && moveWithin(links),
    () => other && linkSet.add(other),
    () => other && linkMap.set(pick(WORDS), other),
  ];
  pick(edits)();
}

function moveWithin(list) {
  const [from, to] = [below(list.length), below(list.length)];
  if (from !== to) list.move(from, to);
}
