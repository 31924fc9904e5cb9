/** Owns how a machine ends in JavaScript: tokens, the error of a sign-in, and the error of a call that was wrong. */

const inspect = Symbol.for("nodejs.util.inspect.custom");

/** The tokens of a sign-in or a refresh. `console.log` of Node shows none of them; `JSON.stringify` does, to store them. */
export class Tokens {
    constructor(members) {
        Object.assign(this, members);
    }

    [inspect]() {
        return `Tokens { ${Object.keys(this).filter((name) => this[name] !== undefined).join(", ")} }`;
    }
}

/** Why a machine ended without its result. Its message says what happened and what to do, and is safe to print. */
export class SignInError extends Error {
    constructor(message, { rotatedRefreshToken, ...members }) {
        super(message);
        Object.assign(this, members);
        // A secret, so out of what prints all that can be listed.
        Object.defineProperty(this, "rotatedRefreshToken", { value: rotatedRefreshToken });
    }

    get name() {
        return "SignInError";
    }
}

/** A call that was wrong: nothing has changed. `code` is the name of a `DF_CODE_…`, such as `bad_config`. */
export class UsageError extends Error {
    constructor(code, message) {
        super(message);
        this.code = code;
    }

    get name() {
        return "UsageError";
    }
}
