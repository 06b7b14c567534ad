// The WebSocket of a device whose network comes and goes.
//
// The SDK's native builds notice a lost TCP connection and a refused one by themselves and try again after about a second.
// Its WebAssembly build reacts to neither: it waits for its own timers, two to three minutes. `DeviceSocket` stands in for what is
// missing, outside the SDK: it holds a connection attempt back while nobody listens, and turns a lost connection into the one
// message that makes every build leave and come back, `json_error 100` with the action Transient.
import { WebSocket } from "ws";

const RETRY_MS = 50;

const LOST = (() => {
  const body = JSON.stringify({
    tryAgain: true,
    message: "the connection was lost",
    shouldClientReset: false,
    isRecoveryModeDisabled: false,
    logURL: "",
    action: "Transient",
  });
  return new TextEncoder().encode(`json_error 100 ${body.length} 0\n${body}`).buffer;
})();

const UNREACHABLE = new Set(["ECONNREFUSED", "ECONNRESET"]);

export class DeviceSocket {
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  binaryType = "arraybuffer";
  #socket = null;
  #retry = null;
  #opened = false;
  #closed = false;

  constructor(url, protocols) {
    this.#connect(url, protocols);
  }

  get readyState() {
    return this.#closed ? WebSocket.CLOSED : (this.#socket?.readyState ?? WebSocket.CONNECTING);
  }

  get protocol() {
    return this.#socket.protocol;
  }

  get bufferedAmount() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  send(data) {
    // After a loss the SDK goes on sending until it has read about it, as into the buffer of a dead TCP connection.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(data.slice());
  }

  close(code, reason) {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket.close(code, reason);
  }

  #connect(url, protocols) {
    let unreachable = false;
    const socket = new WebSocket(url, protocols, { perMessageDeflate: false });
    this.#socket = socket;
    socket.binaryType = this.binaryType;
    socket.onopen = (event) => {
      this.#opened = true;
      this.onopen?.(event);
    };
    socket.onmessage = (event) => this.onmessage?.(event);
    socket.onerror = (event) => {
      unreachable = UNREACHABLE.has(event.error?.code);
      if (!unreachable && !this.#opened) this.onerror?.(event);
    };
    socket.onclose = (event) => {
      if (this.#closed) return;
      if (this.#opened) this.onmessage?.({ data: LOST });
      else if (unreachable) this.#retry = setTimeout(() => this.#connect(url, protocols), RETRY_MS);
      else this.onclose?.(event);
    };
  }
}
