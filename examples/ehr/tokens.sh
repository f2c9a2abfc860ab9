#!/bin/bash
# examples/ehr/tokens.sh DIR: what a project's Auth service does, for the people of scenario.people.  Makes a key pair
# (ES256, as Supabase does), loads the public half into the database, sets the database to believe nothing but tokens, and
# signs one token for each person: DIR/NAME, good for an hour.  Called again, it makes a new key and new tokens.
#
# The database is that of PGHOST, PGDATABASE, ...; the connecting user must be a superuser.  No token and no key comes on
# a command line, or to anybody who may not read DIR.
set -euo pipefail
umask 077
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: tokens.sh DIR}
mkdir -p "$dir"
issuer=https://hollow-oak.example/auth/v1
PSQL=(psql -qXAt -v ON_ERROR_STOP=1 -v "issuer=$issuer")

base64url() { base64 -w 0 | tr '+/' '-_' | tr -d '='; }
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

# Of an uncompressed point in DER, the last 64 bytes are x and y.
coordinate() { # coordinate KEY BYTES-FROM-THE-END
	openssl pkey -in "$1" -pubout -outform DER | tail -c "$2" | head -c 32 | base64url
}

# OpenSSL gives r and s as numbers in DER; a token has them as 32 bytes each (RFC 7518, 3.4).
sign() { # sign KEY < CLAIMS
	local input hex
	input=$(base64url <<<"{\"alg\":\"ES256\",\"kid\":\"$kid\",\"typ\":\"JWT\"}").$(base64url)
	hex=$(printf '%s' "$input" | openssl dgst -sha256 -sign "$1" | openssl asn1parse -inform DER |
		awk -F : '/INTEGER/ { printf "%64s", $4 }' | tr ' ' 0)
	printf '%s.%s\n' "$input" "$(printf '%b' "$(sed 's/../\\x&/g' <<<"$hex")" | base64url)"
}

# ---- the database ----
kid=$(od -An -v -tx1 -N8 /dev/urandom | tr -d ' \n')
new_key "$dir/key.pem"
new_key "$dir/other-key.pem"
# Users' tokens name the project's Auth service as their issuer; API keys say "supabase".
"${PSQL[@]}" -o /dev/null <<SQL
\set jwks '{"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "$kid", "x": "$(coordinate "$dir/key.pem" 64)", "y": "$(coordinate "$dir/key.pem" 32)"}]}'
BEGIN;
SELECT mentalspace.load_jwks(:'jwks', :'issuer'), mentalspace.load_jwks(:'jwks', 'supabase');
ALTER DATABASE :"DBNAME" SET mentalspace.auth_claims_source = 'verified';
ALTER DATABASE :"DBNAME" SET mentalspace.auth_lock = 'transaction';
SELECT concat_ws(', ', :'issuer', 'supabase') AS issuers \gset
ALTER DATABASE :"DBNAME" SET mentalspace.auth_issuers = :'issuers';
ALTER DATABASE :"DBNAME" SET mentalspace.auth_audience = 'authenticated';
ALTER DATABASE :"DBNAME" SET mentalspace.auth_allowed_roles = 'anon, authenticated';
-- The login role of the application: NOINHERIT, without rights of its own, and bound before login() as well.
ALTER ROLE authenticator LOGIN NOINHERIT;
ALTER ROLE authenticator SET mentalspace.auth_lock = 'always';
COMMIT;
SQL

# ---- the people ----
# The claims of an access token of Supabase Auth for this user, or of the project's anon key.
claims_of() { # claims_of EMAIL ROLE AAL EXPIRES-IN-SECONDS
	"${PSQL[@]}" -v email="$1" -v role="$2" -v aal="$3" -v expires="$4" <<-'SQL'
		SELECT extract(epoch FROM now())::bigint + :expires AS exp, extract(epoch FROM now())::bigint + :expires - 3600 AS iat \gset
		SELECT CASE WHEN :'role' = 'anon' THEN jsonb_build_object('iss', 'supabase', 'role', 'anon', 'iat', :iat, 'exp', :exp)
		       ELSE (SELECT jsonb_build_object('iss', :'issuer', 'sub', id, 'aud', aud, 'role', role, 'email', email,
		                                       'phone', '', 'aal', :'aal', 'session_id', gen_random_uuid(),
		                                       'app_metadata', raw_app_meta_data, 'user_metadata', raw_user_meta_data,
		                                       'is_anonymous', false, 'iat', :iat, 'exp', :exp)
		               FROM auth.users WHERE email = :'email') END
	SQL
}
while read -r name email role aal token _; do
	key=$dir/key.pem expires=3600
	case "$token" in
	expired) expires=-3600 ;;
	forged) key=$dir/other-key.pem ;;
	esac
	claims=$(claims_of "$email" "$role" "$aal" "$expires")
	if [ -z "$claims" ]; then
		echo "no user $email in auth.users: is the seed loaded?" >&2
		exit 1
	fi
	sign "$key" <<<"$claims" >"$dir/$name"
done < <(sed -e '/^#/d' -e '/^ *$/d' "$here/scenario.people")
