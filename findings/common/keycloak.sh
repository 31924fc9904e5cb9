# Owns the Keycloak of the scripts: its version, its realm "home" and its start. Sourced after script.sh.
# Client "tv" (public, device grant); "anna" has the usual roles and "ben" has none; both have the password
# "any-will-do".

# keycloak_start PORT SECONDS_THAT_A_CODE_LIVES [CLIENT...]: a server of development mode, with its data in the temporary
# folder, and with further clients, each in JSON.
keycloak_start() {
  local version=26.7.3 port=$1 lifetime=$2 home=$work/keycloak clients
  clients=$(printf ', %s' "${@:3}")
  [ $# -gt 2 ] || clients=
  mkdir -p "$home/data/import"
  quietly 600 mvn -q -B dependency:copy \
    -Dartifact="org.keycloak:keycloak-quarkus-dist:$version:tar.gz" -DoutputDirectory="$work"
  tar xzf "$work/keycloak-quarkus-dist-$version.tar.gz" -C "$home" --strip-components=1
  cat >"$home/data/import/home.json" <<END_OF_REALM
{
  "realm": "home", "enabled": true, "sslRequired": "none",
  "oauth2DeviceCodeLifespan": $lifetime, "oauth2DevicePollingInterval": 1,
  "clients": [{
    "clientId": "tv", "publicClient": true, "standardFlowEnabled": false,
    "attributes": {"oauth2.device.authorization.grant.enabled": "true"},
    "optionalClientScopes": ["offline_access"]
  }$clients],
  "users": [
    {"username": "anna", "enabled": true, "email": "anna@example.test", "emailVerified": true, "firstName": "Anna",
     "lastName": "Example", "realmRoles": ["default-roles-home"],
     "credentials": [{"type": "password", "value": "any-will-do"}]},
    {"username": "ben", "enabled": true, "email": "ben@example.test", "emailVerified": true, "firstName": "Ben",
     "lastName": "Example", "credentials": [{"type": "password", "value": "any-will-do"}]}
  ]
}
END_OF_REALM
  export JAVA_OPTS_KC_HEAP="-Xms64m -Xmx700m"
  export JAVA_OPTS_APPEND="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UseG1GC -Djava.io.tmpdir=$work"
  patience=300 serve "$port" "$home/bin/kc.sh" start-dev --http-host 127.0.0.1 --http-port "$port" --import-realm
  # The port is open before the realm is there.
  quietly 60 curl --silent --fail --retry 50 --retry-all-errors --retry-delay 1 --output "$work/realm.json" \
    "http://127.0.0.1:$port/realms/home"
  echo "Keycloak $version"
}
