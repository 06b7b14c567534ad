// Values of every type, at their limits.
import Realm from "./realm.mjs";

const { ObjectId, UUID, Decimal128 } = Realm.BSON;
const bytes = (...from) => new Uint8Array(from).buffer;
const decimals = (...texts) => texts.map((text) => Decimal128.fromString(text));

/** By the name of the type in a schema. */
export const limits = {
  int: [0n, 1n, -1n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)],
  bool: [false, true],
  string: ["", "x", "ü", "🦀", "a\u0000b", "\u0000", "tab\tquote\"\\\n", "$oid", '{"$oid":"x"}', "long ".repeat(2_000)],
  data: [bytes(), bytes(0), bytes(...Array(256).keys()), bytes(0xff, 0xfe)],
  date: [0, 1, -1, 999, -999, 1_000, 1_700_000_000_123, 8.64e15, -8.64e15].map((ms) => new Date(ms)),
  float: [0, 1.5, -1.5, 3.4028234663852886e38, -3.4028234663852886e38, 1.401298464324817e-45, Infinity, -Infinity],
  double: [0, 0.1, -0.1, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity],
  decimal128: decimals("0", "1", "-1.50", "0.1", "9.999999999999999999999999999999999E+6144", "-9.999999999999999999999999999999999E+6144", "1E-6176", "Infinity", "-Infinity"),
  objectId: ["000000000000000000000000", "ffffffffffffffffffffffff", "65a1b2c3d4e5f60718293a4b"].map((hex) => new ObjectId(hex)),
  // The SDK reads only UUIDs of version 4.
  uuid: ["00000000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff", "aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f000"].map((text) => new UUID(text)),
};

/** Further values that are equal to one of the above, or to nothing: not for sets. */
export const oddities = {
  float: [-0, NaN],
  double: [-0, NaN],
  decimal128: decimals("-0", "0E+10", "1.0", "NaN"),
};

/** The first value of each type, for the properties that need one. */
export function required() {
  return Object.fromEntries(Object.entries(limits).map(([type, [first]]) => [type, first]));
}

/** Creates objects of the class "Everything" that together hold every value in every kind of property; keys from `firstKey`. */
export function createEverything(firstKey) {
  let key = firstKey;
  realm.create("Everything", { _id: key++, ...required() });
  for (const [type, common] of Object.entries(limits)) {
    const values = [...common, ...(oddities[type] ?? [])];
    const map = Object.fromEntries(values.map((value, i) => [`key ${i}`, value]));
    realm.create("Everything", {
      _id: key++,
      ...required(),
      [`${type}List`]: values,
      [`${type}OptList`]: [null, ...values, null],
      [`${type}Set`]: common,
      [`${type}OptSet`]: [...common, null],
      [`${type}Map`]: map,
      [`${type}OptMap`]: { ...map, "no value": null, "": values[0] },
    });
    for (const value of values) {
      realm.create("Everything", { _id: key++, ...required(), [type]: value, [`${type}Opt`]: value, mixed: mixed(type, value) });
    }
  }
  const all = Object.entries(limits).flatMap(([type, values]) => values.map((value) => mixed(type, value)));
  const odd = Object.entries(oddities).flatMap(([type, values]) => values.map((value) => mixed(type, value)));
  const first = realm.objectForPrimaryKey("Everything", firstKey);
  const last = realm.create("Everything", {
    _id: key++,
    ...required(),
    mixed: first,
    mixedList: [null, ...all, ...odd, nanoseconds(1n, 999_999_999), nanoseconds(-1n, -1), first],
    mixedSet: [null, ...all.filter((value) => typeof value === "string" || typeof value === "boolean"), 5n, 5.5, first],
    mixedMap: { null: null, int: 1n, double: 1, true: true, text: "text", link: first, time: nanoseconds(0n, 1) },
    link: first,
    linkList: [first, first],
    linkSet: [first],
    linkMap: { first, nobody: null },
    part: { x: 1, inner: { z: null, marks: ["", "m"] } },
    partList: [{ x: 1 }, { label: "" }, {}],
    partMap: { one: { y: 1 }, nobody: null, empty: {} },
  });
  last.linkList.push(last);
  first.link = last;
  return key - firstKey;
}

/** A value as a mixed property takes it, with its own type: a JavaScript number alone would be a double. */
function mixed(type, value) {
  return type === "float" ? new (internalClass("float"))(value) : value;
}

function nanoseconds(seconds, nanoseconds) {
  return internalClass("date").make(seconds, nanoseconds);
}

/** The class by which the SDK hands this type to its storage. */
function internalClass(property) {
  const [object] = realm.objects("Everything");
  const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === "Object#internal");
  const { persistedProperties } = realm.internal.schema.find(({ name }) => name === "Everything");
  return object[symbol].getAny(persistedProperties.find(({ name }) => name === property).columnKey).constructor;
}
