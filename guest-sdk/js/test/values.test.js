import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpStatus, WfloError, failure, permanent, redo } from "../src/errors.js";
import { parse, stringify } from "../src/json.js";
import { follow, parts, sameOrigin } from "../src/http/url.js";
import { step, steps } from "../src/step.js";
import { TextDecoder as Decoder, TextEncoder as Encoder } from "../src/text.js";
import { Decimal, Uuid, decode, encode, encodeNamed } from "../src/value.js";

test("values of a database keep every digit", () => {
  for (const value of [null, true, "", "ü", 0, -1, 1.5, 9007199254740991, 9007199254740993n, -(2n ** 63n), 1e300]) {
    const back = decode(JSON.parse(JSON.stringify(encode(value))));
    assert.deepEqual(back, value);
  }
  assert.deepEqual(encode(2n ** 64n), { decimal: "18446744073709551616" });
  assert.deepEqual(encode(Infinity), { real: "inf" });
  assert.ok(Number.isNaN(decode(encode(Number.NaN))));
  assert.ok(Object.is(decode(encode(-0)), -0));
  assert.deepEqual(decode(encode(new Uint8Array([0, 9, 255]))), new Uint8Array([0, 9, 255]));
  assert.deepEqual(decode(encode({ a: [1n] })), { a: [1] });
  assert.equal(String(decode(encode(new Decimal("12.50")))), "12.50");
  assert.throws(() => new Decimal("12,50"), /is no decimal/);
  assert.throws(() => new Uuid("x"), /is no UUID/);
});

test("a parameter of a named statement says its type only where JSON has none for it", () => {
  const cases = [
    [undefined, null],
    [null, null],
    [true, true],
    ["s", "s"],
    [1.5, 1.5],
    [7n, { integer: "7" }],
    [Number.NaN, { real: "NaN" }],
    [new Decimal("0.10"), "0.10"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [new Uint8Array([1, 255]), { blob: "01ff" }],
    [new Uint8Array([1, 255]).buffer, { blob: "01ff" }],
    [[1, 2], { json: "[1,2]" }],
    [{ blob: "00" }, { json: '{"blob":"00"}' }],
  ];
  for (const [value, expected] of cases) assert.deepEqual(encodeNamed(value), expected);
});

test("integers of JSON keep every digit", () => {
  const json = String.raw`{"big":9007199254740993,"low":-9223372036854775808,"safe":9007199254740991,"real":1e22,"long":0.12345678901234567,
    "text":"9007199254740993 \\","#\"":["\"",12345678901234567890,"#1"],"at":1.0}`;
  assert.deepEqual(parse(json), {
    big: 9007199254740993n,
    low: -9223372036854775808n,
    safe: 9007199254740991,
    real: 1e22,
    long: 0.12345678901234567,
    text: "9007199254740993 \\",
    '#"': ['"', 12345678901234567890n, "#1"],
    at: 1,
  });
  assert.equal(parse("9007199254740993"), 9007199254740993n);
  assert.deepEqual(parse('{"a":[1,null,"1234567890123456"]}'), { a: [1, null, "1234567890123456"] });
  assert.deepEqual(parse('["\\u00231","#\\u0023b",9007199254740993]'), ["#1", "##b", 9007199254740993n]);
  assert.throws(() => parse('{"a":9007199254740993,}'), SyntaxError);
});

test("integers are written with every digit", () => {
  const safe = 2n ** 53n - 1n;
  assert.equal(stringify([safe, -safe, safe + 2n, -safe - 2n]), `[${safe},${-safe},"${safe + 2n}","${-safe - 2n}"]`);
});

test("what JSON does not have is text", () => {
  const value = { big: 2n ** 60n, small: 7n, at: new Date(0), money: new Decimal("1.10"), bytes: new Uint8Array([1]), none: undefined };
  assert.equal(
    stringify(value),
    '{"big":"1152921504606846976","small":7,"at":"1970-01-01T00:00:00.000Z","money":"1.10","bytes":[1]}',
  );
  assert.equal(stringify(undefined), "null");
  for (const of of [() => 1, Symbol("s")]) assert.throws(() => stringify(of, "output"), /the output is no JSON: it is a (function|symbol)$/);
  const loop = {};
  loop.self = loop;
  assert.throws(() => stringify(loop, "output"), /the output is no JSON/);
});

test("nothing with a content of its own is written as an empty object", () => {
  const { buffer } = new Uint8Array([1, 2, 3]);
  const value = {
    buffer,
    part: new DataView(buffer, 1),
    reals: new Float64Array([1.5]),
    units: new Uint16Array([1, 2]),
    long: new BigInt64Array([-(2n ** 63n)]),
    map: new Map([["a", new Map([[1, new Set([2])]])]]),
    pattern: /a+/g,
    error: new TypeError("no", { cause: new Error("why") }),
  };
  assert.deepEqual(JSON.parse(stringify(value)), {
    buffer: [1, 2, 3],
    part: [2, 3],
    reals: [1.5],
    units: [1, 2],
    long: ["-9223372036854775808"],
    map: { a: { 1: [2] } },
    pattern: "/a+/g",
    error: "TypeError: no: why",
  });
  assert.throws(() => stringify(new Map([[{}, 1]])), /a key that no object has: an object/);
  assert.throws(() => stringify(new Map([[1, 1], ["1", 2]])), /a key that no object has: "1"/);
  assert.throws(() => stringify({ rows: Promise.resolve(1) }, "output"), /the output is no JSON: `rows` is a promise that nobody awaited/);
  for (const bytes of [buffer, new DataView(buffer), new Uint8ClampedArray(buffer)]) assert.deepEqual(encode(bytes), { blob: "010203" });
  assert.deepEqual(encode(new Float64Array([1.5])), { json: "[1.5]" });
});

test("half of a surrogate pair is U+FFFD", () => {
  assert.equal(stringify({ "\udc00": "\ud800x", pair: "\ud83d\ude00", said: "\\ud800" }), '{"\ufffd":"\ufffdx","pair":"\ud83d\ude00","said":"\\\\ud800"}');
  assert.deepEqual(failure(new Error("\ud800x")), { tag: "permanent", val: "\ufffdx" });
});

test("an error says what another attempt could do", () => {
  assert.deepEqual(failure(permanent("no")), { tag: "permanent", val: "no" });
  assert.deepEqual(failure(redo("again")), { tag: "redo", val: "again" });
  assert.deepEqual(failure(new HttpStatus(503, "")), { tag: "retryable", val: "the server answered 503" });
  assert.deepEqual(failure(new TypeError("x")), { tag: "permanent", val: "TypeError: x" });
  assert.deepEqual(failure({ code: 3 }), { tag: "permanent", val: '{"code":3}' });
  assert.deepEqual(failure({ message: "why", code: 3 }), { tag: "permanent", val: "why" });
  assert.deepEqual(failure("why"), { tag: "permanent", val: "why" });
  assert.deepEqual(failure(new WfloError("a", { cause: new Error("b") })), { tag: "permanent", val: "a: b" });
  const all = new AggregateError([new Error("b"), new TypeError("c", { cause: "d" })], "a");
  assert.deepEqual(failure(all), { tag: "permanent", val: "AggregateError: a: b; TypeError: c: d" });
  all.errors.push(all);
  assert.match(failure(all).val, /^AggregateError: a: b; /);
  assert.deepEqual(failure("text"), { tag: "permanent", val: "text" });
});

test("UTF-8 is what the platform makes of it", () => {
  const texts = ["", "ascii", "é", "漢字", "👩‍🚀", "\u0000", "a\ud800b", "\udc00"];
  for (const text of texts) assert.deepEqual(new Encoder().encode(text), new TextEncoder().encode(text), JSON.stringify(text));
  const bytes = [[0xff], [0xc3], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc0, 0x80], [0xef, 0xbb, 0xbf, 0x61], [0xf0, 0x9f, 0x61]];
  for (const list of bytes) {
    const data = new Uint8Array(list);
    assert.equal(new Decoder().decode(data), new TextDecoder().decode(data), String(list));
  }
  const long = "ä👍".repeat(20000);
  assert.equal(new Decoder().decode(new Encoder().encode(long)), long);
  assert.throws(() => new Decoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff])), /no UTF-8/);
});

test("an address has parts, and a redirect leads on", () => {
  assert.deepEqual(parts("https://x.example:8443/a?b#c"), { scheme: "https", authority: "x.example:8443", path: "/a?b" });
  assert.equal(parts("ftp://x.example/"), undefined);
  const cases = { "http://y.example/": "http://y.example/", "//y.example/z": "https://y.example/z", "/z": "https://x.example/z", z: "https://x.example/a/z", "?z": "https://x.example/a/b?z" };
  for (const [location, expect] of Object.entries(cases)) assert.equal(follow("https://x.example/a/b?c", location), expect);
  assert.ok(sameOrigin("https://x.example/a", "HTTPS://X.example/b") && !sameOrigin("https://x.example/", "http://x.example/"));
});

test("a step has a name of its own", () => {
  step("one", () => 1);
  assert.equal(steps.get("one").summary, "");
  assert.throws(() => step("one", () => 2), /two steps/);
  assert.throws(() => step("-x", () => 2), /a step's name/);
  assert.throws(() => step("two", { depends_on: ["one"] }, () => 2), /workflow\.toml/);
  assert.throws(() => step("three"), /no function/);
});
