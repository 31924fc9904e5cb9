/** Owns the types of device_flow.js, and says what each member does. */

/** Loads the module. Each call makes an instance of its own, with its own classes and memory. */
export function load(source?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<DeviceFlow>;

/** The classes over one instance of the module, and the loop that drives its machines. */
export interface DeviceFlow {
    Client: {
        /** Checks the settings. A server is named by `preset`, by both endpoints, or by a discovery that is done. */
        new (settings: Settings, discovery?: Discovery): Client;
        /** Asks `settings.issuer` for its endpoints (RFC 8414), and makes a client of them. */
        discover(settings: Settings & { issuer: string }, options?: Options): Promise<Client>;
    };
    SignIn: {
        /** A new sign-in. Start one only when a person asked for it (RFC 8628 §3.1). */
        new (client: Client): SignIn;
        /**
         * Goes on with a stored sign-in, perhaps in another process, with the same client: the code is shown again, then the
         * rest of the wait is kept. The times say how long it was stored, in milliseconds: both are the same where that is
         * known exactly. `now` is the time on the timeline of the loop that follows; `performance.now()` unless given.
         */
        resume(client: Client, snapshot: string, times: { awayAtLeast: number; awayAtMost?: number; now?: number }): SignIn;
    };
    Refresh: {
        /** New tokens for a refresh token (RFC 6749 §6). `scope`: some of the granted scopes, separated by spaces. */
        new (client: Client, refreshToken: string, options?: { scope?: string }): Refresh;
    };
    Revocation: {
        /** The end of a token (RFC 7009): a refresh token, best. */
        new (client: Client, token: string): Revocation;
    };
    Discovery: {
        /** Asks the issuer for its endpoints (RFC 8414). */
        new (settings: { issuer: string; allowHttpLoopback?: boolean }): Discovery;
    };
    /**
     * Drives a machine to its end, with fetch: waits, sends, and brings the outcome, or rejects with a {@link SignInError}.
     * The machine still has to be freed.
     */
    run(machine: SignIn, options: Options & { onCode: (code: Code) => unknown }): Promise<Tokens>;
    run(machine: Refresh, options?: Options): Promise<Tokens>;
    run(machine: Revocation, options?: Options): Promise<void>;
    run(machine: Discovery, options?: Options): Promise<Metadata>;
}

export interface Options {
    /** Shows the code to a person. Nobody waits for it; what it throws, or rejects with, ends the machine and is thrown. */
    onCode?: (code: Code) => unknown;
    /** Hears of every wait, for a person who is impatient. */
    onWait?: (wait: Wait) => unknown;
    /** Cancels: the machine ends with the kind `cancelled`, and a request in flight is given up. */
    signal?: AbortSignal;
    /** The platform's unless given. It must obey its signal. */
    fetch?: typeof globalThis.fetch;
    /** Monotonic time in milliseconds, the same timeline for the whole life of a machine; `performance.now()` unless given. */
    now?: () => number;
    /** Is over after so many milliseconds, and when the signal comes; earlier is harmless. */
    sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What a client is told. See `df_setting` in device_flow.h for each. */
export interface Settings {
    clientId?: string;
    preset?: string;
    /** What the preset must be told, such as `{ host: "sso.example.com", realm: "main" }`. */
    presetParameter?: Record<string, string>;
    issuer?: string;
    deviceAuthorizationEndpoint?: string;
    tokenEndpoint?: string;
    revocationEndpoint?: string;
    scope?: string | string[];
    exactScope?: boolean;
    /** No secret that a page or an app holds is one. */
    clientSecret?: string;
    clientSecretBasic?: string;
    clientSecretPost?: string;
    clientIdInBody?: boolean;
    audience?: string;
    resource?: string | string[];
    language?: string;
    correlationId?: string;
    capability?: string | string[];
    /** RFC 9396: an array of objects, or its JSON. */
    authorizationDetails?: string | object[];
    deviceParameter?: Record<string, string>;
    tokenParameter?: Record<string, string>;
    pkce?: boolean;
    pkceIfListed?: boolean;
    tryUnlisted?: boolean;
    strict?: boolean;
    /** Allows `http://` to this computer, for development. */
    allowHttpLoopback?: boolean;
    /** The most bytes that an answer may have; 65536 unless set. */
    maxAnswer?: number;
}

export interface Code {
    userCode: string;
    verificationUri: string;
    verificationUriComplete?: string;
    /** The server's own words for the person. */
    message?: string;
    /** What is odd but harmless in the server's answer. */
    warnings: string[];
    /** On the timeline of `now`, in milliseconds. */
    expiresAt: number;
    /** The same in seconds from now. */
    expiresIn: number;
    /** The polling interval in milliseconds. */
    interval: number;
}

export interface Wait {
    /** On the timeline of `now`, in milliseconds. */
    until: number;
    reason: "interval" | "slow_down" | "backoff" | "retry_after";
    /** What came instead of an answer, for `backoff`. */
    cause?: string;
    /** What the server, or the transport, said about the last attempt that was of no use. */
    lastWords?: string;
    /** How many failures came in a row, for `backoff`. */
    attempt?: number;
    /** The interval in force now, in milliseconds, after `slow_down`. */
    interval?: number;
}

export interface Metadata {
    issuer: string;
    deviceAuthorizationEndpoint?: string;
    tokenEndpoint: string;
    revocationEndpoint?: string;
}

/** `console.log` of Node shows no token; `JSON.stringify` does, to store them. */
export class Tokens {
    accessToken: string;
    /** `Bearer` or `DPoP`. */
    tokenType: string;
    /** The value of an `Authorization` header with the access token. */
    authorization?: string;
    refreshToken?: string;
    /** Neither parsed nor checked. */
    idToken?: string;
    /** The granted scopes, separated by spaces. */
    scope: string;
    /** How many seconds the access token lives, from the moment of the answer; not every server says. */
    expiresIn?: number;
    /** Further members of the answer; they may be secrets. */
    extra: Record<string, unknown>;
}

/** Why a machine ended without its result. The message says what happened and what to do, and is safe to print. */
export class SignInError extends Error {
    kind: "cancelled" | "denied" | "expired" | "sign_in_needed" | "rejected" | "protocol" | "transport" | "other";
    /** Whether the same attempt may succeed later with nothing changed. */
    retryable: boolean;
    /** Whether the answer to a poll was never seen, so that tokens may have been issued and lost. */
    pollLost: boolean;
    /** After a refresh: whether the refresh token may still be good. */
    keepsRefreshToken: boolean;
    /** The error code of the server (RFC 6749 §5.2, RFC 8628 §3.5). */
    code?: string;
    description?: string;
    uri?: string;
    /** The HTTP status of the server's error. */
    status?: number;
    /** What the next sign-in must request, as JSON (Microsoft Entra). */
    claims?: string;
    /** What a person can do about it; the message ends with it. */
    advice?: string;
    lastWords?: string;
    /** A refresh token that replaces the old one all the same; a secret. */
    readonly rotatedRefreshToken?: string;
}

/** A call that was wrong: nothing has changed. */
export class UsageError extends Error {
    /** The name of a `DF_CODE_…`. */
    code:
        | "bad_pointer"
        | "bad_handle"
        | "bad_length"
        | "bad_text"
        | "bad_ticket"
        | "bad_status"
        | "bad_argument"
        | "bad_config"
        | "bad_snapshot";
}

interface Handle {
    /** Gives its memory back and wipes its secrets. What is forgotten is freed when it is collected. */
    free(): void;
    [Symbol.dispose](): void;
}

export interface Client extends Handle {
    /** Not a machine. */
    readonly nextAction?: never;
}

/** What is due, for a loop of one's own. */
export type Action<T> =
    | { kind: "send_request"; ticket: number; request: Request }
    | { kind: "show_code"; code: Code }
    | ({ kind: "wait" } & Wait)
    | { kind: "await_response"; ticket: number }
    | { kind: "done"; outcome: T }
    | { kind: "failed"; error: SignInError }
    | { kind: "ended" };

/** A request to send as it stands, never following redirects. */
export interface Request {
    method: "GET" | "POST";
    url: string;
    headers: [string, string][];
    /** It holds secrets. */
    body: Uint8Array;
    /** How many bytes of the answer to read at most, after decoding; hand in one more to say that there was more. */
    maxResponse: number;
    /** How long the answer may take, in milliseconds, where the machine has no use for it later; else 0. */
    timeLimit: number;
}

export type TransportErrorKind =
    | "other"
    | "timeout"
    | "dns"
    | "connect"
    | "tls"
    | "untrusted_certificate"
    | "proxy"
    | "closed"
    | "invalid_http"
    | "abandoned";

/** The steps of a machine, for a loop of one's own. Times are milliseconds on one monotonic timeline. */
export interface Machine<T> extends Handle {
    nextAction(now: number): Action<T>;
    response(ticket: number, status: number, headers: Iterable<[string, string]>, body: Uint8Array, now: number): void;
    /** Says that no answer came. `detail` is for a person, holds no secret, and may be empty. */
    transportFailed(ticket: number, kind: TransportErrorKind, detail: string, now: number): void;
    /** The next action is a failure. Does nothing to a machine that has its outcome. */
    cancel(): void;
    /** A `DF_TEXT_…` by its name, such as `userCode`. */
    text(name: string, index?: number): string | undefined;
    /** A `DF_NUMBER_…` by its name, such as `polls`. */
    number(name: string): number | undefined;
    /** What a success brought. */
    outcome(): T | undefined;
}

export interface SignIn extends Machine<Tokens> {
    /** The sign-in as JSON while a code lives. It holds the device code, which is a secret. */
    snapshot(now?: number): string | undefined;
}
export interface Refresh extends Machine<Tokens> {
    /** Only a sign-in is stored. */
    readonly snapshot?: never;
}
export interface Revocation extends Machine<undefined> {}
export interface Discovery extends Machine<Metadata> {}
