/* A whole sign-in in C with libcurl: a configuration, the loop, the tokens.
 *
 *   sign_in ISSUER CLIENT_ID     asks the issuer for its endpoints, prints the code, and waits for the approval
 *
 * ISSUER may be http on loopback, such as that of `device-flow demo --serve`. */
#define _POSIX_C_SOURCE 200809L

#include <curl/curl.h>
#include <device_flow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_until(uint64_t until_ms) {
    uint64_t now = now_ms(), wait = until_ms > now ? until_ms - now : 0;
    struct timespec time = {(time_t)(wait / 1000), (long)(wait % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Ends the program when a call was refused: the detail of the handle says why. */
static void check(df_code code, void *handle) {
    df_str text;
    if (code >= 0) return;
    if (handle == NULL || df_detail(handle, &text) != DF_CODE_OK) df_error_text(code, &text);
    fprintf(stderr, "%.*s\n", (int)text.len, text.data);
    exit(2);
}

static void set(df_config *config, df_setting setting, const char *value) {
    check(df_config_set(config, setting, value, strlen(value)), config);
}

static void print(const char *name, df_machine *machine, df_text which) {
    df_str text;
    if (df_read_text(machine, which, 0, &text) == DF_CODE_OK) printf("%s%.*s\n", name, (int)text.len, text.data);
}

/* What an answer brings: headers one after the other in one text, and a body of limited length. */
struct answer {
    char *body, *text;
    size_t body_len, body_limit, text_len, count;
    struct { size_t name, name_len, value, value_len; } at[64];
};

static size_t take_body(char *data, size_t one, size_t len, void *into) {
    struct answer *answer = into;
    size_t room = answer->body_limit - answer->body_len, taken = len < room ? len : room;
    (void)one;
    memcpy(answer->body + answer->body_len, data, taken);
    answer->body_len += taken;
    return taken; /* Less than there was: the transfer ends here. */
}

static size_t take_header(char *line, size_t one, size_t len, void *into) {
    struct answer *answer = into;
    char *colon = memchr(line, ':', len), *text;
    size_t name_len = colon == NULL ? 0 : (size_t)(colon - line), end = len, begin = name_len + 1;
    (void)one;
    if (colon == NULL || answer->count == sizeof answer->at / sizeof answer->at[0]) return len;
    while (end > begin && strchr(" \t\r\n", line[end - 1]) != NULL) end--;
    while (begin < end && (line[begin] == ' ' || line[begin] == '\t')) begin++;
    text = realloc(answer->text, answer->text_len + len);
    if (text == NULL) return 0;
    answer->text = text;
    memcpy(text + answer->text_len, line, len);
    answer->at[answer->count].name = answer->text_len;
    answer->at[answer->count].name_len = name_len;
    answer->at[answer->count].value = answer->text_len + begin;
    answer->at[answer->count].value_len = end - begin;
    answer->count++;
    answer->text_len += len;
    return len;
}

static df_transport_error kind_of(CURLcode code) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return DF_TRANSPORT_ERROR_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST: return DF_TRANSPORT_ERROR_DNS;
    case CURLE_COULDNT_CONNECT: return DF_TRANSPORT_ERROR_CONNECT;
    case CURLE_SSL_CONNECT_ERROR: return DF_TRANSPORT_ERROR_TLS;
    case CURLE_PEER_FAILED_VERIFICATION: return DF_TRANSPORT_ERROR_UNTRUSTED_CERTIFICATE;
    case CURLE_COULDNT_RESOLVE_PROXY: return DF_TRANSPORT_ERROR_PROXY;
    case CURLE_GOT_NOTHING: case CURLE_PARTIAL_FILE: case CURLE_SEND_ERROR: case CURLE_RECV_ERROR:
        return DF_TRANSPORT_ERROR_CLOSED;
    case CURLE_WEIRD_SERVER_REPLY: case CURLE_UNSUPPORTED_PROTOCOL: return DF_TRANSPORT_ERROR_INVALID_HTTP;
    default: return DF_TRANSPORT_ERROR_OTHER;
    }
}

static char *copy(df_str text) {
    char *ended = calloc(text.len + 1, 1);
    if (ended == NULL) abort();
    memcpy(ended, text.data, text.len);
    return ended;
}

/* Sends the request, and hands in what came. */
static void send_request(df_machine *machine, uint64_t ticket, df_request request) {
    struct answer answer = {0};
    struct curl_slist *lines = NULL;
    df_header headers[64];
    CURL *curl = curl_easy_init();
    CURLcode code;
    long status = 0, limit_ms = 30000;
    size_t at;
    char *url;

    answer.body_limit = request.max_response + 1; /* One byte more says that there was more. */
    answer.body = malloc(answer.body_limit);
    url = copy(request.url);
    if (curl == NULL || answer.body == NULL) abort();
    for (at = 0; at < request.header_count; at++) {
        const df_header *header = &request.headers[at];
        char *line = calloc(header->name_len + header->value_len + 3, 1);
        if (line == NULL) abort();
        memcpy(line, header->name, header->name_len);
        memcpy(line + header->name_len, ": ", 2);
        memcpy(line + header->name_len + 2, header->value, header->value_len);
        lines = curl_slist_append(lines, line);
        free(line);
    }
    if (request.time_limit_ms != 0 && request.time_limit_ms < (uint64_t)limit_ms) limit_ms = (long)request.time_limit_ms;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limit_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    if (request.method.len == 4) { /* POST; the other one is GET. */
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request.body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data);
    }
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && answer.body_len == answer.body_limit)) {
        for (at = 0; at < answer.count; at++) {
            headers[at].name = answer.text + answer.at[at].name;
            headers[at].name_len = answer.at[at].name_len;
            headers[at].value = answer.text + answer.at[at].value;
            headers[at].value_len = answer.at[at].value_len;
        }
        check(df_response(machine, ticket, (uint32_t)status, headers, answer.count, answer.body, answer.body_len, now_ms()),
              machine);
    } else {
        const char *detail = curl_easy_strerror(code);
        check(df_transport_failed(machine, ticket, kind_of(code), detail, strlen(detail), now_ms()), machine);
    }
    curl_slist_free_all(lines);
    curl_easy_cleanup(curl);
    free(answer.body);
    free(answer.text);
    free(url);
}

/* The loop that drives every machine: 0 when it brought what it is for. */
static int run(df_machine *machine) {
    for (;;) {
        df_action action;
        check(df_next_action(machine, now_ms(), &action), machine);
        switch (action.kind) {
        case DF_ACTION_KIND_SEND_REQUEST: send_request(machine, action.ticket, action.request); break;
        case DF_ACTION_KIND_SHOW_CODE:
            print("Open  ", machine, DF_TEXT_VERIFICATION_URI);
            print("Enter ", machine, DF_TEXT_USER_CODE);
            fflush(stdout);
            break;
        case DF_ACTION_KIND_WAIT: sleep_until(action.until_ms); break;
        case DF_ACTION_KIND_DONE: return 0;
        case DF_ACTION_KIND_FAILED: print("", machine, DF_TEXT_FAILURE); return 1;
        default: return 1; /* Nobody else runs this machine. */
        }
    }
}

int main(int count, char **words) {
    df_config *config = NULL;
    df_client *client = NULL;
    df_machine *discovery = NULL, *flow = NULL;
    uint8_t entropy[32];
    FILE *random;
    int failed;

    if (count != 3) return fprintf(stderr, "usage: sign_in ISSUER CLIENT_ID\n"), 2;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    check(df_config_new(&config), NULL);
    set(config, DF_SETTING_ISSUER, words[1]);
    set(config, DF_SETTING_CLIENT_ID, words[2]);
    set(config, DF_SETTING_SCOPE, "openid profile offline_access");
    set(config, DF_SETTING_ALLOW_HTTP_LOOPBACK, "");

    check(df_discovery_new(config, &discovery), config);
    failed = run(discovery);
    if (!failed) {
        check(df_config_discovered(config, discovery), config);
        check(df_client_new(config, &client), config);
        random = fopen("/dev/urandom", "rb");
        if (random == NULL || fread(entropy, sizeof entropy, 1, random) != 1) abort();
        fclose(random);
        check(df_flow_new(client, entropy, sizeof entropy, &flow), client);
        failed = run(flow);
    }
    if (!failed) {
        df_str token;
        uint64_t life = 0;
        check(df_read_text(flow, DF_TEXT_ACCESS_TOKEN, 0, &token), flow);
        df_read_number(flow, DF_NUMBER_EXPIRES_IN, &life);
        printf("Signed in: a token of %zu characters for %llu s, ", token.len, (unsigned long long)life);
        print("scope ", flow, DF_TEXT_SCOPE);
    }
    df_free(flow);
    df_free(client);
    df_free(discovery);
    df_free(config);
    curl_global_cleanup();
    return failed;
}
