// node device.mjs BASE_URL APP_ID: one device, which does what it is told.
//
// Each line of stdin is a command, `{"id": 1, "run": "JavaScript"}`; it is answered on stdout with one line, `{"id": 1, "ok": VALUE}` or
// `{"id": 1, "error": TEXT}`. What happens unasked is a line as well: `{"event": "sync error", "code": ..., "message": ...}`.
// The SDK's own log goes to stderr, all of it. The functions below are what a command can call, beside the SDK itself.
import { createInterface } from "node:readline";
import Realm from "./realm.mjs";
import { dump } from "./dump.mjs";
import { randomEdits, seed } from "./random_edits.mjs";
import schemas from "./schemas.mjs";
import { createEverything, required } from "./values.mjs";

const [baseUrl, appId] = process.argv.slice(2);
const AsyncFunction = (async () => {}).constructor;
const started = Date.now();

const app = new Realm.App({ id: appId, baseUrl });
Realm.App.Sync.setLogger(app, (_level, message) => {
  process.stderr.write(`${((Date.now() - started) / 1000).toFixed(3)} ${message.slice(0, 2000)}\n`);
});
Realm.App.Sync.setLogLevel(app, "all");

let user = null;

Object.assign(globalThis, {
  BSON: Realm.BSON,
  app,
  createEverything,
  randomEdits,
  required,
  seed,
  /** The realm that was opened last. */
  realm: null,

  /** Logs in anonymously; with `again`, as a new user beside those who are logged in. */
  async logIn(again = false) {
    user = await app.logIn(Realm.Credentials.anonymous(!again));
    return user.id;
  },

  /** Opens a realm and waits for nothing, as an app does that must start offline. */
  open(schema, partition) {
    realm = new Realm(configuration(schema, partition));
    return null;
  },

  /** Opens a realm once everything that the server has is there, as most apps do at their first start. */
  async openDownloaded(schema, partition) {
    realm = await Realm.open(configuration(schema, partition));
    return null;
  },

  /** One transaction. */
  write(change) {
    realm.write(change);
    return null;
  },

  all: (name) => realm.objects(name),
  get: (name, key) => realm.objectForPrimaryKey(name, key),
  create: (name, values) => realm.create(name, values),
  uploaded: () => realm.syncSession.uploadAllLocalChanges(),

  /** Waits until everything that the server has now is here, and shown: the SDK says so a moment before `realm` is up to date. */
  async downloaded() {
    await realm.syncSession.downloadAllServerChanges();
    realm.beginTransaction(); // On what is newest.
    realm.cancelTransaction();
    return null;
  },

  dump: () => dump(realm),

  /** Waits until the realm's contents satisfy a condition; looks again whenever they change. */
  until(condition) {
    const watched = realm;
    return new Promise((resolve, reject) => {
      const look = () => {
        try {
          if (!condition()) return;
          watched.removeListener("change", look);
          resolve(null);
        } catch (error) {
          watched.removeListener("change", look);
          reject(error);
        }
      };
      watched.addListener("change", look);
      look();
    });
  },

  /** Waits until the session's connection is in this state. */
  untilConnection(state) {
    const session = realm.syncSession;
    return new Promise((resolve) => {
      const look = (now) => {
        if (now !== state) return;
        session.removeConnectionNotification(look);
        resolve(null);
      };
      session.addConnectionNotification(look);
      look(session.connectionState);
    });
  },

  /** Tells the test something that it did not ask for. */
  report: (event, details = {}) => say({ event, ...details }),
});

function configuration(schema, partition) {
  return {
    schema: schemas[schema],
    sync: {
      user,
      partitionValue: Realm.BSON.EJSON.parse(partition),
      onError: (_session, error) => report("sync error", { code: error.code, name: error.name, message: error.message }),
    },
  };
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function fail(error) {
  say({ event: "crash", message: String(error?.stack ?? error) });
  process.exitCode = 1;
  process.stdin.destroy();
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, run } = JSON.parse(line);
    try {
      say({ id, ok: (await new AsyncFunction(run)()) ?? null });
    } catch (error) {
      say({ id, error: String(error?.stack ?? error) });
    }
  })
  .on("close", () => process.exit());
say({ event: "ready" });
