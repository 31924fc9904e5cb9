/** Owns what a page in Chromium may do, and what it is told about the rest. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { demo, folder } from "./support.js";

const TYPES = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };

/** A server of pages that also hands on what comes to /op/ to the authorization server. Returns its origin. */
async function pages(test, op, report) {
    const server = createServer(async (request, response) => {
        const { pathname, search } = new URL(request.url, "http://localhost");
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const body = Buffer.concat(chunks);
        if (pathname === "/report") {
            response.end();
            return report(JSON.parse(body));
        }
        if (pathname === "/op/elsewhere") return response.writeHead(302, { location: "/op/token" }).end();
        if (pathname.startsWith("/op/")) {
            const { method, headers } = request;
            const answer = await fetch(op + pathname.slice(3) + search, {
                method,
                headers: { "content-type": headers["content-type"], accept: headers.accept ?? "*/*" },
                body: method === "POST" ? body : undefined,
            });
            response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") });
            return response.end(Buffer.from(await answer.arrayBuffer()));
        }
        const name = pathname.slice(1);
        const file = name === "page.html" ? new URL("page.html", import.meta.url) : new URL(name, folder);
        const found = await readFile(file).catch(() => undefined);
        response.writeHead(found ? 200 : 404, { "content-type": TYPES[name.split(".").pop()] ?? "text/plain" });
        response.end(found);
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    test.after(() => (server.close(), server.closeAllConnections()));
    return `http://127.0.0.1:${server.address().port}`;
}

test("a page: another origin, a redirect, its own origin", { timeout: 120_000 }, async (t) => {
    const op = await demo(t, "--decide", "approve");
    let report;
    const reported = new Promise((resolve) => (report = resolve));
    const origin = await pages(t, op, report);
    const profile = await mkdtemp(join(tmpdir(), "device-flow-page-"));
    const flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-port=0";
    const page = `${origin}/page.html?op=${encodeURIComponent(op)}`;
    const browser = spawn("chromium", [...flags.split(/\s+/), `--user-data-dir=${profile}`, page], { stdio: "ignore" });
    const ended = new Promise((resolve) => browser.once("close", resolve));
    t.after(async () => {
        browser.kill();
        await ended;
        await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    });
    const early = ended.then(() => assert.fail("Chromium has ended without a report"));
    const { other, redirected, own } = await Promise.race([reported, early]);

    assert.equal(other.kind, "transport");
    assert.match(other.message, /pages of other origins ask \(CORS\).* a proxy on the page's own origin$/);
    assert.match(redirected.message, /the server redirects, which is not followed, and a page may not see where to/);
    assert.doesNotMatch(redirected.message, /CORS/);
    assert.deepEqual(own, { scope: "openid profile", type: "Bearer", code: true, reasons: ["interval"] });
    console.log(`from another origin: ${other.message}`);
    console.log(`from its own origin, through a proxy: signed in, ${JSON.stringify(own)}`);
});
