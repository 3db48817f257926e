// As much of addresses as a client needs: their parts, and where a redirect leads. What an address means is decided by
// the host.

/** Scheme, authority, and path with query; `undefined` for what is no address of HTTP. */
export function parts(url) {
  const match = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(url);
  return match ? { scheme: match[1].toLowerCase(), authority: match[2], path: match[3] || "/" } : undefined;
}

/** The address without what comes after `?`. */
export const withoutQuery = (url) => url.split("?")[0];

/** The address that `location` means in an answer from `url` (RFC 3986, section 5.2, but for dot segments, which the host takes out). */
export function follow(url, location) {
  const from = parts(url);
  if (from === undefined || location.includes("://")) return location;
  if (location.startsWith("//")) return `${from.scheme}:${location}`;
  const server = `${from.scheme}://${from.authority}`;
  if (location.startsWith("/")) return server + location;
  const path = withoutQuery(from.path);
  if (location.startsWith("?")) return server + path + location;
  return server + path.slice(0, path.lastIndexOf("/") + 1) + location;
}

/** Whether two addresses are of one server. */
export function sameOrigin(one, other) {
  const [a, b] = [parts(one), parts(other)];
  return a !== undefined && b !== undefined && a.scheme === b.scheme && a.authority.toLowerCase() === b.authority.toLowerCase();
}
