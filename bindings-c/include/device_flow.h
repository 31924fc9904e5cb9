/* The OAuth 2.0 Device Authorization Grant (RFC 8628) for C: a state machine without I/O.
 *
 * Made by cbindgen from bindings-c/src; do not edit. README.md beside it shows a whole sign-in.
 *
 * Handles (df_config, df_client, df_machine) are made by a ..._new function or df_resume, and freed by df_free. A handle
 * may move between threads, but only one thread at a time may use it. Texts are a pointer and a length, never ended by
 * a zero byte; what is passed in is copied, and what comes out belongs to the handle. Every function returns a df_code: 0
 * and above is no error. Misuse is an error, and after an error nothing has changed. */

#ifndef DEVICE_FLOW_H
#define DEVICE_FLOW_H

#include <stddef.h>
#include <stdint.h>

// What became of a call. 0 and above is no error.
enum df_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Done.
    DF_CODE_OK = 0,
    // There is no such text, number or snapshot now.
    DF_CODE_NONE = 1,
    // A pointer that is null, or not aligned for what it points to.
    DF_CODE_BAD_POINTER = -1,
    // A handle that is not one of this kind, or that was freed.
    DF_CODE_BAD_HANDLE = -2,
    // A length that no memory can have, or entropy that is not 32 bytes long.
    DF_CODE_BAD_LENGTH = -3,
    // A text that is not UTF-8.
    DF_CODE_BAD_TEXT = -4,
    // A ticket that the machine does not wait for. The machine is unchanged.
    DF_CODE_BAD_TICKET = -5,
    // A status that is not from 100 to 999. The machine is unchanged, and still waits for the answer.
    DF_CODE_BAD_STATUS = -6,
    // A number that stands for nothing here: a setting, a kind of failure, a text.
    DF_CODE_BAD_ARGUMENT = -7,
    // A configuration that cannot work. `df_detail` says what to change.
    DF_CODE_BAD_CONFIG = -8,
    // A stored sign-in that cannot be resumed. `df_detail` says why.
    DF_CODE_BAD_SNAPSHOT = -9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_code df_code;
#else
typedef int32_t df_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The kinds of actions.
enum df_action_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Send the request, never following redirects, and hand in the answer with the ticket: `df_response`, or
    // `df_transport_failed`. It comes out once.
    DF_ACTION_KIND_SEND_REQUEST = 0,
    // Show the code and the address to the person; all of it is safe to print. It comes out once.
    DF_ACTION_KIND_SHOW_CODE = 1,
    // Come back at `until_ms`; earlier, later or twice is harmless.
    DF_ACTION_KIND_WAIT = 2,
    // Wait for the answer to the request in flight.
    DF_ACTION_KIND_AWAIT_RESPONSE = 3,
    // A success: take the outcome. It comes out once.
    DF_ACTION_KIND_DONE = 4,
    // A failure: read why. It comes out once.
    DF_ACTION_KIND_FAILED = 5,
    // The outcome came out before. It can still be read.
    DF_ACTION_KIND_ENDED = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_action_kind df_action_kind;
#else
typedef uint32_t df_action_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Why a machine waits.
enum df_wait_reason
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // It does not wait.
    DF_WAIT_REASON_NONE = 0,
    // The server's polling interval (RFC 8628 §3.5).
    DF_WAIT_REASON_INTERVAL = 1,
    // The server answered `slow_down`: the interval is longer from now on.
    DF_WAIT_REASON_SLOW_DOWN = 2,
    // No usable answer came: `DF_TEXT_WAIT_CAUSE`.
    DF_WAIT_REASON_BACKOFF = 3,
    // The server named a delay (`Retry-After`, RFC 9110 §10.2.3).
    DF_WAIT_REASON_RETRY_AFTER = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_wait_reason df_wait_reason;
#else
typedef uint32_t df_wait_reason;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A setting. Those without a value are set by an empty text.
enum df_setting
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // The client id (RFC 6749 §2.2).
    DF_SETTING_CLIENT_ID = 0,
    // The URL of the device authorization endpoint (RFC 8628 §3.1), with `DF_SETTING_TOKEN_ENDPOINT`; a preset or discovery names both.
    DF_SETTING_DEVICE_AUTHORIZATION_ENDPOINT = 1,
    // The URL of the token endpoint (RFC 6749 §3.2).
    DF_SETTING_TOKEN_ENDPOINT = 2,
    // The URL of the revocation endpoint (RFC 7009 §2), instead of one from the preset or the metadata.
    DF_SETTING_REVOCATION_ENDPOINT = 3,
    // A server that is known by name, such as `github` or `keycloak`, in place of endpoints.
    DF_SETTING_PRESET = 4,
    // A pair: what the preset must be told, such as `host` or `realm`, and its value.
    DF_SETTING_PRESET_PARAMETER = 5,
    // The issuer that `df_discovery_new` asks for its endpoints.
    DF_SETTING_ISSUER = 6,
    // Scopes, separated by spaces; may be set again for more.
    DF_SETTING_SCOPE = 7,
    // No value: with Microsoft's servers only the given scopes are requested.
    DF_SETTING_EXACT_SCOPE = 8,
    // A secret, sent in a way that the metadata lists: in the `Authorization` header if possible (RFC 6749 §2.3.1), else in
    // the body.
    DF_SETTING_CLIENT_SECRET = 9,
    // A secret in the `Authorization` header.
    DF_SETTING_CLIENT_SECRET_BASIC = 10,
    // A secret in the body.
    DF_SETTING_CLIENT_SECRET_POST = 11,
    // No value: repeats the client id in the body beside the `Authorization` header.
    DF_SETTING_CLIENT_ID_IN_BODY = 12,
    // The API that the token is for, as the parameter `audience`.
    DF_SETTING_AUDIENCE = 13,
    // The API that the token is for, as an absolute URI (RFC 8707 §2); may be set again for more.
    DF_SETTING_RESOURCE = 14,
    // The language of the person, such as `de-DE`.
    DF_SETTING_LANGUAGE = 15,
    // The header `client-request-id` of every request.
    DF_SETTING_CORRELATION_ID = 16,
    // What the program can handle, such as `cp1` (Microsoft's servers); may be set again for more.
    DF_SETTING_CAPABILITY = 17,
    // A JSON array of objects (RFC 9396).
    DF_SETTING_AUTHORIZATION_DETAILS = 18,
    // A pair: a further parameter of the device authorization request.
    DF_SETTING_DEVICE_PARAMETER = 19,
    // A pair: a further parameter of every token request.
    DF_SETTING_TOKEN_PARAMETER = 20,
    // No value: PKCE, always (RFC 7636).
    DF_SETTING_PKCE = 21,
    // No value: PKCE if the metadata lists S256.
    DF_SETTING_PKCE_IF_LISTED = 22,
    // No value: tries methods that the metadata does not list.
    DF_SETTING_TRY_UNLISTED = 23,
    // No value: refuses what is tolerated otherwise, such as a token without `token_type`.
    DF_SETTING_STRICT = 24,
    // No value: allows `http://` to 127.0.0.0/8, `[::1]` and `localhost`, for development.
    DF_SETTING_ALLOW_HTTP_LOOPBACK = 25,
    // The most bytes that an answer may have, in decimal digits; 65536 unless set.
    DF_SETTING_MAX_ANSWER = 26,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_setting df_setting;
#else
typedef uint32_t df_setting;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How a request failed without an answer.
enum df_transport_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Something else.
    DF_TRANSPORT_ERROR_OTHER = 0,
    // The time limit of the request passed.
    DF_TRANSPORT_ERROR_TIMEOUT = 1,
    // The host name could not be resolved.
    DF_TRANSPORT_ERROR_DNS = 2,
    // No connection: refused, unreachable, no route.
    DF_TRANSPORT_ERROR_CONNECT = 3,
    // The TLS handshake failed for a reason other than the certificate.
    DF_TRANSPORT_ERROR_TLS = 4,
    // The server's certificate is not trusted. A machine ends at once.
    DF_TRANSPORT_ERROR_UNTRUSTED_CERTIFICATE = 5,
    // The proxy refused, or asked for credentials.
    DF_TRANSPORT_ERROR_PROXY = 6,
    // The connection closed before the whole answer had arrived.
    DF_TRANSPORT_ERROR_CLOSED = 7,
    // What came is not HTTP.
    DF_TRANSPORT_ERROR_INVALID_HTTP = 8,
    // The caller gave the request up.
    DF_TRANSPORT_ERROR_ABANDONED = 9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_transport_error df_transport_error;
#else
typedef uint32_t df_transport_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A text of a machine. How long one stays is beside each group.
enum df_text
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Of the code, until the machine is freed: the code to enter.
    DF_TEXT_USER_CODE = 0,
    // Where to enter it.
    DF_TEXT_VERIFICATION_URI = 1,
    // The URI that holds the code, for a QR code or a browser; not every server sends one.
    DF_TEXT_VERIFICATION_URI_COMPLETE = 2,
    // The server's own words for the person (Microsoft Entra).
    DF_TEXT_MESSAGE = 3,
    // Something odd but harmless in the server's answer, by its index.
    DF_TEXT_WARNING = 4,
    // Of a wait, until the next `df_next_action`, `df_response` or `df_transport_failed`: what came instead of an answer, for
    // `DF_WAIT_REASON_BACKOFF`.
    DF_TEXT_WAIT_CAUSE = 5,
    // The server's words, or the transport's, about the last attempt that was of no use.
    DF_TEXT_LAST_WORDS = 6,
    // Of a success, until the machine is freed: the access token.
    DF_TEXT_ACCESS_TOKEN = 7,
    // `Bearer` or `DPoP`.
    DF_TEXT_TOKEN_TYPE = 8,
    // The value of an `Authorization` header with the access token.
    DF_TEXT_AUTHORIZATION = 9,
    // The refresh token, if there is one. After a refresh there always is: the one to keep, new or old.
    DF_TEXT_REFRESH_TOKEN = 10,
    // The ID token, neither parsed nor checked.
    DF_TEXT_ID_TOKEN = 11,
    // The granted scopes, separated by spaces; those that were requested when the server did not say.
    DF_TEXT_SCOPE = 12,
    // The name of a further member of the answer, by its index, safe to print.
    DF_TEXT_EXTRA_NAME = 13,
    // The same member's value, as JSON; it may be a secret.
    DF_TEXT_EXTRA_VALUE = 14,
    // Of a failure, until the machine is freed: what happened and what to do, safe to print.
    DF_TEXT_FAILURE = 15,
    // The error code of the server (RFC 6749 §5.2, RFC 8628 §3.5), which programs may decide by.
    DF_TEXT_ERROR = 16,
    // The server's explanation for developers.
    DF_TEXT_ERROR_DESCRIPTION = 17,
    // A page about the error.
    DF_TEXT_ERROR_URI = 18,
    // What the next sign-in must request, as a JSON object (Microsoft Entra).
    DF_TEXT_CLAIMS = 19,
    // What a person can do about it; the text of the failure ends with it.
    DF_TEXT_ADVICE = 20,
    // Of a refresh that failed: a refresh token that replaces the old one all the same.
    DF_TEXT_ROTATED_REFRESH_TOKEN = 21,
    // Of a discovery, until it is freed: the issuer.
    DF_TEXT_ISSUER = 22,
    // The device authorization endpoint.
    DF_TEXT_DEVICE_AUTHORIZATION_ENDPOINT = 23,
    // The token endpoint.
    DF_TEXT_TOKEN_ENDPOINT = 24,
    // The revocation endpoint.
    DF_TEXT_REVOCATION_ENDPOINT = 25,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_text df_text;
#else
typedef uint32_t df_text;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A number of a machine.
enum df_number
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Of the code: when it expires, in milliseconds on the caller's timeline.
    DF_NUMBER_CODE_EXPIRES_AT_MS = 0,
    // The polling interval in milliseconds, as it was when the code came.
    DF_NUMBER_INTERVAL_MS = 1,
    // Of a wait after `slow_down`: the interval in force now, in milliseconds.
    DF_NUMBER_SLOW_INTERVAL_MS = 2,
    // Of a wait after a failure: the number of failures in a row.
    DF_NUMBER_ATTEMPT = 3,
    // Of a sign-in: the requests that were sent to the token endpoint.
    DF_NUMBER_POLLS = 4,
    // Of a success: how long the access token lives, in seconds from the moment of the answer; not every server says.
    DF_NUMBER_EXPIRES_IN = 5,
    // Of a failure: its kind, a `DF_FAILURE_KIND_…`.
    DF_NUMBER_FAILURE_KIND = 6,
    // 1 when the same attempt may succeed later with nothing changed, else 0.
    DF_NUMBER_RETRYABLE = 7,
    // After a refresh that failed: 1 when the refresh token may still be good, else 0.
    DF_NUMBER_KEEPS_REFRESH_TOKEN = 8,
    // 1 when the answer to a poll was never seen, so that a token may have been issued and lost; else 0.
    DF_NUMBER_POLL_LOST = 9,
    // The HTTP status of the server's error.
    DF_NUMBER_ERROR_STATUS = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_number df_number;
#else
typedef uint32_t df_number;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Why a machine failed.
enum df_failure_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A kind that this header does not know.
    DF_FAILURE_KIND_OTHER = 0,
    // `df_cancel` was called.
    DF_FAILURE_KIND_CANCELLED = 1,
    // The person refused, or the server on their behalf (RFC 8628 §3.5).
    DF_FAILURE_KIND_DENIED = 2,
    // The code expired before it was approved.
    DF_FAILURE_KIND_EXPIRED = 3,
    // The refresh token is of no use any more: start a sign-in.
    DF_FAILURE_KIND_SIGN_IN_NEEDED = 4,
    // The server refused with an error (RFC 6749 §5.2).
    DF_FAILURE_KIND_REJECTED = 5,
    // The server broke the protocol.
    DF_FAILURE_KIND_PROTOCOL = 6,
    // No connection, or one that must not be trusted.
    DF_FAILURE_KIND_TRANSPORT = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum df_failure_kind df_failure_kind;
#else
typedef uint32_t df_failure_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A client: a configuration that was checked. It never changes, and many machines may use it. Opaque: always behind a
// pointer.
typedef struct df_client df_client;

// The settings of a client in the making. Opaque: always behind a pointer.
typedef struct df_config df_config;

// A sign-in, a refresh, a revocation or a discovery under way. Opaque: always behind a pointer.
typedef struct df_machine df_machine;

// A text that came from here. Not ended by a zero byte.
typedef struct df_str {
    // Its first byte; never null, but in a request that is none.
    const char *data;
    // The number of bytes.
    size_t len;
} df_str;

// A header of a request or an answer.
typedef struct df_header {
    // The name, in any letter case.
    const char *name;
    // The number of bytes of the name.
    size_t name_len;
    // The value, any bytes.
    const char *value;
    // The number of bytes of the value.
    size_t value_len;
} df_header;

// A request to send as it stands, never following redirects. Its texts stay until its ticket is handed in, or the machine is
// freed.
typedef struct df_request {
    // `GET` or `POST`.
    struct df_str method;
    // The URL. It holds no secret.
    struct df_str url;
    // The headers, their names in lower case. The values of `authorization` and `dpop` must stay out of logs.
    const struct df_header *headers;
    // The number of headers.
    size_t header_count;
    // The body, which holds secrets; empty for a GET.
    struct df_str body;
    // How many bytes of the answer's body to read at most, after decoding. Hand in one more to say that there was more.
    size_t max_response;
    // How long the answer may take, in milliseconds, where the machine has no use for it later; else 0. The caller's own
    // limit may be shorter.
    uint64_t time_limit_ms;
} df_request;

// What to do now.
typedef struct df_action {
    // What it is.
    df_action_kind kind;
    // Why to wait, for `DF_ACTION_KIND_WAIT`.
    df_wait_reason reason;
    // The ticket of the request, for `DF_ACTION_KIND_SEND_REQUEST` and `…_AWAIT_RESPONSE`; else 0.
    uint64_t ticket;
    // When to come back, for `DF_ACTION_KIND_WAIT`, in milliseconds on the caller's timeline; else 0.
    uint64_t until_ms;
    // What to send, for `DF_ACTION_KIND_SEND_REQUEST`; else all of it is zero.
    struct df_request request;
} df_action;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The text of a code, for a person who writes programs. It lives forever. `DF_CODE_BAD_ARGUMENT` for a number that is
// no code.
df_code df_error_text(int32_t code, struct df_str *text);

// An empty configuration.
df_code df_config_new(struct df_config **config);

// Sets one setting, a `DF_SETTING_…`. Its value is checked by `df_client_new`; of what cannot be set twice the last value
// counts.
df_code df_config_set(struct df_config *config,
                      uint32_t setting,
                      const char *value,
                      size_t value_len);

// The same for `DF_SETTING_PRESET_PARAMETER`, `DF_SETTING_DEVICE_PARAMETER` and `DF_SETTING_TOKEN_PARAMETER`, which have a
// name and a value.
df_code df_config_set_pair(struct df_config *config,
                           uint32_t setting,
                           const char *name,
                           size_t name_len,
                           const char *value,
                           size_t value_len);

// Takes the server's endpoints from a discovery that is done; `DF_CODE_NONE` from any other machine.
df_code df_config_discovered(struct df_config *config, struct df_machine *discovery);

// Checks the configuration and makes a client of it. On `DF_CODE_BAD_CONFIG`, `df_detail` of the configuration says what
// to change. The configuration may be used again.
df_code df_client_new(struct df_config *config,
                      struct df_client **client);

// What was wrong with the last call with this handle that returned an error: safe to print, for a person who writes or
// configures programs. `DF_CODE_NONE` before the first error. It stays until the next call with the handle.
df_code df_detail(void *handle, struct df_str *detail);

// Frees a handle of any kind, and wipes its secrets. Null is ignored.
df_code df_free(void *handle);

// The one thing to do now. `now_ms` is monotonic time in milliseconds, from a zero of the caller's choice that is the same
// in all calls with one machine; an earlier time counts as the latest one seen.
df_code df_next_action(struct df_machine *machine,
                       uint64_t now_ms,
                       struct df_action *action);

// Hands in the answer to a request: any status, any bytes. Hand in all headers; those that matter are kept. Of a body that
// is longer than `DF_NUMBER_MAX_RESPONSE`, one byte more than that is enough.
df_code df_response(struct df_machine *machine,
                    uint64_t ticket,
                    uint32_t status,
                    const struct df_header *headers,
                    size_t header_count,
                    const void *body,
                    size_t body_len,
                    uint64_t now_ms);

// Says that no answer came. `kind` is a `DF_TRANSPORT_ERROR_…`, `detail` what the transport has to say, for a person; it
// must hold no secret, and may be empty.
df_code df_transport_failed(struct df_machine *machine,
                            uint64_t ticket,
                            uint32_t kind,
                            const char *detail,
                            size_t detail_len,
                            uint64_t now_ms);

// Ends the machine: the next action is a failure, `DF_FAILURE_KIND_CANCELLED`. The answer to a request in flight may still
// be handed in; it is dropped. Does nothing to a machine that has its outcome.
df_code df_cancel(struct df_machine *machine);

// The sign-in as JSON while a code lives; `DF_CODE_NONE` before there is one, after the outcome, and for other machines. It
// holds the device code, which is a secret. It stays until the next `df_snapshot` of this machine, or until it is freed.
// Either the machine or the one that is resumed may poll, not both.
df_code df_snapshot(struct df_machine *machine,
                    uint64_t now_ms,
                    struct df_str *snapshot);

// A new sign-in. Start one only when a person asked for it (RFC 8628 §3.1). `entropy` is 32 fresh bytes from the system's
// random source, never used twice.
df_code df_flow_new(struct df_client *client,
                    const uint8_t *entropy,
                    size_t entropy_len,
                    struct df_machine **machine);

// New tokens for a refresh token (RFC 6749 §6). `scope` is some of the granted scopes, separated by spaces; empty for all.
df_code df_refresh_new(struct df_client *client,
                       const char *refresh_token,
                       size_t refresh_token_len,
                       const char *scope,
                       size_t scope_len,
                       struct df_machine **machine);

// The end of a token (RFC 7009): a refresh token, best.
df_code df_revocation_new(struct df_client *client, const char *token, size_t token_len, struct df_machine **machine);

// Asks the issuer of the configuration for its endpoints (RFC 8414); `df_config_discovered` takes them.
df_code df_discovery_new(struct df_config *config, struct df_machine **machine);

// Goes on with a stored sign-in, perhaps in another process: the code is shown again, then the rest of the wait is kept.
// The client must be the same. `away_at_least_ms` and `away_at_most_ms` say how long it was stored; both are the same where
// that is known exactly. On `DF_CODE_BAD_SNAPSHOT`, `df_detail` of the client says why.
df_code df_resume(struct df_client *client,
                  const char *snapshot,
                  size_t snapshot_len,
                  uint64_t away_at_least_ms,
                  uint64_t away_at_most_ms,
                  uint64_t now_ms,
                  struct df_machine **machine);

// A text of the machine, a `DF_TEXT_…`: `DF_CODE_NONE` when there is none now. `index` counts from 0 for those of which
// there are several (headers, warnings, further members); it is 0 for all others. The text stays as long as its group says.
df_code df_read_text(struct df_machine *machine,
                     uint32_t text,
                     size_t index,
                     struct df_str *value);

// A number of the machine, a `DF_NUMBER_…`: `DF_CODE_NONE` when there is none now.
df_code df_read_number(struct df_machine *machine, uint32_t number, uint64_t *value);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DEVICE_FLOW_H */
