// Owns keys made by Node.js and jose, and the check by jose of what was signed with them.
//
// usage: keys.mjs make FOLDER     one file for each kind of key and each form; the name begins with what they are
//        keys.mjs check           reads a JSON array from standard input, and prints how many of it are right

import assert from "node:assert";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const jose = await import(`${process.env.INSTALLED}/node_modules/jose/dist/webapi/index.js`);
const [, , command, folder] = process.argv;

async function make() {
  const write = (name, text) => writeFileSync(`${folder}/${name}`, text);
  const ec = (namedCurve) => generateKeyPairSync("ec", { namedCurve }).privateKey;
  const rsa = (modulusLength, type = "rsa") => generateKeyPairSync(type, { modulusLength }).privateKey;
  const keys = { p256: ec("P-256"), p384: ec("P-384"), rsa2048: rsa(2048), ed25519: generateKeyPairSync("ed25519").privateKey };
  for (const [name, key] of Object.entries(keys)) {
    write(`good-${name}-pkcs8.pem`, key.export({ type: "pkcs8", format: "pem" }));
    if (name !== "ed25519") {
      write(`good-${name}-old.pem`, key.export({ type: name.startsWith("p") ? "sec1" : "pkcs1", format: "pem" }));
    }
    const jwk = await jose.exportJWK(key);
    write(`good-${name}.jwk`, JSON.stringify({ ...jwk, kid: name, use: "sig" }));
  }
  // A set, an algorithm by its new name, RSA for PSS alone, a Java-like key without its public half.
  write("good-set.jwk", JSON.stringify({ keys: [await jose.exportJWK(keys.p256)] }));
  for (const alg of ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"]) {
    const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    write(`good-alg-${alg}.jwk`, JSON.stringify({ ...(await jose.exportJWK(privateKey)), alg }));
    write(`good-alg-${alg}.pem`, await jose.exportPKCS8(privateKey));
  }
  write("good-rsa-pss.pem", rsa(2048, "rsa-pss").export({ type: "pkcs8", format: "pem" }));
  write("several.jwk", JSON.stringify({ keys: [await jose.exportJWK(keys.p256), await jose.exportJWK(keys.p384)] }));
  write("curve-p521.jwk", JSON.stringify(await jose.exportJWK(ec("P-521"))));
}

async function check() {
  const all = JSON.parse(readFileSync(0, "utf8"));
  for (const { name, algorithm, jwk, thumbprint, client_id, audience, assertion, url, nonce, proof } of all) {
    assert.equal(await jose.calculateJwkThumbprint(jwk), thumbprint, name);
    const key = await jose.importJWK(jwk, algorithm);
    const rules = { issuer: client_id, subject: client_id, audience, typ: "JWT", algorithms: [algorithm], maxTokenAge: 60, clockTolerance: 5 };
    const { payload } = await jose.jwtVerify(assertion, key, { ...rules, requiredClaims: ["jti", "exp"] });
    assert.equal(payload.exp, payload.iat + 60, name);
    const proven = await jose.jwtVerify(proof, jose.EmbeddedJWK, { typ: "dpop+jwt", algorithms: [algorithm], maxTokenAge: 60, clockTolerance: 5 });
    assert.equal(await jose.calculateJwkThumbprint(proven.protectedHeader.jwk), thumbprint, name);
    assert.deepEqual([proven.payload.htm, proven.payload.htu, proven.payload.nonce], ["POST", url, nonce], name);
  }
  return all.length;
}

if (command === "make") {
  await make();
} else {
  console.log(await check());
}
