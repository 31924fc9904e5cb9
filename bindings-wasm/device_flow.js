/**
 * Owns the machines of device-flow in JavaScript: classes over the handles of the WebAssembly module. `run.js` is the loop
 * that drives them with fetch; README.md shows a whole sign-in.
 *
 * @module
 */

import { runner } from "./run.js";
import { SignInError, Tokens, UsageError } from "./outcome.js";
import { codes, failureKinds, numbers, settings, texts, transportErrors, waitReasons } from "./numbers.js";

export { SignInError, Tokens, UsageError };

const PAIRS = ["presetParameter", "deviceParameter", "tokenParameter"];
const SWITCHES = ["exactScope", "clientIdInBody", "pkce", "pkceIfListed", "tryUnlisted", "strict", "allowHttpLoopback"];
const KINDS = ["send_request", "show_code", "wait", "await_response", "done", "failed", "ended"];
/** Where results are put: as much as the largest structure needs, the action, whose end is its request. */
const ROOM = 72;
const REQUEST = 24;
const dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
const encoder = new TextEncoder();

/**
 * Loads the module. Each call makes an instance of its own, with its own classes and memory.
 *
 * @param {string | URL | Response | BufferSource | WebAssembly.Module} [source] where `device_flow.wasm` is, or its bytes;
 *     beside this file unless given
 */
export async function load(source = new URL("device_flow.wasm", import.meta.url)) {
    const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(await bytesOf(source));
    // Node 18 does not have it as a global.
    const crypto = globalThis.crypto ?? (await import("node:crypto")).webcrypto;
    return bind((await WebAssembly.instantiate(module, {})).exports, crypto);
}

async function bytesOf(source) {
    if (typeof source === "string" || source instanceof URL) {
        const url = new URL(source, globalThis.location?.href ?? import.meta.url);
        if (url.protocol === "file:") return (await import("node:fs/promises")).readFile(url);
        source = await fetch(url);
    }
    if (!(source instanceof Response)) return source;
    if (!source.ok) throw new UsageError("bad_argument", `${source.url} answered with status ${source.status}: it is no module`);
    return source.arrayBuffer();
}

/** The classes over one instance. */
function bind(wasm, crypto) {
    const view = () => new DataView(wasm.memory.buffer);
    const bytesAt = (at) => new Uint8Array(wasm.memory.buffer, view().getUint32(at, true), view().getUint32(at + 4, true));
    const textAt = (at) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesAt(at));
    const numberAt = (at) => Number(view().getBigUint64(at, true));

    function request(at) {
        const [first, count] = [view().getUint32(at + 16, true), view().getUint32(at + 20, true)];
        const headers = Array.from({ length: count }, (_, each) => [textAt(first + each * 16), textAt(first + each * 16 + 8)]);
        // A copy, since the memory may grow, and then moves.
        const body = bytesAt(at + 24).slice();
        const limits = { maxResponse: view().getUint32(at + 32, true), timeLimit: numberAt(at + 40) };
        return { method: textAt(at), url: textAt(at + 8), headers, body, ...limits };
    }

    /**
     * Calls `act` with room for results and the places of `parts` as pointer and length, all in memory that the module
     * lends for this long, and wipes after it: parts may be secrets. Only the first part, and the room, lie where a structure
     * may.
     */
    function lend(parts, act) {
        let size = ROOM;
        const starts = parts.map((part) => {
            const start = size;
            size += part.length;
            return start;
        });
        const block = wasm.df_alloc(size) >>> 0;
        if (block === 0) throw new RangeError("the module has no memory left");
        try {
            const memory = new Uint8Array(wasm.memory.buffer, block, size);
            parts.forEach((part, at) => memory.set(part, starts[at]));
            return act(block, ...parts.flatMap((part, at) => [block + starts[at], part.length]));
        } finally {
            wasm.df_dealloc(block, size);
        }
    }

    /** The same for texts, which are wiped here, too. */
    function lendTexts(values, act) {
        if (!values.every((value) => typeof value === "string")) throw new UsageError("bad_text", "this must be a text");
        const parts = values.map((value) => encoder.encode(value));
        try {
            return lend(parts, act);
        } finally {
            parts.forEach((part) => part.fill(0));
        }
    }

    /** Whether there is what was asked for; throws what was wrong with the call. */
    function check(code, handle = 0) {
        if (code >= 0) return code === codes.ok;
        const message = lend([], (room) => {
            if (handle === 0 || wasm.df_detail(handle, room) !== codes.ok) wasm.df_error_text(code, room);
            return textAt(room);
        });
        throw new UsageError(Object.keys(codes).find((name) => codes[name] === code), message);
    }

    /** Handles that nobody freed: their secrets stay in memory until the collector comes by. */
    const forgotten = new FinalizationRegistry((pointer) => wasm.df_free(pointer));

    /** What stands for something in the module's memory. */
    class Handle {
        #pointer;

        /** @param make calls a function of the module with a place for the handle */
        constructor(make, owner = 0) {
            this.#pointer = lend([], (room) => {
                check(make(room), owner);
                return view().getUint32(room, true);
            });
            forgotten.register(this, this.#pointer, this);
        }

        /** The pointer of a handle of this class. */
        static of(handle) {
            if (!(handle instanceof this)) {
                throw new UsageError("bad_handle", `this is no ${this.name} of this instance of the module`);
            }
            if (handle.#pointer === 0) throw new UsageError("bad_handle", `this ${this.name} was freed`);
            return handle.#pointer;
        }

        free() {
            forgotten.unregister(this);
            check(wasm.df_free(this.#pointer));
            this.#pointer = 0;
        }

        [dispose]() {
            this.free();
        }
    }

    class Config extends Handle {
        constructor(values) {
            super((place) => wasm.df_config_new(place));
            try {
                Object.entries(values).forEach(([name, value]) => this.#set(name, value));
            } catch (error) {
                this.free();
                throw error;
            }
        }

        #set(name, value) {
            const setting = Object.hasOwn(settings, name) ? settings[name] : undefined;
            if (setting === undefined) throw new UsageError("bad_argument", `there is no setting ${JSON.stringify(name)}`);
            if (value === undefined || value === null) return;
            const wrong = (what) => new UsageError("bad_argument", `the setting ${name} must be ${what}`);
            const config = Config.of(this);
            if (SWITCHES.includes(name)) {
                if (typeof value !== "boolean") throw wrong("true or false");
                if (value) check(wasm.df_config_set(config, setting, 0, 0), config);
            } else if (PAIRS.includes(name)) {
                if (typeof value !== "object") throw wrong("an object of names and texts");
                for (const pair of Object.entries(value)) {
                    if (typeof pair[1] !== "string") throw wrong("an object of names and texts");
                    lendTexts(pair, (_, ...places) => check(wasm.df_config_set_pair(config, setting, ...places), config));
                }
            } else {
                if (name === "maxAnswer" && Number.isSafeInteger(value)) value = String(value);
                if (name === "authorizationDetails" && typeof value !== "string") value = JSON.stringify(value);
                for (const each of Array.isArray(value) ? value : [value]) {
                    if (typeof each !== "string") throw wrong(name === "maxAnswer" ? "a whole number" : "a text");
                    lendTexts([each], (_, ...place) => check(wasm.df_config_set(config, setting, ...place), config));
                }
            }
        }

        /** Runs `use`, then frees the configuration. */
        static with(values, use) {
            const config = new Config(values);
            try {
                return use(Config.of(config));
            } finally {
                config.free();
            }
        }
    }

    class Client extends Handle {
        constructor(values, discovery) {
            const found = discovery === undefined ? 0 : Discovery.of(discovery);
            // The configuration lives until `super` has what it needs.
            const config = new Config(values);
            try {
                const pointer = Config.of(config);
                if (found !== 0 && !check(wasm.df_config_discovered(pointer, found), pointer)) {
                    throw new UsageError("bad_argument", "this discovery has found nothing yet: run it first");
                }
                super((place) => wasm.df_client_new(pointer, place), pointer);
            } finally {
                config.free();
            }
        }

        static async discover(values, options) {
            const discovery = new Discovery(values);
            try {
                await run(discovery, options);
                return new Client(values, discovery);
            } finally {
                discovery.free();
            }
        }
    }

    class Machine extends Handle {
        nextAction(now) {
            const machine = Machine.of(this);
            return lend([], (room) => {
                check(wasm.df_next_action(machine, time(now), room), machine);
                const kind = KINDS[view().getUint32(room, true)];
                const [ticket, until] = [numberAt(room + 8), numberAt(room + 16)];
                if (kind === "wait") return { kind, until, ...this.#wait(view().getUint32(room + 4, true)) };
                if (kind === "send_request") return { kind, ticket, request: request(room + REQUEST) };
                if (kind === "await_response") return { kind, ticket };
                if (kind === "show_code") return { kind, code: this.#code(now) };
                if (kind === "done") return { kind, outcome: this.outcome() };
                return kind === "failed" ? { kind, error: this.#error() } : { kind };
            });
        }

        response(ticket, status, headers, body, now) {
            const machine = Machine.of(this);
            if (!(body instanceof Uint8Array)) throw new UsageError("bad_argument", "a body is a Uint8Array");
            const names = Array.from(headers).flat();
            const fields = names.map((text) => encoder.encode(text));
            // An array of headers is one more part, whose pointers are those of the texts behind it.
            const array = new Uint8Array(names.length * 8);
            lend([array, body, ...fields], (_, at, __, bodyAt, bodyLen, ...places) => {
                const memory = view();
                places.forEach((number, index) => memory.setUint32(at + index * 4, number, true));
                const whole = Number.isInteger(status) && status >= 0 && status <= 0xffff ? status : 0;
                const count = names.length / 2;
                const [id, when] = [ticketOf(ticket), time(now)];
                check(wasm.df_response(machine, id, whole, at, count, bodyAt, bodyLen, when), machine);
            });
        }

        transportFailed(ticket, kind, detail, now) {
            const machine = Machine.of(this);
            if (!Object.hasOwn(transportErrors, kind)) throw new UsageError("bad_argument", `there is no transport error ${kind}`);
            const [id, number, when] = [ticketOf(ticket), transportErrors[kind], time(now)];
            lendTexts([detail], (_, ...place) => {
                check(wasm.df_transport_failed(machine, id, number, ...place, when), machine);
            });
        }

        cancel() {
            check(wasm.df_cancel(Machine.of(this)));
        }

        text(name, index = 0) {
            if (!Object.hasOwn(texts, name)) throw new UsageError("bad_argument", `there is no text ${name}`);
            const machine = Machine.of(this);
            return lend([], (room) => {
                const there = check(wasm.df_read_text(machine, texts[name], index, room), machine);
                return there ? textAt(room) : undefined;
            });
        }

        number(name) {
            if (!Object.hasOwn(numbers, name)) throw new UsageError("bad_argument", `there is no number ${name}`);
            const machine = Machine.of(this);
            return lend([], (room) => {
                return check(wasm.df_read_number(machine, numbers[name], room), machine) ? numberAt(room) : undefined;
            });
        }

        outcome() {
            const accessToken = this.text("accessToken");
            if (accessToken === undefined) return undefined;
            const extra = {};
            this.#several("extraName").forEach((name, index) => {
                Object.defineProperty(extra, name, { value: JSON.parse(this.text("extraValue", index)), enumerable: true });
            });
            const names = ["tokenType", "authorization", "refreshToken", "idToken", "scope"];
            return new Tokens({ accessToken, ...this.#texts(names), expiresIn: this.number("expiresIn"), extra });
        }

        #texts(names) {
            return Object.fromEntries(names.map((name) => [name, this.text(name)]));
        }

        #several(name) {
            const all = [];
            for (let text; (text = this.text(name, all.length)) !== undefined; ) all.push(text);
            return all;
        }

        #wait(reason) {
            const words = { cause: this.text("waitCause"), lastWords: this.text("lastWords") };
            return { reason: waitReasons[reason], ...words, attempt: this.number("attempt"), interval: this.number("slowIntervalMs") };
        }

        #code(now) {
            const names = ["userCode", "verificationUri", "verificationUriComplete", "message"];
            const expiresAt = this.number("codeExpiresAtMs");
            const expiresIn = Math.max(0, Math.floor((expiresAt - now) / 1_000));
            return { ...this.#texts(names), warnings: this.#several("warning"), expiresAt, expiresIn, interval: this.number("intervalMs") };
        }

        #error() {
            return new SignInError(this.text("failure"), {
                kind: failureKinds[this.number("failureKind")],
                retryable: this.number("retryable") === 1,
                pollLost: this.number("pollLost") === 1,
                keepsRefreshToken: this.number("keepsRefreshToken") === 1,
                code: this.text("error"),
                description: this.text("errorDescription"),
                uri: this.text("errorUri"),
                status: this.number("errorStatus"),
                claims: this.text("claims"),
                advice: this.text("advice"),
                lastWords: this.text("lastWords"),
                rotatedRefreshToken: this.text("rotatedRefreshToken"),
            });
        }
    }

    class SignIn extends Machine {
        constructor(client, make) {
            const pointer = Client.of(client);
            const entropy = crypto.getRandomValues(new Uint8Array(32));
            make ??= (place) => lend([entropy], (_, ...bytes) => wasm.df_flow_new(pointer, ...bytes, place));
            super(make, pointer);
            entropy.fill(0);
        }

        static resume(client, snapshot, { awayAtLeast, awayAtMost = awayAtLeast, now = performance.now() }) {
            const times = [time(awayAtLeast), time(awayAtMost), time(now)];
            const pointer = Client.of(client);
            return new SignIn(client, (place) =>
                lendTexts([snapshot], (_, ...text) => wasm.df_resume(pointer, ...text, ...times, place)),
            );
        }

        snapshot(now = performance.now()) {
            const machine = Machine.of(this);
            return lend([], (room) => (check(wasm.df_snapshot(machine, time(now), room), machine) ? textAt(room) : undefined));
        }
    }

    class Refresh extends Machine {
        constructor(client, refreshToken, { scope = "" } = {}) {
            const pointer = Client.of(client);
            super((place) => lendTexts([refreshToken, scope], (_, ...both) => wasm.df_refresh_new(pointer, ...both, place)), pointer);
        }
    }

    class Revocation extends Machine {
        constructor(client, token) {
            const pointer = Client.of(client);
            super((place) => lendTexts([token], (_, ...text) => wasm.df_revocation_new(pointer, ...text, place)), pointer);
        }
    }

    class Discovery extends Machine {
        constructor({ issuer, allowHttpLoopback }) {
            let config;
            try {
                config = new Config({ issuer, allowHttpLoopback });
                const pointer = Config.of(config);
                super((place) => wasm.df_discovery_new(pointer, place), pointer);
            } finally {
                config?.free();
            }
        }

        outcome() {
            const names = ["issuer", "deviceAuthorizationEndpoint", "tokenEndpoint", "revocationEndpoint"];
            const found = Object.fromEntries(names.map((name) => [name, this.text(name)]));
            return found.issuer === undefined ? undefined : found;
        }
    }

    const run = runner({ Machine, SignIn });
    return { Client, SignIn, Refresh, Revocation, Discovery, run };
}

/** A time in whole milliseconds, as the module takes it. */
function time(ms) {
    if (typeof ms !== "number" || Number.isNaN(ms)) throw new UsageError("bad_argument", "a time is a number of milliseconds");
    // Beyond what a number holds exactly it is for ever.
    return BigInt(Math.min(Math.max(0, Math.floor(ms)), Number.MAX_SAFE_INTEGER));
}

function ticketOf(ticket) {
    return Number.isSafeInteger(ticket) && ticket > 0 ? BigInt(ticket) : 0n;
}
