// The object models that the scenarios use, by name.

const task = {
  name: "Task",
  primaryKey: "_id",
  properties: { _id: "objectId", name: "string", done: { type: "bool", default: false }, points: "int?" },
};

// Everything that two devices can change at the same time.
const part = { name: "Part", embedded: true, properties: { x: "int?", y: "int?", label: "string?", inner: "Inner" } };
const inner = { name: "Inner", embedded: true, properties: { z: "int?", marks: "string[]" } };
const thing = {
  name: "Thing",
  primaryKey: "_id",
  properties: {
    _id: "int",
    a: "string?",
    b: "string?",
    count: "int?",
    any: "mixed",
    list: "string[]",
    numbers: "int[]",
    set: "string<>",
    map: "string{}",
    anyMap: "mixed{}",
    part: "Part",
    parts: "Part[]",
    partMap: "Part{}",
    link: "Thing",
    links: "Thing[]",
    linkSet: "Thing<>",
    linkMap: "Thing{}",
    anyList: "mixed[]",
  },
};

const journal = { name: "Journal", primaryKey: "_id", properties: { _id: "string", lines: "string[]" } };
const entry = { name: "Entry", primaryKey: "_id", properties: { _id: "string", author: "string", n: "int" } };

// A property of every type, optional and not, alone and in each kind of collection.
const scalars = ["int", "bool", "string", "data", "date", "float", "double", "decimal128", "objectId", "uuid"];
const everything = {
  name: "Everything",
  primaryKey: "_id",
  properties: {
    _id: "int",
    ...Object.fromEntries(scalars.flatMap((type) => [
      [type, type],
      [`${type}Opt`, `${type}?`],
      [`${type}List`, `${type}[]`],
      [`${type}OptList`, `${type}?[]`],
      [`${type}Set`, `${type}<>`],
      [`${type}OptSet`, `${type}?<>`],
      [`${type}Map`, `${type}{}`],
      [`${type}OptMap`, `${type}?{}`],
    ])),
    mixed: "mixed",
    mixedList: "mixed[]",
    mixedSet: "mixed<>",
    mixedMap: "mixed{}",
    link: "Everything",
    linkList: "Everything[]",
    linkSet: "Everything<>",
    linkMap: "Everything{}",
    part: "Part",
    partList: "Part[]",
    partMap: "Part{}",
    incoming: { type: "linkingObjects", objectType: "Everything", property: "link" },
  },
};
const keyed = (name, type) => ({ name, primaryKey: "_id", properties: { _id: type, value: "string?" } });

export default {
  task: [task],
  thing: [thing, part, inner],
  journal: [journal, entry],
  entry: [entry],
  everything: [
    everything,
    part,
    inner,
    keyed("ByString", "string"),
    keyed("ByObjectId", "objectId"),
    keyed("ByUuid", "uuid"),
    keyed("ByOptionalInt", "int?"),
    keyed("ByOptionalString", "string?"),
  ],
};
