// The contents of a realm as JSON values, in the form that `bailiwick dump` prints:
//
//     {"table":CLASS,"pk":FIELD|null,"embedded":bool,"asymmetric":bool,"columns":{FIELD:{"type","nullable","collection","target"}}}
//     {"table":CLASS,"object":KEY,"fields":{FIELD:VALUE}}
//
// Values are read one layer below the SDK's public accessors, because these round 64-bit integers and drop the
// difference between an int, a float and a double in a mixed property.

const COLLECTIONS = { 128: "list", 256: "set", 512: "dictionary" };
const TYPES = {
  0: "int", 1: "bool", 2: "string", 3: "binary", 4: "timestamp", 5: "float", 6: "double", 7: "link",
  9: "mixed", 10: "objectId", 11: "decimal", 12: "uuid",
};
const EMBEDDED = 1;

/** All classes and objects of a realm. */
export function dump(realm) {
  const classes = realm.internal.schema.map((schema) => classOf(realm, schema));
  const lines = classes.map(({ name, primaryKey, embedded, columns }) => ({
    table: name,
    pk: embedded ? null : primaryKey,
    embedded,
    asymmetric: false,
    columns: Object.fromEntries(columns.map(({ name, type, nullable, collection, target }) => [name, { type, nullable, collection, target }])),
  }));
  const byName = new Map(classes.map((described) => [described.name, described]));
  for (const described of classes) {
    if (described.embedded) continue;
    for (const object of realm.objects(described.name)) {
      lines.push({ table: described.name, object: keyOf(object), fields: fieldsOf(object, byName) });
    }
  }
  return lines;
}

function classOf(realm, { name, primaryKey, tableType, persistedProperties }) {
  const columns = persistedProperties.map(({ name, columnKey, type, objectType }) => ({
    name,
    columnKey,
    type: TYPES[type & 63],
    nullable: (type & 64) !== 0,
    collection: COLLECTIONS[type & 896] ?? "single",
    target: objectType === "" ? null : objectType,
  }));
  return { name, primaryKey, embedded: tableType === EMBEDDED, columns };
}

function fieldsOf(object, classes) {
  const { columns } = classes.get(object.objectSchema().name);
  return Object.fromEntries(columns.map((column) => [column.name, fieldOf(object, column, classes)]));
}

function fieldOf(object, { name, columnKey, type, collection }, classes) {
  const one = (raw, read) => (type === "link" ? objectOf(read(), classes) : valueOf(raw(), read, classes));
  switch (collection) {
    case "list":
    case "set": {
      const field = object[name];
      const at = (_, i) => one(() => field.results.getAny(i), () => field[i]);
      return { type: collection, items: Array.from({ length: field.length }, at) };
    }
    case "dictionary": {
      const field = object[name];
      const raw = symbolOf(field, "Dictionary#internal");
      const at = (key) => [key, one(() => raw.tryGetAny(key), () => field[key])];
      return { type: "dictionary", entries: Object.fromEntries(Object.keys(field).map(at)) };
    }
    default:
      return one(() => symbolOf(object, "Object#internal").getAny(columnKey), () => object[name]);
  }
}

function objectOf(object, classes) {
  if (object === null) return { type: "null" };
  const { name } = object.objectSchema();
  if (classes.get(name).embedded) return { type: "object", fields: fieldsOf(object, classes) };
  return { type: "link", table: name, object: keyOf(object) };
}

/** A value as the storage holds it; `read` gives what the SDK makes of it. */
function valueOf(value, read, classes) {
  if (value === null) return { type: "null" };
  switch (typeof value) {
    case "bigint": return { type: "int", value: jsonInt(value) };
    case "number": return { type: "double", bits: bits(8, (view) => view.setFloat64(0, value)) };
    case "boolean": return { type: "bool", value };
    case "string": return { type: "string", value };
  }
  switch (value.constructor.name) {
    case "Float": return { type: "float", bits: bits(4, (view) => view.setFloat32(0, value.value)) };
    case "Timestamp": return { type: "timestamp", seconds: jsonInt(value.seconds), nanoseconds: Number(value.nanoseconds) };
    case "ArrayBuffer": return { type: "binary", hex: Buffer.from(value).toString("hex") };
    case "ObjectId": return { type: "objectId", value: value.toHexString() };
    case "UUID": return { type: "uuid", value: value.toHexString() };
    case "Decimal128": {
      const hex = Buffer.from(value.bytes).reverse().toString("hex");
      return { type: "decimal", hi: hex.slice(0, 16), lo: hex.slice(16) };
    }
    case "ObjLink":
      // Where the linked object is gone the SDK should read null; it throws.
      return BigInt(value.objKey) < 0n ? { type: "null" } : objectOf(read(), classes);
  }
  throw new Error(`no JSON form for a ${value.constructor.name}`);
}

function keyOf(object) {
  const { columnKey } = primaryKeyOf(object);
  return valueOf(symbolOf(object, "Object#internal").getAny(columnKey));
}

function primaryKeyOf(object) {
  const realm = object[Object.getOwnPropertySymbols(Object.getPrototypeOf(object)).find((s) => s.description === "Object#realm")];
  const schema = realm.internal.schema.find(({ name }) => name === object.objectSchema().name);
  return schema.persistedProperties.find(({ isPrimary }) => isPrimary);
}

function symbolOf(object, description) {
  return object[Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description)];
}

/** As a number while JSON readers agree on it, else as its digits. */
function jsonInt(value) {
  const int = BigInt(value);
  return int >= BigInt(Number.MIN_SAFE_INTEGER) && int <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(int) : String(int);
}

function bits(len, write) {
  const view = new DataView(new ArrayBuffer(len));
  write(view);
  return Buffer.from(view.buffer).toString("hex");
}
