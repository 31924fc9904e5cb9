/** Owns what needs no server: the loop in virtual time, how each failure of fetch is told, misuse, and memory. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { inspect } from "node:util";
import { CODE, folder, json, load, pending, scripted, SETTINGS, TOKENS, UsageError } from "./support.js";

const bytes = await readFile(new URL("device_flow.wasm", folder));
const deviceFlow = await load(bytes);
const client = new deviceFlow.Client(SETTINGS);
const failed = (promise) => promise.then(() => assert.fail("it ended well"), (error) => error);
const run = (world, options = {}) => deviceFlow.run(new deviceFlow.SignIn(client), { ...world.options, ...options });

test("the numbers are those of device_flow.h", async () => {
    const header = await readFile(new URL("../../bindings-c/include/device_flow.h", import.meta.url), "utf8");
    const tables = await import(new URL("numbers.js", folder));
    const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
    const listed = (names) => Object.fromEntries(names.map((name, number) => [name, number]));
    for (const [group, table] of Object.entries({
        CODE: tables.codes,
        SETTING: tables.settings,
        TEXT: tables.texts,
        NUMBER: tables.numbers,
        TRANSPORT_ERROR: tables.transportErrors,
        WAIT_REASON: listed(tables.waitReasons),
        FAILURE_KIND: listed(tables.failureKinds),
        ACTION_KIND: listed(["send_request", "show_code", "wait", "await_response", "done", "failed", "ended"]),
    })) {
        const theirs = Array.from(header.matchAll(new RegExp(`^ +DF_${group}_([A-Z_0-9]+) = (-?\\d+),`, "gm")), ([, name, number]) => [name, Number(number)]);
        const ours = Object.entries(table).map(([name, number]) => [snake(name).replace(/^_/, ""), number]);
        assert.ok(theirs.length > 3, group);
        assert.deepEqual(ours, theirs, group);
    }
});

test("what is sent, and when", async () => {
    const world = scripted(() => json(200, CODE), pending, () => json(200, TOKENS));
    const tokens = await run(world);
    assert.deepEqual({ ...tokens }, {
        accessToken: "AT-canary",
        tokenType: "Bearer",
        authorization: "Bearer AT-canary",
        refreshToken: "RT-canary",
        idToken: undefined,
        scope: "openid profile",
        expiresIn: 3600,
        extra: { "x-more": [1] },
    });
    assert.doesNotMatch(inspect(tokens) + inspect({ tokens }), /canary/);
    assert.equal(world.code.userCode, "ABCD-EFGH");
    const [begin, first, second] = world.requests;
    assert.equal(begin.body, "client_id=app&scope=openid+profile");
    assert.ok(first.at >= 5_000 && first.at <= 5_500 && second.at - first.at >= 5_000, "one interval, counted from the answer");
    assert.match(second.body, /device_code=DC-canary/);
    for (const request of world.requests) {
        const { redirect, cache, credentials, referrerPolicy, method, headers } = request;
        assert.deepEqual({ redirect, cache, credentials, referrerPolicy, method }, {
            redirect: "manual",
            cache: "no-store",
            credentials: "omit",
            referrerPolicy: "no-referrer",
            method: "POST",
        });
        assert.equal(new Headers(headers).get("content-type"), "application/x-www-form-urlencoded");
    }
});

test("nothing is left behind: no timer, no listener, no body", async (t) => {
    const timers = new Set();
    const { setTimeout, clearTimeout } = globalThis;
    t.mock.method(globalThis, "setTimeout", (...all) => {
        const timer = setTimeout(...all);
        timers.add(timer);
        return timer;
    });
    t.mock.method(globalThis, "clearTimeout", (timer) => (timers.delete(timer), clearTimeout(timer)));
    const signal = new AbortController().signal;
    const world = scripted(() => json(200, CODE), pending, () => json(200, TOKENS));
    const { fetch, sleep } = world.options;
    const bodies = [];
    world.options.fetch = (url, init) => (bodies.push(init.body), fetch(url, init));
    world.options.sleep = (ms, stop) => {
        assert.deepEqual([getEventListeners(stop, "abort").length, getEventListeners(signal, "abort").length], [0, 1]);
        return sleep(ms);
    };
    await run(world, { signal });
    assert.deepEqual([timers.size, getEventListeners(signal, "abort").length, bodies.length], [0, 0, 3]);
    assert.ok(bodies.every((body) => body.length > 0 && body.every((byte) => byte === 0)), "they held secrets");
});

test("Retry-After lengthens a wait", async () => {
    const world = scripted(() => json(200, CODE), () => json(429, {}, { "retry-after": "42" }), () => json(200, TOKENS));
    await run(world);
    assert.ok(world.requests[2].at - world.requests[1].at >= 42_000);
});

test("an answer is read as far as the limit and one byte more, decoded", async () => {
    let pulled = 0;
    let cancelled = false;
    const endless = () => {
        const stream = new ReadableStream({
            pull(controller) {
                const text = pulled === 0 ? '{"device_code":"' : "a".repeat(1_000);
                pulled += text.length;
                controller.enqueue(new TextEncoder().encode(text));
            },
            cancel() {
                cancelled = true;
            },
        });
        return new Response(stream, { headers: { "content-type": "application/json" } });
    };
    const error = await failed(run(scripted(endless)));
    assert.equal(error.kind, "protocol");
    assert.match(error.message, /65536|64 KiB|too long|larger/i);
    assert.ok(cancelled && pulled <= 70_000, `${pulled} bytes`);
    const padded = JSON.stringify(CODE).padEnd(65_536);
    assert.ok(await run(scripted(() => json(200, padded), () => json(200, TOKENS))), "exactly the limit is no more than the limit");
    const parts = () =>
        new ReadableStream({
            start(controller) {
                for (const text of [padded, " "]) controller.enqueue(new TextEncoder().encode(text));
                controller.close();
            },
        });
    const more = await failed(run(scripted(() => new Response(parts(), { headers: { "content-type": "application/json" } }))));
    assert.equal(more.message, error.message, "one byte more is");
});

test("an opaque redirect, which is all that a browser tells of one, is told in words", async () => {
    const opaque = () => ({ type: "opaqueredirect", status: 0, headers: new Headers(), body: null });
    const error = await failed(run(scripted(opaque)));
    assert.deepEqual([error.kind, error.retryable], ["transport", true]);
    assert.match(error.message, /redirects/);
    const visible = await failed(run(scripted(() => new Response(null, { status: 302, headers: { location: "/elsewhere" } }))));
    assert.equal(visible.kind, "protocol");
    assert.match(visible.message, /302/);
});

test("an answer that breaks off is no answer", async () => {
    const broken = () =>
        new ReadableStream({
            start(controller) {
                controller.enqueue(new TextEncoder().encode("{"));
                controller.error(new TypeError("terminated"));
            },
        });
    const error = await failed(run(scripted(() => new Response(broken()))));
    assert.match(error.message, /broke off: terminated/);
});

test("what Node says of a failed connection", async () => {
    const because = (code) => async () => {
        throw new TypeError("fetch failed", { cause: Object.assign(new Error(`words of ${code}`), { code }) });
    };
    for (const [code, words] of [
        ["ENOTFOUND", /could not be resolved/],
        ["ECONNREFUSED", /no connection/],
        ["EPROTO", /TLS handshake/],
        ["ECONNRESET", /broke off/],
        ["HPE_INVALID_CONSTANT", /not valid HTTP/],
        ["UND_ERR_HEADERS_TIMEOUT", /too long/],
    ]) {
        const world = scripted(because(code));
        const error = await failed(run(world));
        assert.match(error.message, words, code);
        assert.match(error.message, new RegExp(`words of ${code}`));
        assert.equal(world.requests.length, 4, "it is tried again");
    }
    for (const code of ["DEPTH_ZERO_SELF_SIGNED_CERT", "CERT_HAS_EXPIRED", "ERR_TLS_CERT_ALTNAME_INVALID", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"]) {
        const world = scripted(because(code));
        const error = await failed(run(world));
        assert.match(error.message, /certificate is not trusted/, code);
        assert.deepEqual([error.retryable, world.requests.length], [false, 1], "untrusted is final");
    }
});

test("CORS is spoken of in a page, about another origin, and nowhere else", async (t) => {
    const blocked = async () => {
        throw new TypeError("Failed to fetch");
    };
    assert.doesNotMatch((await failed(run(scripted(blocked)))).message, /CORS/);
    const page = (origin) => Object.defineProperty(globalThis, "location", { value: { origin }, configurable: true });
    t.after(() => delete globalThis.location);
    page("https://op.example.com");
    assert.doesNotMatch((await failed(run(scripted(blocked)))).message, /CORS/);
    page("https://app.example.com");
    const error = await failed(run(scripted(blocked)));
    assert.match(error.message, /pages of other origins ask \(CORS\).*Node, an extension, a native program, or a proxy on the page's own origin$/);
});

test("an answer that takes too long is given up, sooner when the request says so", async (t) => {
    const limits = [];
    t.mock.method(globalThis, "setTimeout", (act, ms) => {
        limits.push(ms);
        queueMicrotask(act);
    });
    const hangs = ({ signal }) =>
        new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
        });
    const error = await failed(run(scripted(hangs)));
    assert.match(error.message, /took too long/);
    assert.ok(limits.length > 1 && limits.every((ms) => ms > 0 && ms <= 30_000), `${limits}`);

    // All attempts of a refresh together have 30 seconds, and the first has taken 20 of them.
    limits.length = 0;
    const world = scripted((init) => {
        world.time += 20_000;
        return hangs(init);
    });
    await failed(deviceFlow.run(new deviceFlow.Refresh(client, "RT-canary"), world.options));
    assert.deepEqual(limits, [30_000, 9_000]);
});

test("a long wait is slept in parts that timers take", async (t) => {
    const slept = [];
    const stop = new AbortController();
    t.mock.method(globalThis, "setTimeout", (act, ms) => {
        if (ms === 30_000) return;
        slept.push(ms);
        if (slept.length === 4) stop.abort();
        queueMicrotask(act);
    });
    const world = scripted(() => json(200, CODE), pending);
    // It stands still, so the same wait comes again, and it is so early that almost all of time is left.
    world.options.now = () => -(2 ** 40);
    delete world.options.sleep;
    const waits = [];
    await failed(run(world, { signal: stop.signal, onWait: (wait) => waits.push(wait) }));
    assert.equal(waits.length, 1, "the same wait is told once");
    assert.deepEqual(slept, Array(4).fill(2 ** 31 - 1));
});

test("a signal gives up the request in flight, and the error says that a poll was lost", async () => {
    const stop = new AbortController();
    let aborted = 0;
    const hangs = ({ signal }) =>
        new Promise((_, reject) => {
            signal.addEventListener("abort", () => (aborted++, reject(signal.reason)));
            queueMicrotask(() => stop.abort());
        });
    const error = await failed(run(scripted(() => json(200, CODE), hangs), { signal: stop.signal }));
    assert.deepEqual([error.kind, error.pollLost, aborted], ["cancelled", true, 1]);
    const first = new AbortController();
    const asking = (init) => (queueMicrotask(() => first.abort()), hangs(init));
    const before = await failed(run(scripted(asking), { signal: first.signal }));
    assert.deepEqual([before.kind, before.pollLost], ["cancelled", false], "no poll was in flight yet");
    const world = scripted(hangs);
    const early = await failed(run(world, { signal: stop.signal }));
    assert.deepEqual([early.kind, early.pollLost, world.requests.length], ["cancelled", false, 0], "aborted before it began");
});

test("tokens that came whole before the signal are not lost", async () => {
    const stop = new AbortController();
    const parts = [new TextEncoder().encode(JSON.stringify(TOKENS))];
    // The signal comes when the end of the body was read, and nobody has been told yet.
    const read = async () => (parts.length > 0 ? { value: parts.pop() } : (stop.abort(), { done: true }));
    const headers = new Headers({ "content-type": "application/json" });
    const answer = () => ({ type: "basic", status: 200, headers, body: { getReader: () => ({ read }) } });
    const tokens = await run(scripted(() => json(200, CODE), answer), { signal: stop.signal });
    assert.equal(tokens.accessToken, "AT-canary");
});

test("a request that is given up as the last attempt ends as cancelled", async () => {
    const stop = new AbortController();
    let attempts = 0;
    const broken = async () => {
        if (++attempts === 4) stop.abort();
        throw new TypeError("fetch failed");
    };
    const error = await failed(run(scripted(broken), { signal: stop.signal }));
    assert.deepEqual([error.kind, attempts], ["cancelled", 4]);
});

test("what a callback throws, or rejects with, ends the machine", async () => {
    const mistake = new Error("mistake");
    for (const onCode of [
        () => {
            throw mistake;
        },
        async () => {
            throw mistake;
        },
    ]) {
        const world = scripted(() => json(200, CODE), pending);
        assert.equal(await failed(run(world, { onCode })), mistake);
        assert.ok(world.requests.length <= 2);
    }
});

test("misuse is an error, and changes nothing", async () => {
    const usage = (code, act) => assert.throws(act, (error) => error instanceof UsageError && error.code === code && error.message.length > 10);
    usage("bad_config", () => new deviceFlow.Client({ clientId: "app" }));
    usage("bad_config", () => new deviceFlow.Client({ ...SETTINGS, tokenEndpoint: "http://op.example.com/token" }));
    usage("bad_config", () => new deviceFlow.Client({ ...SETTINGS, tokenEndpoint: "https://münchen.example/token" }));
    usage("bad_argument", () => new deviceFlow.Client({ ...SETTINGS, clientID: "app" }));
    usage("bad_argument", () => new deviceFlow.Client({ ...SETTINGS, pkce: "yes" }));
    usage("bad_argument", () => new deviceFlow.Client({ ...SETTINGS, maxAnswer: 1.5 }));
    usage("bad_argument", () => new deviceFlow.Client({ ...SETTINGS, deviceParameter: { a: 1 } }));
    usage("bad_handle", () => new deviceFlow.SignIn({}));
    usage("bad_text", () => new deviceFlow.Refresh(client, undefined));
    usage("bad_snapshot", () => deviceFlow.SignIn.resume(client, "{}", { awayAtLeast: 0 }));
    const machine = new deviceFlow.SignIn(client);
    usage("bad_argument", () => machine.nextAction(NaN));
    const { ticket, request } = machine.nextAction(0);
    assert.equal(request.url, SETTINGS.deviceAuthorizationEndpoint);
    const body = new TextEncoder().encode(JSON.stringify(CODE));
    usage("bad_ticket", () => machine.response(ticket + 1, 200, [], body, 0));
    usage("bad_status", () => machine.response(ticket, 99, [], body, 0));
    usage("bad_argument", () => machine.response(ticket, 200, [], "text", 0));
    usage("bad_argument", () => machine.transportFailed(ticket, "weather", "", 0));
    await assert.rejects(deviceFlow.run(machine), { code: "bad_argument" });
    await assert.rejects(deviceFlow.run(machine, scripted(pending).options), { code: "bad_ticket" });
    machine.response(ticket, 200, [["Content-Type", "application/json"]], body, 0);
    usage("bad_ticket", () => machine.response(ticket, 200, [], body, 0));
    assert.equal(machine.nextAction(0).code.userCode, "ABCD-EFGH");
    usage("bad_argument", () => machine.text("password"));
    const both = scripted(pending).options;
    const stop = new AbortController();
    const sleep = (_, signal) => new Promise((over) => signal.addEventListener("abort", over));
    const first = deviceFlow.run(machine, { ...both, sleep, signal: stop.signal });
    await assert.rejects(deviceFlow.run(machine, both), { code: "bad_argument" });
    stop.abort();
    await assert.rejects(first, { kind: "cancelled" });
    await assert.rejects(deviceFlow.run(machine, both), { code: "bad_argument" });
    machine.free();
    machine.free();
    usage("bad_handle", () => machine.nextAction(0));
});

test("a refresh token that came with a useless answer is kept, and shown to no log", async () => {
    const useless = () => json(200, { token_type: "Bearer", refresh_token: "NEW-canary" });
    const error = await failed(deviceFlow.run(new deviceFlow.Refresh(client, "RT-canary"), scripted(useless).options));
    assert.deepEqual([error.kind, error.rotatedRefreshToken], ["protocol", "NEW-canary"]);
    assert.doesNotMatch(inspect(error) + JSON.stringify(error), /canary/);
});

/** A new instance, with what it exports seen by `watch` before its classes are made. */
async function watched(watch) {
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = async (...all) => ({ exports: watch((await instantiate(...all)).exports) });
    return load(await WebAssembly.compile(bytes)).finally(() => (WebAssembly.instantiate = instantiate));
}

test("every handle that no caller holds is freed, and what held a secret is wiped", async (t) => {
    const alive = new Set();
    const own = await watched((wasm) => {
        const all = { ...wasm, df_free: (pointer) => (alive.delete(pointer), wasm.df_free(pointer)) };
        for (const name of ["df_config_new", "df_client_new", "df_flow_new", "df_refresh_new", "df_discovery_new"]) {
            all[name] = (...args) => {
                const code = wasm[name](...args);
                if (code === 0) alive.add(new DataView(wasm.memory.buffer).getUint32(args.at(-1), true));
                return code;
            };
        }
        return all;
    });
    const issuer = "https://op.example.com";
    const metadata = { issuer, device_authorization_endpoint: `${issuer}/device`, token_endpoint: `${issuer}/token` };
    const client = await own.Client.discover({ issuer, clientId: "app" }, scripted(() => json(200, metadata)).options);
    assert.equal(alive.size, 1, "the client");
    await failed(own.Client.discover({ issuer, clientId: "app" }, scripted(() => json(404, "{}")).options));
    for (const wrong of [{ clientId: "" }, { clientID: "app" }]) assert.throws(() => new own.Client({ ...SETTINGS, ...wrong }));
    assert.throws(() => new own.Discovery({ issuer: "ftp://op.example.com" }), { code: "bad_config" });
    assert.equal(alive.size, 1, "the client alone");

    const wiped = [];
    const { fill } = Uint8Array.prototype;
    t.mock.method(Object.getPrototypeOf(Uint8Array.prototype), "fill", function (...all) {
        wiped.push(new TextDecoder().decode(this));
        return fill.apply(this, all);
    });
    const refresh = new own.Refresh(client, "RT-canary");
    await own.run(refresh, scripted(() => json(200, TOKENS)).options);
    refresh.free();
    client.free();
    assert.equal(alive.size, 0);
    assert.ok(wiped.includes("RT-canary"), "the argument");
    assert.ok(wiped.some((text) => text.startsWith("grant_type=") && text.includes("RT-canary")), "the request");
    assert.ok(wiped.some((text) => text.includes("AT-canary")), "the answer");
});

test("the memory of the module does not grow over 1,000 polls and 1,000 sign-ins", async () => {
    let memory;
    const own = await watched((wasm) => {
        memory = wasm.memory;
        return wasm;
    });
    const client = new own.Client(SETTINGS);
    const polls = async (times) => {
        let left = times;
        const long = { ...CODE, expires_in: 86_400 };
        const world = scripted(() => json(200, long), () => (left-- > 0 ? pending() : json(200, TOKENS)));
        const machine = new own.SignIn(client);
        await own.run(machine, world.options);
        machine.free();
        return world.requests.length;
    };
    await polls(10);
    const before = memory.buffer.byteLength;
    assert.equal(await polls(1_000), 1_002);
    assert.equal(memory.buffer.byteLength, before);
    for (let count = 0; count < 1_000; count++) await polls(0);
    assert.equal(memory.buffer.byteLength, before);
    const text = new TextDecoder("latin1").decode(memory.buffer);
    for (const secret of ["DC-canary", "AT-canary", "RT-canary"]) assert.ok(!text.includes(secret), `${secret} was not wiped`);
    console.log(`memory: ${before} bytes before and after 1,000 polls and 1,000 sign-ins`);
});
