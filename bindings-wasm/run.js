/** Owns the loop that drives every machine: it waits, sends with fetch, tells the caller, and stops when it is told to. */

import { UsageError } from "./outcome.js";
import { exchange } from "./transport.js";

/** More than this a timer of the platform does not take: it would be over at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The loop for the machines of one instance. */
export function runner({ Machine, SignIn }) {
    const running = new WeakSet();

    return async function run(machine, options = {}) {
        Machine.of(machine);
        if (running.has(machine)) throw new UsageError("bad_argument", "this machine is running: one loop drives it");
        if (machine instanceof SignIn && typeof options.onCode !== "function") {
            throw new UsageError("bad_argument", "a sign-in needs onCode, which shows the code to a person");
        }
        running.add(machine);
        try {
            return await drive(machine, options);
        } finally {
            running.delete(machine);
        }
    };
}

async function drive(machine, options) {
    const { fetch = globalThis.fetch, onCode, onWait, signal, now = () => performance.now(), sleep = timer } = options;
    const stop = new AbortController();
    let thrown;
    let givenUp = false;
    const cancel = () => stop.abort();
    const fail = (error) => {
        thrown ??= { error };
        cancel();
    };
    // Nobody waits for a callback: the polling goes on while a person reads. What it throws ends the machine.
    const tell = (callback, value) => {
        try {
            Promise.resolve(callback?.(value)).catch(fail);
        } catch (error) {
            fail(error);
        }
    };
    signal?.addEventListener("abort", cancel);
    if (signal?.aborted) cancel();
    let told;
    let shown = false;
    try {
        for (;;) {
            // Here and not when the signal comes: an answer that came before it is handed in first, and may be the tokens.
            if (stop.signal.aborted) machine.cancel();
            const action = machine.nextAction(now());
            switch (action.kind) {
                case "send_request": {
                    const answer = await exchange(fetch, action.request, stop.signal);
                    givenUp = answer.error === "abandoned" && shown;
                    if (answer.error === "abandoned") machine.cancel();
                    if (answer.error) machine.transportFailed(action.ticket, answer.error, answer.detail, now());
                    else machine.response(action.ticket, answer.status, answer.headers, answer.body, now());
                    answer.body?.fill(0);
                    break;
                }
                case "show_code":
                    shown = true;
                    tell(onCode, action.code);
                    break;
                case "wait": {
                    // A timer that comes early makes the same wait once more.
                    if (told !== action.until) tell(onWait, action);
                    told = action.until;
                    await sleep(Math.max(1, Math.ceil(action.until - now())), stop.signal);
                    break;
                }
                case "done":
                    return action.outcome;
                case "failed":
                    if (givenUp) action.error.pollLost = true;
                    throw thrown ? thrown.error : action.error;
                case "await_response":
                    throw new UsageError("bad_ticket", "this machine waits for the answer to a request that run has not sent");
                default:
                    throw new UsageError("bad_argument", "this machine has ended before: start a new one");
            }
        }
    } finally {
        signal?.removeEventListener("abort", cancel);
    }
}

/** Over after this many milliseconds, at the latest: earlier for a very long wait, or when the signal comes. */
function timer(ms, signal) {
    return new Promise((resolve) => {
        const over = () => {
            clearTimeout(waiting);
            signal.removeEventListener("abort", over);
            resolve();
        };
        const waiting = setTimeout(over, Math.min(ms, LONGEST_TIMER));
        signal.addEventListener("abort", over);
        if (signal.aborted) over();
    });
}
