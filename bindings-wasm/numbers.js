/** Owns the numbers of bindings-c/include/device_flow.h by their names here; a test holds the two together. */

export const codes = {
    ok: 0,
    none: 1,
    bad_pointer: -1,
    bad_handle: -2,
    bad_length: -3,
    bad_text: -4,
    bad_ticket: -5,
    bad_status: -6,
    bad_argument: -7,
    bad_config: -8,
    bad_snapshot: -9,
};

const numbered = (names) => Object.fromEntries(names.map((name, number) => [name, number]));

export const settings = numbered([
    "clientId",
    "deviceAuthorizationEndpoint",
    "tokenEndpoint",
    "revocationEndpoint",
    "preset",
    "presetParameter",
    "issuer",
    "scope",
    "exactScope",
    "clientSecret",
    "clientSecretBasic",
    "clientSecretPost",
    "clientIdInBody",
    "audience",
    "resource",
    "language",
    "correlationId",
    "capability",
    "authorizationDetails",
    "deviceParameter",
    "tokenParameter",
    "pkce",
    "pkceIfListed",
    "tryUnlisted",
    "strict",
    "allowHttpLoopback",
    "maxAnswer",
]);

export const texts = numbered([
    "userCode",
    "verificationUri",
    "verificationUriComplete",
    "message",
    "warning",
    "waitCause",
    "lastWords",
    "accessToken",
    "tokenType",
    "authorization",
    "refreshToken",
    "idToken",
    "scope",
    "extraName",
    "extraValue",
    "failure",
    "error",
    "errorDescription",
    "errorUri",
    "claims",
    "advice",
    "rotatedRefreshToken",
    "issuer",
    "deviceAuthorizationEndpoint",
    "tokenEndpoint",
    "revocationEndpoint",
]);

export const numbers = numbered([
    "codeExpiresAtMs",
    "intervalMs",
    "slowIntervalMs",
    "attempt",
    "polls",
    "expiresIn",
    "failureKind",
    "retryable",
    "keepsRefreshToken",
    "pollLost",
    "errorStatus",
]);

export const transportErrors = numbered([
    "other",
    "timeout",
    "dns",
    "connect",
    "tls",
    "untrusted_certificate",
    "proxy",
    "closed",
    "invalid_http",
    "abandoned",
]);

export const waitReasons = ["none", "interval", "slow_down", "backoff", "retry_after"];

export const failureKinds = [
    "other",
    "cancelled",
    "denied",
    "expired",
    "sign_in_needed",
    "rejected",
    "protocol",
    "transport",
];
