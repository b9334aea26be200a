#!/usr/bin/env bash
# openapi-generator's `java`, library `native`: generates, compiles, makes the round trip. See scripts/sdks.py.
#   sdks/java/run.sh <server URL> <output directory>
set -euo pipefail
url="$1" out="$2"
here="$(dirname "$0")"
tools="$(scripts/tools.sh sdks/generators/python)"

rm -rf "$out/client" "$out/classes"
# Documentation and test stubs of each model would take most of the time, and nothing here uses them.
JDK_JAVA_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" "$tools/bin/openapi-generator-cli" generate \
  -i openapi.yaml -g java --library native -o "$out/client" \
  --additional-properties invokerPackage=ifmatch.client,apiPackage=ifmatch.client.api,modelPackage=ifmatch.client.model \
  --additional-properties openApiNullable=false,useSingleRequestParameter=true \
  --global-property apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false

# The generator's own jar holds the libraries that the client needs, all but one annotation: no build tool, no download.
jar="$(find "$tools" -name openapi-generator.jar)"
find "$out/client/src/main/java" "$here/src" "$here/stub" -name '*.java' >"$out/sources"
javac -proc:none -nowarn -encoding UTF-8 -cp "$jar" -d "$out/classes" @"$out/sources"
java -XX:TieredStopAtLevel=1 -cp "$out/classes:$jar" RoundTrip "$url" "$LOSSY_URL"
