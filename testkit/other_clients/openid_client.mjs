// Owns a sign-in with openid-client 6: discovery, the device flow of its documentation, and the signature of the ID
// token.
//
// usage: node openid_client.mjs ISSUER CLIENT-ID
import * as client from 'openid-client'

const [issuer, id] = process.argv.slice(2)
// The demo speaks http on loopback; signatures are checked, although TLS or loopback would make up for that.
const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks]
const config = await client.discovery(new URL(issuer), id, undefined, client.None(), { execute })
const code = await client.initiateDeviceAuthorization(config, { scope: 'openid profile' })
try {
  const tokens = await client.pollDeviceAuthorizationGrant(config, code)
  const person = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
  console.log(tokens.claims().name === person.name ? 'signed in' : 'signed in as somebody else')
} catch (error) {
  const code = [error.error, error.cause?.code, error.code].find((word) => typeof word === 'string')
  console.log(code ?? error.name)
  process.exitCode = 1
}
