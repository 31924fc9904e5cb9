/** Owns what the tests share: the package as it was built, the demo server, and fetches from a script. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

/** The folder that build.sh has filled. */
export const folder = pathToFileURL(`${process.env.DEVICE_FLOW_WASM}/`);
export const { load, SignInError, UsageError } = await import(new URL("device_flow.js", folder));

/** A demo server, until the test is over. Returns its issuer. */
export async function demo(test, ...flags) {
    const server = spawn(process.env.DEVICE_FLOW, ["demo", "--serve", "--interval", "1s", "--json", ...flags], {
        stdio: ["ignore", "pipe", "inherit"],
    });
    test.after(() => server.kill());
    for await (const line of createInterface({ input: server.stdout })) {
        const event = JSON.parse(line);
        if (event.event === "server") return event.base_url;
    }
    throw new Error("the demo server has ended");
}

/** A client with both endpoints, without a server. */
export const SETTINGS = {
    clientId: "app",
    deviceAuthorizationEndpoint: "https://op.example.com/device",
    tokenEndpoint: "https://op.example.com/token",
    scope: ["openid", "profile"],
};
export const CODE = {
    device_code: "DC-canary",
    user_code: "ABCD-EFGH",
    verification_uri: "https://op.example.com/go",
    expires_in: 600,
    interval: 5,
};
export const TOKENS = { access_token: "AT-canary", token_type: "Bearer", refresh_token: "RT-canary", expires_in: 3600, "x-more": [1] };

export const json = (status, body, headers = {}) =>
    new Response(typeof body === "string" ? body : JSON.stringify(body), {
        status,
        headers: { "content-type": "application/json", ...headers },
    });
export const pending = () => json(400, { error: "authorization_pending" });

/** Time that passes when somebody sleeps, and answers one after the other; the last one for ever. */
export function scripted(...answers) {
    const world = { time: 0, requests: [], waits: [] };
    world.options = {
        now: () => world.time,
        sleep: async (ms) => {
            world.waits.push(ms);
            world.time += ms;
        },
        fetch: async (url, init) => {
            const body = init.body && new TextDecoder().decode(init.body);
            world.requests.push({ url, at: world.time, ...init, body });
            const answer = answers.length > 1 ? answers.shift() : answers[0];
            return answer(init);
        },
        onCode: (code) => (world.code = code),
    };
    return world;
}
