/** Owns whole sign-ins from Node with its own fetch, on the real demo server. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { demo, load, SignInError } from "./support.js";

const deviceFlow = await load();
const SETTINGS = { clientId: "node", scope: ["openid", "profile", "offline_access"], allowHttpLoopback: true };

/** A sign-in on this server: its tokens, what was shown, and every wait. */
async function signIn(issuer, options = {}) {
    const client = await deviceFlow.Client.discover({ ...SETTINGS, issuer });
    const machine = new deviceFlow.SignIn(client);
    const [codes, waits] = [[], []];
    try {
        const tokens = await deviceFlow.run(machine, {
            onCode: (code) => codes.push(code),
            onWait: (wait) => waits.push(wait),
            ...options,
        });
        return { client, tokens, codes, waits };
    } finally {
        machine.free();
    }
}

// They wait for the demo, not for each other.
describe("on the demo server", { concurrency: true, timeout: 120_000 }, () => {
    test("a sign-in, a refresh, a revocation", async (t) => {
        const { client, tokens, codes } = await signIn(await demo(t, "--decide", "approve"));
        assert.equal(codes.length, 1);
        assert.match(codes[0].verificationUri, /^http:\/\/127\.0\.0\.1:/);
        assert.ok(codes[0].userCode.length >= 8 && codes[0].expiresIn > 590 && codes[0].expiresIn <= 600);
        assert.equal(tokens.scope, "openid profile offline_access");
        assert.equal(tokens.authorization, `Bearer ${tokens.accessToken}`);
        assert.equal(tokens.expiresIn, 3600);

        const refresh = new deviceFlow.Refresh(client, tokens.refreshToken);
        const fresh = await deviceFlow.run(refresh);
        assert.notEqual(fresh.accessToken, tokens.accessToken);
        const revocation = new deviceFlow.Revocation(client, fresh.refreshToken);
        assert.equal(await deviceFlow.run(revocation), undefined);
        const gone = await deviceFlow.run(new deviceFlow.Refresh(client, fresh.refreshToken)).catch((error) => error);
        assert.ok(gone instanceof SignInError);
        assert.deepEqual([gone.kind, gone.code, gone.keepsRefreshToken], ["sign_in_needed", "invalid_grant", false]);
    });

    test("slow_down makes every later wait longer", async (t) => {
        const { waits } = await signIn(await demo(t, "--decide", "approve", "--fault", "slow-down"));
        const at = waits.findIndex((wait) => wait.reason === "slow_down");
        assert.ok(at > 0 && waits[at].interval === 6_000);
        const gaps = waits.slice(at).map((wait, index) => wait.until - waits[at + index - 1].until);
        assert.ok(gaps.length > 1 && gaps.every((gap) => gap >= 6_000), `${gaps}`);
    });

    test("an outage is waited for", async (t) => {
        const { waits, tokens } = await signIn(await demo(t, "--decide", "approve", "--fault", "unavailable"));
        const failures = waits.filter((wait) => wait.reason === "backoff");
        assert.deepEqual(failures.map((wait) => wait.attempt), [1, 2, 3]);
        assert.match(failures[0].cause, /503/);
        assert.ok(tokens.accessToken);
    });

    test("a connection that is closed without an answer is waited for", async (t) => {
        const { waits, tokens } = await signIn(await demo(t, "--decide", "approve", "--fault", "hang-up"));
        assert.deepEqual(waits.filter((wait) => wait.reason === "backoff").map((wait) => wait.cause), Array(3).fill("the connection broke off"));
        assert.ok(tokens.accessToken);
    });

    test("a denial", async (t) => {
        const error = await signIn(await demo(t, "--decide", "deny")).catch((error) => error);
        assert.ok(error instanceof SignInError);
        assert.deepEqual([error.kind, error.code, error.retryable], ["denied", "access_denied", false]);
        assert.match(error.message, /denied/);
    });

    test("an AbortSignal ends it, during a wait", async (t) => {
        const stop = new AbortController();
        const began = signIn(await demo(t, "--decide", "approve"), { signal: stop.signal, onWait: () => stop.abort() });
        const error = await began.catch((error) => error);
        assert.deepEqual([error.name, error.kind, error.pollLost], ["SignInError", "cancelled", false]);
    });

    test("a stored sign-in goes on in a new instance of the module", async (t) => {
        const issuer = await demo(t, "--decide", "approve");
        const client = await deviceFlow.Client.discover({ ...SETTINGS, issuer });
        const machine = new deviceFlow.SignIn(client);
        const stop = new AbortController();
        let stored, code;
        const onWait = () => {
            stored = machine.snapshot();
            stop.abort();
        };
        await assert.rejects(deviceFlow.run(machine, { onCode: (shown) => (code = shown), onWait, signal: stop.signal }), { kind: "cancelled" });
        machine.free();

        const other = await load();
        const again = await other.Client.discover({ ...SETTINGS, issuer });
        assert.throws(() => other.SignIn.resume(client, stored, { awayAtLeast: 0 }), { code: "bad_handle" });
        const resumed = other.SignIn.resume(again, stored, { awayAtLeast: 0, awayAtMost: 1_000 });
        let shown;
        const tokens = await other.run(resumed, { onCode: (code) => (shown = code) });
        assert.equal(shown.userCode, code.userCode);
        assert.ok(tokens.accessToken);
    });
});
