// UTF-8, which the engine does not have as browsers do.

/** As in browsers. */
export class TextEncoder {
  encoding = "utf-8";

  encode(text = "") {
    return encode(String(text));
  }
}

/** As in browsers, for UTF-8 alone. */
export class TextDecoder {
  encoding = "utf-8";

  constructor(label = "utf-8", { fatal = false } = {}) {
    if (!["utf-8", "utf8"].includes(String(label).toLowerCase())) throw new RangeError(`\`${label}\` is not known, only utf-8`);
    this.fatal = fatal;
  }

  decode(bytes = new Uint8Array()) {
    const view = ArrayBuffer.isView(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
    return decode(view, this.fatal);
  }
}

/** The bytes of a text; half of a surrogate pair is written as U+FFFD. */
export function encode(text) {
  // A unit of UTF-16 is three bytes at most.
  const bytes = new Uint8Array(text.length * 3);
  let end = 0;
  for (let at = 0; at < text.length; at++) {
    let point = text.charCodeAt(at);
    if (point < 0x80) {
      bytes[end++] = point;
      continue;
    }
    if (point >= 0xd800 && point < 0xe000) {
      const next = point < 0xdc00 ? text.charCodeAt(at + 1) : Number.NaN;
      if (next >= 0xdc00 && next < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (next - 0xdc00);
        at++;
      } else {
        point = 0xfffd;
      }
    }
    if (point < 0x800) {
      bytes[end++] = 0xc0 | (point >> 6);
    } else {
      if (point < 0x10000) {
        bytes[end++] = 0xe0 | (point >> 12);
      } else {
        bytes[end++] = 0xf0 | (point >> 18);
        bytes[end++] = 0x80 | ((point >> 12) & 0x3f);
      }
      bytes[end++] = 0x80 | ((point >> 6) & 0x3f);
    }
    bytes[end++] = 0x80 | (point & 0x3f);
  }
  return bytes.slice(0, end);
}

/** The text of bytes; what is no UTF-8 is U+FFFD, or an error. */
export function decode(bytes, fatal = false) {
  const pieces = [];
  let units = [];
  const wrong = () => {
    if (fatal) throw new TypeError("the bytes are no UTF-8");
    units.push(0xfffd);
  };
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  while (at < bytes.length) {
    const first = bytes[at++];
    if (first < 0x80) {
      units.push(first);
    } else {
      const more = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
      if (more === 0) {
        wrong();
        continue;
      }
      // What the second byte may be keeps out overlong forms, surrogates, and what is beyond U+10FFFF.
      let least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
      let most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
      let point = first & (0x3f >> more);
      let left = more;
      while (left > 0 && at < bytes.length && bytes[at] >= least && bytes[at] <= most) {
        point = (point << 6) | (bytes[at++] & 0x3f);
        [least, most] = [0x80, 0xbf];
        left--;
      }
      if (left > 0) wrong();
      else if (point < 0x10000) units.push(point);
      else units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff));
    }
    if (units.length > 8000) {
      pieces.push(String.fromCharCode(...units));
      units = [];
    }
  }
  pieces.push(String.fromCharCode(...units));
  return pieces.join("");
}
