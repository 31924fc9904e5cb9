#!/usr/bin/env bash
# Owns keys made by OpenSSL's command line, and what the errors say to do about some of them.
#
# usage: openssl_keys.sh FOLDER     one file for each kind of key and each form; the name begins with what they are
set -euo pipefail
cd "$1"
for curve in prime256v1 secp384r1; do
  openssl ecparam -name $curve -genkey -out good-$curve-with-parameters.pem
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$curve -out good-$curve-pkcs8.pem
  openssl ec -in good-$curve-pkcs8.pem -no_public -out half-$curve.pem
  openssl pkey -in half-$curve.pem -out half-$curve-pkcs8.pem
  openssl ec -in good-$curve-pkcs8.pem -conv_form compressed -out half-$curve-compressed.pem
  # As the error says.
  for half in half-$curve*.pem; do
    cp "$half" "good-$half"
    openssl ec -in "good-$half" -pubout -conv_form uncompressed >>"good-$half"
  done
  openssl ec -in good-$curve-pkcs8.pem -param_enc explicit -out full-$curve.pem
  openssl ec -param_enc named_curve -in full-$curve.pem -out good-$curve-named.pem
  openssl pkcs8 -topk8 -in good-$curve-pkcs8.pem -passout pass:canary -out encrypted-$curve.pem
  openssl pkey -in encrypted-$curve.pem -passin pass:canary -out good-$curve-decrypted.pem
  openssl ec -in good-$curve-pkcs8.pem -aes256 -passout pass:canary -out encrypted-$curve-old.pem
done
for bits in 2048 3072; do
  openssl genrsa -out good-rsa$bits.pem $bits
  openssl rsa -in good-rsa$bits.pem -traditional -out good-rsa$bits-pkcs1.pem
done
openssl genrsa -out short-rsa1024.pem 1024
openssl genrsa -out size-rsa2560.pem 2560
openssl genrsa -primes 3 -out primes-rsa2048.pem 2048
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 -out exponent-rsa2048.pem
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out good-rsa-pss.pem
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 -out pss-parameters.pem
openssl genpkey -algorithm ed25519 -out good-ed25519.pem
openssl pkey -in good-ed25519.pem -outform DER -out none-der.key
openssl pkey -inform DER -in none-der.key -out good-ed25519-from-der.pem
openssl req -x509 -new -key good-ed25519.pem -subj /CN=client -days 1 -out certificate.pem
cat certificate.pem good-ed25519.pem >good-with-certificate.pem
openssl genpkey -algorithm x25519 -out kind-x25519.pem
openssl genpkey -algorithm ed448 -out kind-ed448.pem
