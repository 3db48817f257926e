// Artifacts: bytes of any size that a step makes or fetches, and hands on by reference.

import { Writer as HostWriter, create as begin, open as find } from "wflo:artifact/store@0.1.0";
import { Invalid, hosted } from "../errors.js";
import { bytesOf, parse, stringify, text } from "../json.js";
import { decode, encode } from "../text.js";
import { translate } from "./error.js";
import { source } from "./reference.js";

/** Bytes that are gathered before the host is given them, and asked of it at a time. */
const GATHERED = 256 * 1024;
/** Longest line that is taken: a source without line ends must not fill the step's memory. */
const LONGEST = 16 * 1024 * 1024;

/** Begins an artifact. The name is of letters, digits and `_-.`, and new in this attempt. */
export async function create(name) {
  return new Writer(hosted(() => begin(text(name, "the name of an artifact")), translate));
}

/** Opens an artifact: by its reference, or one of this step, else of the only step before it, by its name. */
export async function open(which) {
  const address = typeof which === "string" ? { name: which, step: null, item: null } : source(which);
  return new Reader(hosted(() => find(address), translate));
}

class Writer {
  #host;
  #gathered = [];
  #size = 0;

  constructor(host) {
    this.#host = host;
  }

  /** Appends text or bytes. */
  async write(said) {
    const bytes = typeof said === "string" ? encode(said) : bytesOf(said);
    if (bytes === undefined) throw new Invalid("an artifact is made of text and bytes; `row` writes anything else");
    this.#gathered.push(bytes);
    this.#size += bytes.length;
    if (this.#size >= GATHERED) this.#handOn();
  }

  /** Writes a value as one line of JSON. */
  async row(value) {
    await this.write(`${stringify(value, "row")}\n`);
  }

  /** Makes the artifact, and gives the reference to hand it on by. */
  async finish() {
    this.#handOn();
    return JSON.parse(hosted(() => HostWriter.finish(this.#host), translate));
  }

  #handOn() {
    if (this.#size === 0) return;
    const bytes = joined(this.#gathered, this.#size);
    [this.#gathered, this.#size] = [[], 0];
    hosted(() => this.#host.write(bytes), translate);
  }
}

class Reader {
  #host;

  constructor(host) {
    this.#host = host;
  }

  /** Its size in bytes. */
  get size() {
    return Number(this.#host.size());
  }

  /** The reference to it. */
  get artifact() {
    return JSON.parse(this.#host.reference());
  }

  /** The next bytes, at least one and at most `most`; none at the end. */
  async read(most = GATHERED) {
    const bytes = hosted(() => this.#host.read(Math.min(most, GATHERED)), translate);
    return bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  }

  /** Goes on at another byte. */
  seek(at) {
    this.#host.seek(at);
  }

  /** All that is left, as bytes. */
  async bytes() {
    const pieces = [];
    let size = 0;
    for (let piece = await this.read(); piece.length > 0; piece = await this.read()) {
      pieces.push(piece);
      size += piece.length;
    }
    return joined(pieces, size);
  }

  /** All that is left, as text. */
  async text() {
    return decode(await this.bytes());
  }

  /** Its lines, one after another, without their ends. */
  async *lines() {
    let rest = new Uint8Array();
    for (let piece = await this.read(); piece.length > 0; piece = await this.read()) {
      let bytes = joined([rest, piece], rest.length + piece.length);
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
        yield line(bytes.subarray(0, end));
        bytes = bytes.subarray(end + 1);
      }
      if (bytes.length > LONGEST) throw new Invalid(`a line has more than ${LONGEST} bytes`);
      rest = bytes;
    }
    if (rest.length > 0) yield line(rest);
  }

  /** Its lines of JSON, each as a value. Empty lines are passed over. */
  async *rows() {
    let number = 0;
    for await (const line of this.lines()) {
      number++;
      if (line === "") continue;
      try {
        yield parse(line);
      } catch (error) {
        throw new Invalid(`line ${number}: ${error.message}`);
      }
    }
  }
}

function line(bytes) {
  return decode(bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes);
}

function joined(pieces, size) {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
