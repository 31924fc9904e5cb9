/** Owns one exchange with a server over the platform's fetch, and what to call its failure. It never throws. */

/** How long an answer may take, in milliseconds, unless the machine has no use for it that late. */
const TIME_LIMIT = 30_000;
/** Those that a machine reads. A page of another origin sees few of them. */
const HEADERS = ["content-type", "retry-after", "date", "age", "dpop-nonce", "x-amzn-errortype"];

const CODES = [
    ["dns", /^(ENOTFOUND|EAI_)/],
    ["connect", /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/],
    ["untrusted_certificate", /CERT|^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|HOSTNAME_MISMATCH|INVALID_PURPOSE|INVALID_CA)/],
    ["tls", /^(ERR_SSL_|ERR_TLS_|EPROTO$)/],
    ["timeout", /^UND_ERR_(HEADERS|BODY)_TIMEOUT$/],
    ["closed", /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/],
    ["invalid_http", /^HPE_/],
];

// A machine keeps some 200 characters of such words.
const REDIRECT =
    "the server redirects, which is not followed, and a page may not see where to: check the endpoint's address";
const OFFLINE = "this computer is offline";
const CORS =
    "either the server is down, or it does not let pages of other origins ask (CORS), as most do not: use Node, an extension, " +
    "a native program, or a proxy on the page's own origin";

/** The answer to a request, or `{ error, detail }`: the kind of a transport error and its words. */
export async function exchange(fetch, request, stop) {
    const controller = new AbortController();
    const giveUp = () => controller.abort();
    let late = false;
    const limit = setTimeout(() => {
        late = true;
        giveUp();
    }, Math.min(TIME_LIMIT, request.timeLimit || TIME_LIMIT));
    stop.addEventListener("abort", giveUp);
    if (stop.aborted) giveUp();
    let began = false;
    try {
        const response = await fetch(request.url, {
            method: request.method,
            headers: request.headers,
            body: request.method === "POST" ? request.body : undefined,
            redirect: "manual",
            cache: "no-store",
            credentials: "omit",
            referrerPolicy: "no-referrer",
            signal: controller.signal,
        });
        if (response.type === "opaqueredirect") return { error: "other", detail: REDIRECT };
        began = true;
        const body = await read(response.body, request.maxResponse);
        const headers = HEADERS.filter((name) => response.headers.has(name)).map((name) => [name, response.headers.get(name)]);
        return { status: response.status, headers, body };
    } catch (error) {
        if (late) return { error: "timeout", detail: "" };
        if (stop.aborted) return { error: "abandoned", detail: "" };
        return failure(error, request.url, began);
    } finally {
        clearTimeout(limit);
        stop.removeEventListener("abort", giveUp);
        request.body.fill(0);
    }
}

/** The body as far as `most` bytes, decoded, and one more if there is more. */
async function read(stream, most) {
    const chunks = [];
    let length = 0;
    const reader = stream?.getReader();
    while (reader && length <= most) {
        const { done, value } = await reader.read();
        if (done) break;
        chunks.push(value);
        length += value.length;
    }
    // Of what is left nobody wants to hear, nor that it failed.
    if (length > most) reader.cancel().catch(() => {});
    const body = new Uint8Array(Math.min(length, most + 1));
    let at = 0;
    for (const chunk of chunks) {
        body.set(chunk.subarray(0, body.length - at), at);
        at += Math.min(chunk.length, body.length - at);
    }
    return body;
}

/** Node says in `cause` what happened. A browser says nothing, so that no page learns what is behind a firewall. */
function failure(error, url, began) {
    const cause = error?.cause ?? error;
    const code = typeof cause?.code === "string" ? cause.code : "";
    const known = CODES.find(([, codes]) => codes.test(code));
    if (known) return { error: known[0], detail: String(cause.message || code) };
    if (began) return { error: "closed", detail: String(cause?.message ?? "") };
    if (globalThis.navigator?.onLine === false) return { error: "connect", detail: OFFLINE };
    const origin = globalThis.location?.origin;
    if (error instanceof TypeError && origin && new URL(url).origin !== origin) return { error: "other", detail: CORS };
    return { error: "other", detail: String(cause?.message ?? cause) };
}
