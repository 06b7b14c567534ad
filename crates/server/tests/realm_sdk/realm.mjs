// Loads the unmodified Realm JavaScript SDK (realm-core 13.13.0 compiled to WebAssembly) in Node.js.
//
// It expects a browser: here are the browser facilities that it uses, and its .wasm file from disk.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { DeviceSocket } from "./device_socket.mjs";

const bundle = new URL("./node_modules/realm/dist/bundle.browser.mjs", import.meta.url);
const wasm = readFileSync(new URL("./realm-js-wasm.wasm", bundle));

const fetchFromNetwork = globalThis.fetch;
globalThis.fetch = (url, options) =>
  String(url).endsWith("realm-js-wasm.wasm")
    ? Promise.resolve(new Response(wasm, { headers: { "content-type": "application/wasm" } }))
    : fetchFromNetwork(url, options);
globalThis.WebSocket = DeviceSocket;
globalThis.XMLHttpRequest = createRequire(import.meta.url)("xhr2");
globalThis.window = globalThis;
globalThis.location = { href: "http://localhost/" };
globalThis.document = {};
Object.defineProperty(globalThis, "navigator", {
  value: { userAgent: "node", languages: ["en"] },
  configurable: true,
});

const { default: Realm } = await import(bundle.href);
export default Realm;
